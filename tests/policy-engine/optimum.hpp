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
/// `options` must be without a battery.
struct Optimum {
    double net_kwh = 0;
    int starts = 0;
};
Optimum optimum(const std::vector<policy_engine::simulation::Second>& day,
                const policy_engine::simulation::DayOptions& options, const OptimumRules& rules = {});

/// What no law can exceed on this day, whatever it does with a car that begins to draw at least ten seconds apart.
///
/// Without a battery: the optimum without minimum times. A real car passes the currents below the minimum on its way
/// up and down; what that may bring is taken off the cost of a start.
///
/// With a battery: the optimum also commands the battery, without delay, and loses nothing in it. So it can put all
/// that the house would export without the car (E) into the car, but not more without paying for it: for any law, the
/// balance of energy says net = (E − still exported) − weight × (imported and missing at the end, against the day
/// without the car) − starts. The bracket is at most E. What is imported and missing may fall below that of the day
/// without the car only by what the battery's own lag costs that day. One start is needed.
double upper_bound_kwh(const std::vector<policy_engine::simulation::Second>& day,
                       const policy_engine::simulation::DayOptions& options);

}  // namespace study
