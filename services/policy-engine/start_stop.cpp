#include "policy-engine/start_stop.hpp"

#include <algorithm>
#include <cmath>

namespace policy_engine {

namespace {

using namespace std::chrono_literals;

// Cars tire of quick interruptions and contactors wear (control notes H2): never stop by rule within this time.
constexpr Duration shortest_charge = 60s;
// A gap in the samples says nothing about the sun in between.
constexpr Duration longest_step = 60s;
// What a start counts on at most, in minimum powers; and how far shade sets it back: how deep the last cloud was says
// nothing about the sun behind it.
constexpr double best_sun = 1.7;
constexpr double deepest_shade = -0.5;

// What sitting out a cloud may cost at this power for `stop_memory` is about what a stop and a new start cost: wear,
// and the sun of a minute.
constexpr double cloud_cost_w = 750;
// How far back the kind of sky is judged; with so much of that time in the sun, it does not come back, or surely does;
// and how much patience is left in the former case.
constexpr Duration sky_memory = 1h;
constexpr double grey_sky = 0.15;
constexpr double broken_sky = 0.5;
constexpr double grey_patience = 0.05;
// How much dearer the last start of the day is than the first.
constexpr double last_start_stretch = 20;

double faded(double average, double value, Duration elapsed, Duration memory) {
    return value + (average - value) * std::exp(-seconds(elapsed) / seconds(memory));
}

// How long the average takes to reach `level` if the value stays; none if it never does.
std::optional<double> time_to_reach(double average, double value, double level, Duration memory) {
    const double distance_now = average - value;
    const double distance_then = level - value;
    if (distance_then == 0 || distance_now / distance_then < 1) {
        return std::nullopt;
    }
    return seconds(memory) * std::log(distance_now / distance_then);
}

// What sitting out a cloud may cost now, as energy from the sun. The fewer starts are left today, the more a stop
// costs: but only where it would be followed by a start.
double patience_j(const ValueRule& rule, const Settings& settings, const ChargerMemory& memory) {
    const double hope = std::clamp((memory.sky - grey_sky) / (broken_sky - grey_sky), 0.0, 1.0);
    const double used = std::min(1.0, memory.starts_today / static_cast<double>(settings.max_starts_per_day));
    return cloud_cost_w * seconds(rule.stop_memory) * (grey_patience + hope * (1 + last_start_stretch * used * used));
}

StartStop while_off(const ValueRule& rule, const Settings& settings, const ChargerMemory& memory,
                    const StartStopInputs& inputs, double value_now) {
    const double value = inputs.surplus_w >= inputs.minimum_w ? std::min(inputs.surplus_w / inputs.minimum_w, best_sun)
                                                              : std::max(value_now, deepest_shade);
    const double average = faded(memory.value, value, std::min(inputs.elapsed, longest_step), rule.start_memory);
    StartStop result{.on = false, .value = average};
    const Duration rest = from_seconds(settings.min_off_s) - inputs.stopped_for;
    if (average < rule.start_level || value < rule.start_level) {
        const auto countdown = value > rule.start_level
                                   ? time_to_reach(average, value, rule.start_level, rule.start_memory)
                                   : std::nullopt;
        if (countdown && inputs.may_start) {
            result.reason = Reason::starting_soon;
            result.countdown_s = std::max(*countdown, seconds(rest));
        } else {
            result.reason = inputs.displaced ? Reason::waits_for_turn : Reason::no_surplus;
        }
    } else if (!inputs.may_start) {
        result.reason = Reason::stale_hold;
    } else if (memory.starts_today >= settings.max_starts_per_day) {
        result.reason = Reason::start_budget;
    } else if (rest > 0s) {
        result.reason = Reason::minimum_off_time;
        result.countdown_s = seconds(rest);
    } else {
        result = {.on = true, .value = 1, .reason = Reason::surplus};
    }
    return result;
}

StartStop while_on(const ValueRule& rule, const Settings& settings, const ChargerMemory& memory,
                   const StartStopInputs& inputs, double value) {
    const double patience = patience_j(rule, settings, memory);
    const double gain_w = value * inputs.minimum_w;
    const double left =
        std::min(1.0, memory.value + gain_w * seconds(std::min(inputs.elapsed, longest_step)) / patience);
    StartStop result{.on = true, .value = left, .reason = Reason::surplus};
    const bool wants_stop = left < 0 || (inputs.displaced && value < 0);
    const Duration least = std::max(from_seconds(settings.min_on_s), shortest_charge);
    const bool too_early = memory.drawing && inputs.drawing_for < least;
    if (wants_stop && !too_early) {
        return {.on = false, .value = 0, .reason = inputs.displaced ? Reason::waits_for_turn : Reason::no_surplus};
    }
    if (wants_stop) {
        // The debt is not carried on: at the end of the minimum time the sky of the moment decides.
        result.value = std::max(left, -0.01);
        result.reason = Reason::minimum_on_time;
        result.countdown_s = seconds(least - inputs.drawing_for);
    } else if (value < 0) {
        result.reason = Reason::riding_out;
        result.countdown_s = std::max(left * patience / -gain_w, too_early ? seconds(least - inputs.drawing_for) : 0);
    }
    return result;
}

}  // namespace

double value_of_minimum(double surplus_w, double minimum_w, double grid_weight) {
    const double from_sun_w = std::clamp(surplus_w, 0.0, minimum_w);
    return (from_sun_w - grid_weight * (minimum_w - from_sun_w)) / minimum_w;
}

StartStop start_stop(const ValueRule& rule, const Settings& settings, const ChargerMemory& memory,
                     const StartStopInputs& inputs) {
    const double value = value_of_minimum(inputs.surplus_w, inputs.minimum_w, inputs.grid_weight);
    StartStop result =
        memory.on ? while_on(rule, settings, memory, inputs, value) : while_off(rule, settings, memory, inputs, value);
    const double sunny = inputs.surplus_w >= inputs.minimum_w ? 1 : 0;
    result.sky = faded(memory.sky, sunny, std::min(inputs.elapsed, longest_step), sky_memory);
    return result;
}

}  // namespace policy_engine
