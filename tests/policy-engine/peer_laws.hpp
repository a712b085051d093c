#pragma once

#include "policy-engine/simulation/day.hpp"

/// Laws of well-known controllers with their default parameters, written from a description of what they do (control
/// notes A2, A3, A5, A6), without what a fixed number of phases and one car never use. `evcc_like.hpp` has another.
namespace study {

/// Every 10 s: steers to a small import, with a dead band and at most 5 A a step; starts on 1500 W a phase lasting 30
/// s, stops after 60 s of import at the minimum. The car comes before the home battery.
policy_engine::simulation::Law openwb_law(const policy_engine::simulation::DayOptions& options);

/// Every 2 s: integrates, gently up and strongly down, in steps of 0.1 A; starts on 4 A of export, stops after ten
/// minutes of shortage at the minimum. Neutral to the home battery.
policy_engine::simulation::Law smartevse_law(const policy_engine::simulation::DayOptions& options);

/// Every 30 s, with values up to 10 s old: generation minus consumption in whole amperes; 60 s between start and stop.
/// Its default minimum of 12 A is taken down to the minimum of the day, as its users do. Does not know of batteries.
policy_engine::simulation::Law twcmanager_law(const policy_engine::simulation::DayOptions& options);

/// Every second: the current follows what is left over; a filter that rises in 20 s and falls in 600 s starts at 1.1
/// times the minimum and stops below it, after ten minutes at least. Sees the grid only, so a home battery hides the
/// sun until it is full, and afterwards the clouds.
policy_engine::simulation::Law openevse_law(const policy_engine::simulation::DayOptions& options);

}  // namespace study
