#include "twc-bus/setpoints.hpp"

#include <algorithm>

namespace twc_bus {

namespace {

using namespace std::chrono_literals;
using scheduling::Instant;

// After a start, how long chargers keep what they work to while no limit has arrived yet.
constexpr auto first_lease_within = 10s;

}  // namespace

bool Setpoints::may_still_come(Instant now) const { return !lease_.ever() && now - started_ < first_lease_within; }

bool Setpoints::failsafe(Instant now) const { return !lease_.in_force(now) && !may_still_come(now); }

int Setpoints::wish_ca(UnitId id, int granted_ca, bool only_failsafe, Instant now) const {
    if (estop_) {
        return 0;
    }
    int wish_ca = lease_.in_force(now) ? lease_.wish_ca(id) : granted_ca;
    if (failsafe(now) || only_failsafe) {
        wish_ca = std::min(wish_ca, limits_.failsafe_ca);
    }
    return std::min(wish_ca, limits_.max_ca(id));
}

std::vector<SharedLimit> Setpoints::limits() const {
    std::vector<SharedLimit> limits;
    if (const auto most_ca = lease_.most_ca()) {
        for (int line = 0; line < static_cast<int>(every_line.size()); ++line) {
            limits.push_back({.name = "the maximum set by MQTT", .ca = *most_ca, .line = line, .members = {}});
        }
    }
    return limits;
}

Instant Setpoints::changes_at(Instant now) const {
    if (lease_.in_force(now)) {
        return *lease_.ends();
    }
    return may_still_come(now) ? started_ + first_lease_within : Instant::max();
}

}  // namespace twc_bus
