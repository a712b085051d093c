#pragma once

#include <map>
#include <memory>
#include <random>
#include <utility>
#include <vector>

#include "slave_model.hpp"
#include "twc-bus/fleet.hpp"

/// The bus master alone with modelled slaves on a line that loses, repeats and delays frames.
namespace rig {

using namespace std::chrono_literals;
using scheduling::Instant;
using slave_model::Slave;
using twc_bus::Bytes;

struct Faults {
    double lost_to_slave = 0;
    double lost_from_slave = 0;
    double repeated = 0;
    double late = 0;  ///< Share of answers that come up to 2 s late; those behind them wait.
};

class Rig {
public:
    explicit Rig(twc_bus::MasterSettings settings, std::vector<twc_bus::KnownCharger> known = {}, unsigned seed = 1)
        : fleet(settings.limits,
                {{.master_id = settings.master_id, .listen = settings.listen, .known = std::move(known)}}, Instant{},
                {.restart_pause = settings.restart_pause, .treatments = settings.treatments}),
          random_(seed) {
        fleet.on_link(0, true, now);
    }

    Slave& add(Slave slave) {
        slaves.push_back(std::make_unique<Slave>(std::move(slave)));
        return *slaves.back();
    }

    void run_for(scheduling::Duration duration) {
        for (const Instant end = now + duration; now < end;) {
            step();
        }
    }

    /// 20 ms.
    void step() {
        now += 20ms;
        bool something = now >= wake_;
        while (!arrivals_.empty() && arrivals_.begin()->first <= now) {
            const auto body = arrivals_.extract(arrivals_.begin()).mapped();
            fleet.on_activity(0, now);
            fleet.on_body(0, body, now);
            something = true;
        }
        move_slaves();
        if (something) {
            talk();
        }
    }

    void talk() {
        fleet.set_wishes(wishes);
        auto next = fleet.next(0, now);
        while (next.body) {
            transmit(*next.body);
            next = fleet.next(0, now);
        }
        wake_ = next.wake;
        for (auto& notice : fleet.take_notices()) {
            notices.push_back(notice.kind);
        }
    }

    void hear(const Bytes& body, scheduling::Duration after = {}) { arrivals_.emplace(now + after, body); }

    int may_draw_ca() const {
        int sum = 0;
        for (const auto& slave : slaves) {
            sum += slave->contactor_open(now) ? 0 : slave->may_draw_ca();
        }
        return sum;
    }
    int heard(twc_bus::NoticeKind kind) const {
        return static_cast<int>(std::count(notices.begin(), notices.end(), kind));
    }
    const twc_bus::Charger& charger(twc_bus::UnitId id) const { return master.chargers().at(id); }
    bool chance(double share) { return std::uniform_real_distribution(0.0, 1.0)(random_) < share; }
    int between(int low, int high) { return std::uniform_int_distribution(low, high)(random_); }

    Instant now{};
    twc_bus::Fleet fleet;
    const twc_bus::BusMaster& master = fleet.line(0);
    std::vector<std::unique_ptr<Slave>> slaves;
    std::map<twc_bus::UnitId, int> wishes;
    Faults faults;
    std::vector<std::pair<Instant, Bytes>> sent;
    std::vector<twc_bus::NoticeKind> notices;

private:
    void transmit(const Bytes& body) {
        sent.emplace_back(now, body);
        for (auto& slave : slaves) {
            if (chance(faults.lost_to_slave)) {
                continue;
            }
            const auto reply = slave->answer(body, now);
            if (!reply || chance(faults.lost_from_slave)) {
                continue;
            }
            Instant at = now + slave->answer_delay;
            if (chance(faults.late)) {
                at += std::chrono::milliseconds(between(200, 2000));
            }
            auto& last = last_arrival_[slave->id];
            at = last = std::max(at, last);  // the line keeps the order
            arrivals_.emplace(at, *reply);
            if (chance(faults.repeated)) {
                arrivals_.emplace(at, *reply);
            }
        }
    }

    void move_slaves() {
        if (now - moved_ < 100ms) {
            return;
        }
        moved_ = now;
        for (auto& slave : slaves) {
            slave->move(100ms);
            if (slave->contactor_open(now)) {
                slave->trip();
            }
            if (!slave->knows_master(now) && now - slave->announced >= 10s && !slave->mute && !slave->deaf) {
                slave->announced = now;
                hear(slave->announcement(), 20ms);
            }
        }
    }

    std::mt19937 random_;
    std::multimap<Instant, Bytes> arrivals_;
    std::map<std::uint16_t, Instant> last_arrival_;
    Instant wake_{};
    Instant moved_{};
};

inline twc_bus::MasterSettings settings(int wiring_a = 32, int max_a = 32) {
    return {.limits = {.wiring_ca = wiring_a * 100, .charger_max_ca = max_a * 100}};
}

}  // namespace rig
