#pragma once

#include "policy-engine/share.hpp"
#include "policy-engine/types.hpp"

namespace policy_engine {

/// What the car itself is to draw at most, below what a charger can offer (control notes E3): the charger stays at its
/// minimum, the car takes less. `cap_a` gives the car back to the charger. None: leave it as it is. Lower at once and
/// rarely up, because commands to cars are slow and paced.
std::optional<double> low_current(const Claim& claim, double surplus_w, Instant now, const ChargerMemory& memory);

}  // namespace policy_engine
