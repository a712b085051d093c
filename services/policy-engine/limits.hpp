#pragma once

#include "policy-engine/modes.hpp"
#include "policy-engine/share.hpp"
#include "policy-engine/types.hpp"

namespace policy_engine {

/// The lowest of named caps.
struct Cap {
    double amps = contract::charge_current_a.max;
    Limit name = Limit::none;

    void lower_to(std::optional<double> value, Limit limit) {
        if (value && *value < amps) {
            amps = *value < 0 ? 0 : *value;
            name = limit;
        }
    }
};

/// What this charger may be offered, whatever the others do. `rule`: that asks for its charge; nullptr: none.
Cap charger_cap(const Config& config, const Settings& settings, const Inputs& inputs, const Charger& charger,
                const Guest& guest, const Rule* rule);

/// The lowest current this charger is ever offered while it charges.
double minimum_a(const Settings& settings, const Bus& bus);

/// Counts what is imported in the quarter of an hour by the clock, for `quarter_hour_w`.
void count_quarter_hour(const Inputs& inputs, Duration elapsed, Memory& memory);

/// The limits that all chargers share, as far as they are known.
struct SharedLimits {
    Budget budget;  ///< What they leave (see share.hpp).
    std::vector<LimitInForce> in_force;
};

SharedLimits shared_limits(const Config& config, const Settings& settings, const Inputs& inputs, const Memory& memory);

}  // namespace policy_engine
