#include "twc-bus/session.hpp"

#include <algorithm>

namespace twc_bus {

namespace {

using namespace std::chrono_literals;

// After a longer gap nobody knows what was drawn; a unit without master stops within 30 s.
constexpr scheduling::Duration longest_gap = 30s;

// The biggest unit on three phases.
constexpr double highest_power_kw = 80 * 3 * 0.277;

}  // namespace

void SessionMeter::add_energy(const Reading& reading) {
    if (before_) {
        const std::chrono::duration<double, std::ratio<3600>> hours =
            std::clamp(reading.now - before_->now, scheduling::Duration::zero(), longest_gap);
        const double kwh = (before_->power_w + reading.power_w) / 2 / 1000 * hours.count();
        totals_.energy_kwh += kwh;
        if (totals_.in_session) {
            totals_.session_kwh = totals_.session_kwh.value_or(0) + kwh;
        }
    }
    before_ = reading;
}

void SessionMeter::on_unit_counter(std::uint32_t unit_kwh, scheduling::WallTime wall_now) {
    auto& mark = totals_.mark;
    if (mark && mark->unit_kwh == unit_kwh) {
        return;
    }
    if (mark && unit_kwh > mark->unit_kwh) {
        // Both ends of the counter are cut to whole kWh: what is sure to have flowed is one less.
        const double sure_kwh = unit_kwh - mark->unit_kwh - 1;
        const double missing_kwh = sure_kwh - (totals_.energy_kwh - mark->energy_kwh);
        const std::chrono::duration<double, std::ratio<3600>> passed = wall_now - mark->at;
        if (missing_kwh > 0 && missing_kwh <= passed.count() * highest_power_kw) {
            totals_.energy_kwh += missing_kwh;
            if (totals_.in_session) {
                totals_.session_kwh = totals_.session_kwh.value_or(0) + missing_kwh;
            }
        }
    }
    mark = CounterMark{.unit_kwh = static_cast<double>(unit_kwh), .energy_kwh = totals_.energy_kwh, .at = wall_now};
}

std::vector<SessionEvent> SessionMeter::on_reading(const Reading& reading) {
    std::vector<SessionEvent> events;
    const bool unplugged_now = reading.plugged == false && plugged_ != false;
    if (reading.plugged == true && plugged_ != true) {
        // A car found plugged at a restart, in a session we know, did not come just now.
        if (!totals_.in_session) {
            events.push_back(SessionEvent::plugged);
        }
    }
    if (reading.power_w > 0 && !totals_.in_session) {
        totals_.in_session = true;
        totals_.session_kwh = 0;
        totals_.session_start = reading.wall_now;
        events.push_back(SessionEvent::session_started);
    }
    add_energy(reading);
    if (unplugged_now) {
        const bool was_here = plugged_ == true || totals_.in_session;
        if (totals_.in_session) {
            totals_.in_session = false;
            events.push_back(SessionEvent::session_ended);
        }
        if (was_here) {
            events.push_back(SessionEvent::unplugged);
        }
    }
    if (reading.plugged) {
        plugged_ = reading.plugged;
    }
    return events;
}

}  // namespace twc_bus
