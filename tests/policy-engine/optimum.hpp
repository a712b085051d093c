#pragma once

#include "policy-engine/simulation/day.hpp"

namespace study {

struct OptimumRules {
    int min_on_s = 300;
    int min_off_s = 180;
};

/// The most any controller could have made of the day, knowing all of it in advance (control notes F3 c): whole amperes
/// from the minimum up, reached without delay, minimum on and off times, and the start cost of `options`. In the same
/// kWh as `Metrics::net_kwh`. Exact, by dynamic programming over the day; time and memory grow with its length only.
struct Optimum {
    double net_kwh = 0;
    int starts = 0;
};
Optimum optimum(const std::vector<policy_engine::simulation::Second>& day,
                const policy_engine::simulation::DayOptions& options, const OptimumRules& rules = {});

}  // namespace study
