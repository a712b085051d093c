#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "scheduling/scheduler.hpp"
#include "twc-bus/byte_link.hpp"
#include "twc-bus/frame.hpp"

/// A Wall Connector in slave mode and the line it hangs on, written from the protocol notes on bytes alone: nothing
/// of the code under test but the frame codec is used.
namespace slave_model {

using twc_bus::Bytes;
using namespace std::chrono_literals;

struct Slave {
    std::uint16_t id = 0x7744;
    int protocol = 2;
    int rating_ca = 3200;
    std::uint8_t sign = 0x52;
    bool plugged = false;
    bool mute = false;  ///< Hears, but its answers are lost.
    bool deaf = false;  ///< Hears nothing.
    bool obeys = true;
    int wants_ca = 3200;  ///< What the car would draw.
    std::string vin;      ///< Empty: none.
    std::uint32_t lifetime_kwh = 100;
    std::array<std::uint16_t, 3> volts{230, 0, 0};
    scheduling::Duration answer_delay = 60ms;

    int limit_ca = 0;
    int drawn_ca = 0;
    std::uint8_t state = 0x00;
    std::optional<scheduling::Instant> heard;
    scheduling::Instant announced{};
    std::vector<std::pair<scheduling::Instant, Bytes>> heartbeats;  ///< Heard, with their time.

    void plug_in() {
        plugged = true;
        state = 0x04;
    }
    void unplug() {
        plugged = false;
        state = 0x00;
        drawn_ca = 0;
        limit_ca = 0;
    }

    /// What it may draw at this instant: the oracle of the property tests.
    int may_draw_ca() const { return plugged && !tripped ? std::max(limit_ca, drawn_ca) : drawn_ca; }

    bool knows_master(scheduling::Instant now) const { return heard && now - *heard < 10s; }
    bool contactor_open(scheduling::Instant now) const { return !heard || now - *heard > 30s; }

    void apply(std::uint8_t command, int amps_ca) {
        const bool sets = command == 0x05 || command == 0x08 || command == 0x09;
        const bool ignored = protocol == 2 && command == 0x05 && drawn_ca >= 100;
        if (!sets || ignored || !obeys) {
            return;
        }
        limit_ca = amps_ca == 0 && protocol == 2 ? 600 : amps_ca;
        tripped = false;
        stopped = amps_ca == 0;
        if (plugged) {
            state = stopped ? 0x03 : 0x01;
        }
    }

    /// One step of the car.
    void move(scheduling::Duration step) {
        const int target = plugged && !tripped && !relay_open && limit_ca >= 500 && !(stopped && ends_at_zero)
                               ? std::min(limit_ca, wants_ca)
                               : 0;
        const int most = std::max<int>(1, static_cast<int>(std::chrono::duration<double>(step).count() * 300));
        drawn_ca = target > drawn_ca ? std::min(target, drawn_ca + most) : std::max(target, drawn_ca - 3 * most);
    }

    std::optional<Bytes> answer(const Bytes& body, scheduling::Instant now) {
        if (deaf || body.size() < 12) {
            return std::nullopt;
        }
        const bool to_me = ((body[4] << 8) | body[5]) == id;
        if (to_me && protocol == 2 && body[0] == 0xFC && (body[1] == 0xB1 || body[1] == 0xB2)) {
            relay_open = body[1] == 0xB2;
            Bytes reply(15, 0);
            std::copy_n(Bytes{0xFD, body[1], body[4], body[5]}.begin(), 4, reply.begin());
            return mute ? std::nullopt : std::optional(reply);
        }
        if (body[0] != 0xFB || !to_me) {
            return std::nullopt;
        }
        Bytes reply{0xFD, body[1], static_cast<std::uint8_t>(id >> 8), static_cast<std::uint8_t>(id & 0xFF)};
        if (body[1] == 0xE0) {
            heard = now;
            heartbeats.emplace_back(now, body);
            apply(body[6], (body[7] << 8) | body[8]);
            const auto add_word = [&](int value) {
                reply.push_back(static_cast<std::uint8_t>(value >> 8));
                reply.push_back(static_cast<std::uint8_t>(value & 0xFF));
            };
            add_word(body[2] << 8 | body[3]);
            reply.push_back(state);
            add_word(limit_ca);
            add_word(drawn_ca);
            reply.resize(protocol == 1 ? 13 : 15);
        } else if (protocol == 1 || !add_report(body[1], reply)) {
            return std::nullopt;
        }
        return mute ? std::nullopt : std::optional(reply);
    }

    Bytes announcement() const {
        Bytes body(protocol == 1 ? 13 : 15, 0);
        const Bytes head{0xFD,
                         0xE2,
                         static_cast<std::uint8_t>(id >> 8),
                         static_cast<std::uint8_t>(id & 0xFF),
                         sign,
                         static_cast<std::uint8_t>(rating_ca >> 8),
                         static_cast<std::uint8_t>(rating_ca & 0xFF)};
        std::copy(head.begin(), head.end(), body.begin());
        return body;
    }

    /// Without master for too long: off, and waiting for a new limit.
    void trip() {
        if (!heard) {
            return;
        }
        tripped = true;
        drawn_ca = 0;
        state = plugged ? 0x08 : 0x00;
    }
    void reset(scheduling::Instant now) {
        limit_ca = 0;
        drawn_ca = 0;
        stopped = false;
        state = plugged ? 0x04 : 0x00;
        heard.reset();
        announced = now;
    }

    bool tripped = false;
    bool ends_at_zero = true;  ///< Whether the car stops when its unit is told 0, or goes on at 6 A.
    bool relay_open = false;   ///< By FC B2.
    bool stopped = false;

private:
    bool add_report(std::uint8_t command, Bytes& reply) const {
        const auto add_text = [&](const std::string& text) {
            reply.insert(reply.end(), text.begin(), text.end());
            reply.resize(19);
        };
        switch (command) {
            case 0xEB:
                for (const unsigned shift : {24U, 16U, 8U, 0U}) {
                    reply.push_back(static_cast<std::uint8_t>(lifetime_kwh >> shift & 0xFFU));
                }
                for (const auto value : volts) {
                    reply.push_back(static_cast<std::uint8_t>(value >> 8));
                    reply.push_back(static_cast<std::uint8_t>(value & 0xFF));
                }
                for (const auto value : volts) {
                    reply.push_back(static_cast<std::uint8_t>(value > 0 ? drawn_ca / 50 : 0));
                }
                reply.resize(19);
                return true;
            case 0xEC:
                reply.insert(reply.end(), {4, 5, 3, 0});
                reply.resize(15);
                return true;
            case 0xED:
                add_text("A18F0002433");
                return true;
            case 0xEE:
                add_text(vin.empty() || !plugged ? "" : vin.substr(0, 7));
                return true;
            case 0xEF:
                add_text(vin.empty() || !plugged ? "" : vin.substr(7, 7));
                return true;
            case 0xF1:
                add_text(vin.empty() || !plugged ? "" : vin.substr(14, 3));
                return true;
            default:
                return false;
        }
    }
};

/// The wire between master and slaves, as a byte link in the loop's time.
class Line final : public twc_bus::ByteLink {
public:
    explicit Line(scheduling::Scheduler& loop) : loop_(loop), scope_(loop) {
        scope_.call_every(100ms, [this] { tick(); });
    }

    void open(Handlers handlers) override {
        handlers_ = std::move(handlers);
        scope_.post([this] {
            if (!broken_ && handlers_.up) {
                up_ = true;
                handlers_.up();
            }
        });
    }
    void close() override {
        handlers_ = {};
        up_ = false;
    }
    void write(Bytes bytes) override {
        if (!up_) {
            return;
        }
        if (echoes) {
            deliver(bytes, 5ms);
        }
        for (const auto& body : twc_bus::FrameDecoder(twc_bus::AcceptedLengths::listening).feed(bytes)) {
            sent.emplace_back(loop_.now(), body);
            for (auto& slave : slaves) {
                if (auto reply = slave->answer(body, loop_.now())) {
                    auto wire = twc_bus::encode_frame(*reply);
                    wire.push_back(0xFC);
                    deliver(wire, slave->answer_delay);
                }
            }
        }
    }

    Slave& add(Slave slave) {
        slaves.push_back(std::make_unique<Slave>(std::move(slave)));
        return *slaves.back();
    }
    void deliver(const Bytes& wire, scheduling::Duration after) {
        scope_.call_after(after, [this, wire] {
            if (up_ && handlers_.bytes) {
                handlers_.bytes(wire);
            }
        });
    }
    void unplug_adapter() {
        broken_ = true;
        up_ = false;
        if (handlers_.down) {
            handlers_.down("/dev/test: lost");
        }
    }
    void plug_adapter() {
        broken_ = false;
        if (handlers_.up) {
            up_ = true;
            handlers_.up();
        }
    }

    int may_draw_ca() const {
        int sum = 0;
        for (const auto& slave : slaves) {
            sum += slave->contactor_open(loop_.now()) ? 0 : slave->may_draw_ca();
        }
        return sum;
    }

    std::vector<std::unique_ptr<Slave>> slaves;
    std::vector<std::pair<scheduling::Instant, Bytes>> sent;  ///< Every frame of the master.
    bool echoes = false;

private:
    void tick() {
        for (auto& slave : slaves) {
            slave->move(100ms);
            if (slave->contactor_open(loop_.now())) {
                slave->trip();
            }
            if (!slave->knows_master(loop_.now()) && loop_.now() - slave->announced >= 10s && !slave->mute) {
                slave->announced = loop_.now();
                deliver(twc_bus::encode_frame(slave->announcement()), 30ms);
            }
        }
    }

    scheduling::Scheduler& loop_;
    scheduling::TaskScope scope_;
    Handlers handlers_;
    bool up_ = false;
    bool broken_ = false;
};

}  // namespace slave_model
