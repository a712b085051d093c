#include "optimum.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace study {

namespace {

using policy_engine::simulation::DayOptions;

constexpr double joule_per_kwh = 3.6e6;
// One charge of the simulated car passes 1, 2, 3, 4, 5 A for a second each, and 3 or at most 5 and 2 A on its way down.
constexpr double ramp_as = 22;

// The best value of one second of charging, over all whole currents.
double best_kwh(double surplus_w, const DayOptions& options) {
    const double ampere_w = options.phases * options.voltage_v;
    const auto value_w = [&](double amps) {
        const double power_w = amps * ampere_w;
        const double from_sun_w = std::min(power_w, std::max(0.0, surplus_w));
        return from_sun_w - options.grid_weight * (power_w - from_sun_w);
    };
    // The value rises up to the surplus and falls beyond: the two currents around it are the only candidates.
    const double below = std::clamp(std::floor(surplus_w / ampere_w), options.min_a, options.max_a);
    const double above = std::clamp(below + 1, options.min_a, options.max_a);
    return std::max(value_w(below), value_w(above)) / joule_per_kwh;
}

struct Best {
    double value = -std::numeric_limits<double>::infinity();
    int starts = 0;
};

void improve(Best& best, const Best& candidate, double gain, int starts) {
    if (candidate.value + gain > best.value) {
        best = {candidate.value + gain, candidate.starts + starts};
    }
}

}  // namespace

Optimum optimum(const std::vector<policy_engine::simulation::Second>& day, const DayOptions& options,
                const OptimumRules& rules) {
    const std::size_t length = day.size();
    std::vector<double> earned(length + 1, 0);
    for (std::size_t t = 0; t < length; ++t) {
        earned[t + 1] = earned[t] + best_kwh(day[t].pv_w - day[t].load_w, options);
    }
    // off[t], on[t]: the best up to t, being off and free to start, or on and free to stop.
    std::vector<Best> off(length + 1);
    std::vector<Best> on(length + 1);
    off[0] = {0, 0};
    const auto min_on = static_cast<std::size_t>(rules.min_on_s);
    const auto min_off = static_cast<std::size_t>(rules.min_off_s);
    for (std::size_t t = 0; t < length; ++t) {
        improve(off[t + 1], off[t], 0, 0);
        improve(on[t + 1], on[t], earned[t + 1] - earned[t], 0);
        if (t + min_on <= length) {
            improve(on[t + min_on], off[t], earned[t + min_on] - earned[t] - options.start_cost_kwh, 1);
        }
        improve(off[std::min(length, t + min_off)], on[t], 0, 0);
    }
    improve(off[length], on[length], 0, 0);
    return {off[length].value, off[length].starts};
}

double upper_bound_kwh(const std::vector<policy_engine::simulation::Second>& day, const DayOptions& options) {
    if (options.battery) {
        const auto idle = run_day(day, options, [](const auto&) { return 0.0; });
        return std::max(0.0, idle.surplus_kwh + options.grid_weight * idle.battery_lag_kwh - options.start_cost_kwh);
    }
    DayOptions ramped = options;
    ramped.start_cost_kwh -= ramp_as * options.phases * options.voltage_v / joule_per_kwh;
    return optimum(day, ramped, {.min_on_s = 1, .min_off_s = 1}).net_kwh;
}

}  // namespace study
