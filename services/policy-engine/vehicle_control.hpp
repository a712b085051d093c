#pragma once

#include "policy-engine/types.hpp"

namespace policy_engine {

/// What to do beside the target to make a charger stop or start.
struct StopStart {
    double target_a = 0;           ///< May be held at the minimum while the car is stopping.
    std::string command;           ///< For the matched vehicle; empty: none.
    std::optional<Reason> reason;  ///< Replaces the decision's own.
    std::optional<double> countdown_s;
    bool warning = false;
};

/// Stops through the car first and lowers the charger once the current is gone: a protocol 2 unit does not stop on 0 A
/// and no contactor should open under load (TWC protocol notes 6.1, 6.6). Without a link the charger is set to 0 A: a
/// clean stop with protocol 1; with protocol 2 the car may go on near 6 A, so this is a warning. A car that was asked
/// in vain is treated like one without a link. A car on a charger that does not answer is left alone: twc-bus may be
/// back within seconds and finds it charging.
/// `wanted_a`: the target that limits and sharing allow; `minimum_a`: what is held while the car stops, 0 if a limit
/// forbids even that. `vehicle`: the matched one if it takes commands, else nullptr.
StopStart stop_or_start(const Settings& settings, const Charger& charger, const Vehicle* vehicle, double wanted_a,
                        double minimum_a, Instant now, ChargerMemory& memory);

}  // namespace policy_engine
