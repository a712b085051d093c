#pragma once

#include "policy-engine/simulation/day.hpp"

namespace study {

struct TimerRules {
    double period_s = 30;
    double start_delay_s = 60;
    double stop_delay_s = 180;
};

/// Plain timers as a well-known controller has them by default (control notes A1): looks every 30 s, rounds down,
/// starts after 60 s of enough surplus and stops after 180 s of too little. Written from that description.
policy_engine::simulation::Law timer_law(const policy_engine::simulation::DayOptions& options,
                                         const TimerRules& rules = {});

}  // namespace study
