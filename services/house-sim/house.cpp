#include "house-sim/house.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

namespace house_sim {

namespace {

constexpr double seconds_per_day = 86400;
constexpr double seconds_per_hour = 3600;
constexpr double grid_impedance_ohm = 0.15;  // export lifts the voltage, import lowers it
constexpr double battery_efficiency = 0.95;  // each way
constexpr double regulation_lag_min_s = 1;
constexpr double regulation_lag_max_s = 4;

double sum(const PerPhaseWatts& watts) { return std::accumulate(watts.begin(), watts.end(), 0.0); }

void spread(PerPhaseWatts& target, double watts, int phases) {
    for (std::size_t phase = 0; phase < static_cast<std::size_t>(phases); ++phase) {
        target.at(phase) += watts / phases;
    }
}

}  // namespace

House::House(HouseConfig config, std::uint64_t seed)
    : config_(std::move(config)),
      random_(Random::stream(seed, 1)),
      clouds_(config_.sky, Random::stream(seed, 2).bits()),
      household_(config_.base_load_w, config_.appliances, Random::stream(seed, 3).bits()),
      second_of_day_(config_.start_s),
      battery_lag_s_(random_.uniform(regulation_lag_min_s, regulation_lag_max_s)),
      battery_kwh_(config_.battery.capacity_kwh * config_.battery.soc_pct / 100) {
    for (std::size_t phase = 0; phase < static_cast<std::size_t>(config_.phases); ++phase) {
        flow_.voltage_v.at(phase) = config_.voltage_v;
    }
    advance({0, 0}, {});
}

void House::advance(const Step& step, const PerPhaseWatts& chargers_w) {
    second_of_day_ = std::fmod(second_of_day_ + step.day_s, seconds_per_day);
    follow_sun_and_household(step);
    flow_.chargers_w = sum(chargers_w);
    regulate_battery(step);
    settle_phases(chargers_w);
    count(step.day_s);
}

void House::follow_sun_and_household(const Step& step) {
    clouds_.advance(step.day_s);
    household_.advance(step.day_s, second_of_day_);
    if (!config_.trace.empty()) {
        const auto point = trace_now();
        flow_.pv_w = point.pv_w;
        flow_.load_w = point.load_w;
    } else {
        const double clear = clear_sky_w(config_.peak_w, config_.sunrise_s, config_.sunset_s, second_of_day_);
        flow_.pv_w = std::min(clear * clouds_.factor(), config_.peak_w);
        flow_.load_w = household_.load_w();
    }
}

TracePoint House::trace_now() const {
    const auto& trace = config_.trace;
    const auto after = std::ranges::upper_bound(trace, second_of_day_, {}, &TracePoint::second_of_day);
    if (after == trace.begin()) {
        return trace.front();
    }
    const auto& before = *std::prev(after);
    if (after == trace.end()) {
        return before;
    }
    const double share = (second_of_day_ - before.second_of_day) / (after->second_of_day - before.second_of_day);
    return {.second_of_day = second_of_day_,
            .pv_w = std::lerp(before.pv_w, after->pv_w, share),
            .load_w = std::lerp(before.load_w, after->load_w, share)};
}

// Self-consumption: it takes what would be exported and gives what would be imported, a few seconds late.
void House::regulate_battery(const Step& step) {
    const auto& battery = config_.battery;
    if (!has_battery()) {
        return;
    }
    const double wanted =
        std::clamp(flow_.load_w + flow_.chargers_w - flow_.pv_w, -battery.max_charge_w, battery.max_discharge_w);
    flow_.battery_w += (wanted - flow_.battery_w) * (1 - std::exp(-step.real_s / battery_lag_s_));
    const double reserve_kwh = battery.capacity_kwh * battery.reserve_pct / 100;
    if ((flow_.battery_w > 0 && battery_kwh_ <= reserve_kwh) ||
        (flow_.battery_w < 0 && battery_kwh_ >= battery.capacity_kwh)) {
        flow_.battery_w = 0;
    }
    const double factor = flow_.battery_w > 0 ? 1 / battery_efficiency : battery_efficiency;
    battery_kwh_ -= flow_.battery_w * factor * step.day_s / seconds_per_hour / 1000;
    battery_kwh_ = std::clamp(battery_kwh_, 0.0, battery.capacity_kwh);
    flow_.battery_soc_pct = 100 * battery_kwh_ / battery.capacity_kwh;
}

void House::settle_phases(const PerPhaseWatts& chargers_w) {
    flow_.grid_w = flow_.load_w + flow_.chargers_w - flow_.pv_w - flow_.battery_w;
    flow_.load_phase_w = {};
    flow_.pv_phase_w = {};
    PerPhaseWatts battery{};
    // A household is never balanced: L1 carries the kitchen.
    constexpr std::array<double, 3> shares{0.5, 0.3, 0.2};
    for (std::size_t phase = 0; phase < static_cast<std::size_t>(config_.phases); ++phase) {
        flow_.load_phase_w.at(phase) = config_.phases == 1 ? flow_.load_w : flow_.load_w * shares.at(phase);
    }
    spread(flow_.pv_phase_w, flow_.pv_w, std::min(config_.inverter_phases, config_.phases));
    spread(battery, flow_.battery_w, config_.phases);
    voltage_drift_v_ = std::clamp(voltage_drift_v_ + random_.uniform(-0.02, 0.02), -1.5, 1.5);
    for (std::size_t phase = 0; phase < static_cast<std::size_t>(config_.phases); ++phase) {
        flow_.grid_phase_w.at(phase) =
            flow_.load_phase_w.at(phase) + chargers_w.at(phase) - flow_.pv_phase_w.at(phase) - battery.at(phase);
        const double amps = flow_.grid_phase_w.at(phase) / config_.voltage_v;
        flow_.voltage_v.at(phase) = config_.voltage_v + voltage_drift_v_ - amps * grid_impedance_ohm;
    }
}

void House::count(double day_s) {
    const double hours = day_s / seconds_per_hour;
    energies_.pv_wh += flow_.pv_w * hours;
    energies_.load_wh += (flow_.load_w + flow_.chargers_w) * hours;
    (flow_.grid_w > 0 ? energies_.import_wh : energies_.export_wh) += std::abs(flow_.grid_w) * hours;
    (flow_.battery_w > 0 ? energies_.battery_out_wh : energies_.battery_in_wh) += std::abs(flow_.battery_w) * hours;
}

}  // namespace house_sim
