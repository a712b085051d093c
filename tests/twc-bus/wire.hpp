#pragma once

#include <chrono>
#include <memory>
#include <utility>
#include <vector>

#include "scheduling/scheduler.hpp"
#include "slave_model.hpp"
#include "twc-bus/byte_link.hpp"
#include "twc-bus/frame.hpp"

/// A pair of wires in virtual time with as many services and units on it as wanted. Bytes arrive at everybody else
/// after the time they take at 9600 baud; two who talk at once destroy each other's frames.
namespace wire {

using namespace std::chrono_literals;
using twc_bus::Bytes;

class Wire {
public:
    /// Where one service is connected.
    class Port final : public twc_bus::ByteLink {
    public:
        explicit Port(Wire& wire) : wire_(wire) {}

        void open(Handlers handlers) override {
            handlers_ = std::move(handlers);
            wire_.scope_.post([this] {
                if (handlers_.up) {
                    is_up = true;
                    handlers_.up();
                }
            });
        }
        void close() override {
            handlers_ = {};
            is_up = false;
        }
        void write(Bytes bytes) override {
            if (is_up) {
                written.insert(written.end(), bytes.begin(), bytes.end());
                wire_.transmit(this, bytes);
            }
        }
        void hear(const Bytes& bytes) {
            if (is_up && handlers_.bytes) {
                handlers_.bytes(bytes);
            }
        }
        void lose() {
            is_up = false;
            handlers_.down("/dev/test: lost");
        }
        /// Bodies of everything it wrote.
        std::vector<Bytes> bodies() const {
            return twc_bus::FrameDecoder(twc_bus::AcceptedLengths::listening).feed(written);
        }

        Bytes written;
        bool is_up = false;

    private:
        Wire& wire_;
        Handlers handlers_;
    };

    explicit Wire(scheduling::Scheduler& loop) : loop_(loop), scope_(loop) {
        scope_.call_every(100ms, [this] { move_units(); });
    }

    Port& add_port() {
        ports_.push_back(std::make_unique<Port>(*this));
        return *ports_.back();
    }
    slave_model::Slave& add_unit(slave_model::Slave unit) {
        units_.push_back(std::make_unique<slave_model::Slave>(std::move(unit)));
        return *units_.back();
    }
    /// Says something as nobody in particular.
    void say(const Bytes& body) { transmit(nullptr, twc_bus::encode_frame(body)); }
    void say_raw(const Bytes& bytes) { transmit(nullptr, bytes); }

    int collisions = 0;

private:
    struct Transmission {
        bool damaged = false;
        scheduling::Instant ends;
    };

    void transmit(const Port* from, const Bytes& bytes) {
        constexpr auto byte_time = 1042us;
        auto current = std::make_shared<Transmission>();
        current->ends = loop_.now() + byte_time * static_cast<int>(bytes.size());
        if (on_air_ && on_air_->ends > loop_.now()) {
            ++collisions;
            on_air_->damaged = true;
            current->damaged = true;
        }
        on_air_ = current;
        scope_.call_at(current->ends, [this, from, bytes, current] {
            auto heard = bytes;
            if (current->damaged) {
                heard[heard.size() / 2] ^= 0x15;
            }
            for (const auto& port : ports_) {
                if (port.get() != from) {
                    port->hear(heard);
                }
            }
            let_units_answer(heard);
        });
    }

    void let_units_answer(const Bytes& bytes) {
        for (const auto& body : twc_bus::FrameDecoder(twc_bus::AcceptedLengths::listening).feed(bytes)) {
            for (auto& unit : units_) {
                if (auto reply = unit->answer(body, loop_.now())) {
                    auto frame = twc_bus::encode_frame(*reply);
                    frame.push_back(0xFC);
                    scope_.call_after(unit->answer_delay, [this, frame] { transmit(nullptr, frame); });
                }
            }
        }
    }

    void move_units() {
        for (auto& unit : units_) {
            unit->move(100ms);
            if (unit->contactor_open(loop_.now())) {
                unit->trip();
            }
            if (!unit->knows_master(loop_.now()) && loop_.now() - unit->announced >= 10s) {
                unit->announced = loop_.now();
                transmit(nullptr, twc_bus::encode_frame(unit->announcement()));
            }
        }
    }

    scheduling::Scheduler& loop_;
    scheduling::TaskScope scope_;
    std::vector<std::unique_ptr<Port>> ports_;
    std::vector<std::unique_ptr<slave_model::Slave>> units_;
    std::shared_ptr<Transmission> on_air_;
};

}  // namespace wire
