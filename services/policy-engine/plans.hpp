#pragma once

#include <chrono>
#include <vector>

#include "policy-engine/modes.hpp"
#include "policy-engine/share.hpp"
#include "policy-engine/types.hpp"

namespace policy_engine {

/// Follows the goals that concern one charger or its car: what each still needs, and when it is to charge. Planned anew
/// every minute and when a goal is new. A goal for a state of charge needs the car's own report and `battery_kwh`;
/// without them, or without a car, nothing is planned. Energy counts for the first goal that it is missing for, in the
/// order of deadlines. After its deadline a goal is pursued until it is reached, for `longest_overrun` at most.
void follow_plans(const Config& config, const Settings& settings, const Inputs& inputs, const Guest& guest,
                  const Claim& claim, double cap_a, std::size_t index, Duration elapsed, Memory& memory);

/// The goal to go by now; nullptr: there is none. What cannot wait any longer comes first, then the first deadline. A
/// goal that is reached makes way for one that is due within a day: what is wanted next week is not charged today.
const PlanProgress* leading_plan(const std::vector<PlanProgress>& plans, WallTime now);

inline constexpr auto longest_overrun = std::chrono::hours(12);

/// Forgets goals for once whose time is over. Returns whether there was one.
bool drop_ended_plans(std::vector<PlanGoal>& goals, WallTime now);

}  // namespace policy_engine
