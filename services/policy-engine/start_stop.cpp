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
// What a fresh start is worth: enough to sit out a passing cloud, not enough for a mistaken start to last.
constexpr double value_at_start = 0.3;

// How far back the kind of sky is judged, what counts as one of passing clouds and as a grey one, and how long a stop
// takes under the latter: found on synthetic days (README, "What it earns").
constexpr Duration sky_memory = 1h;
constexpr double broken_sky = 0.3;
constexpr double grey_sky = -0.3;
constexpr Duration grey_stop_memory = 30s;

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

// The fewer starts are left today, the more a stop costs.
Duration stop_memory(const ValueRule& rule, const Settings& settings, const ChargerMemory& memory) {
    const double hope = std::clamp((memory.sky - grey_sky) / (broken_sky - grey_sky), 0.0, 1.0);
    const Duration least = std::min(grey_stop_memory, rule.stop_memory);
    const double used = std::min(1.0, memory.starts_today / static_cast<double>(settings.max_starts_per_day));
    const double stretch = 1 + 2 * used * used;
    return std::chrono::duration_cast<Duration>((least + (rule.stop_memory - least) * hope) * stretch);
}

StartStop while_off(const ValueRule& rule, const Settings& settings, const ChargerMemory& memory,
                    const StartStopInputs& inputs, double value) {
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
        result = {.on = true, .value = std::max(average, value_at_start), .reason = Reason::surplus};
    }
    return result;
}

StartStop while_on(const ValueRule& rule, const Settings& settings, const ChargerMemory& memory,
                   const StartStopInputs& inputs, double value) {
    const Duration patience = stop_memory(rule, settings, memory);
    const double average = faded(memory.value, value, std::min(inputs.elapsed, longest_step), patience);
    StartStop result{.on = true, .value = average, .reason = Reason::surplus};
    const bool wants_stop = average < 0 || (inputs.displaced && value < 0);
    const Duration least = std::max(from_seconds(settings.min_on_s), shortest_charge);
    const bool too_early = memory.drawing && inputs.drawing_for < least;
    if (wants_stop && !too_early) {
        return {.on = false, .value = 0, .reason = inputs.displaced ? Reason::waits_for_turn : Reason::no_surplus};
    }
    if (wants_stop) {
        // The debt is not carried on: at the end of the minimum time the sky of the moment decides.
        result.value = std::max(average, -0.01);
        result.reason = Reason::minimum_on_time;
        result.countdown_s = seconds(least - inputs.drawing_for);
    } else if (value < 0) {
        result.reason = Reason::riding_out;
        result.countdown_s = time_to_reach(average, value, 0, patience);
        if (result.countdown_s && too_early) {
            result.countdown_s = std::max(*result.countdown_s, seconds(least - inputs.drawing_for));
        }
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
    result.sky = faded(memory.sky, value, std::min(inputs.elapsed, longest_step), sky_memory);
    return result;
}

}  // namespace policy_engine
