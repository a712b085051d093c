#pragma once

#include "policy-engine/modes.hpp"
#include "policy-engine/share.hpp"
#include "policy-engine/types.hpp"

namespace policy_engine {

/// Follows the goals: which one each charger pursues, what it still needs, and when it is to charge. Planned anew every
/// minute and when a goal changes. A goal for a state of charge needs the car's own report and `battery_kwh`; without
/// them, or without a car, nothing is planned. After its deadline a goal is pursued until it is reached, for half a day
/// at most. `drawn_w`: of this charger since the last decision.
void follow_plan(const Config& config, const Settings& settings, const Inputs& inputs, const Guest& guest,
                 const Claim& claim, double cap_a, std::size_t index, Duration elapsed, Memory& memory);

}  // namespace policy_engine
