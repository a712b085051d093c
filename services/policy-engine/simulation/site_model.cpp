#include "policy-engine/simulation/site_model.hpp"

#include <algorithm>
#include <cmath>

namespace policy_engine::simulation {

namespace {

constexpr double joule_per_kwh = 3.6e6;
// Control notes F4.
constexpr int start_s = 10;
constexpr double rise_a_per_s = 1;
constexpr double fall_a_per_s = 3;
// What is left of its current when a car is full.
constexpr double taper_to = 0.1;

}  // namespace

Car::Car(const CarSetup& setup, double min_a, double voltage_v, int charger_phases)
    : setup_(setup),
      min_a_(min_a),
      phases_(std::min(setup.phases, charger_phases)),
      ampere_w_(phases_ * voltage_v),
      soc_pct_(setup.soc_pct) {}

void Car::plug(bool plugged) {
    plugged_ = plugged;
    if (!plugged) {
        allowed_ = true;
        on_its_way_ = {};
        powered_s_ = 0;
        drawn_a_ = 0;
    }
}

bool Car::full() const { return setup_.battery_kwh && soc_pct_ >= setup_.limit_pct; }

double Car::wanted_a() const {
    if (!allowed_ || full()) {
        return 0;
    }
    const double from = setup_.taper_from_pct.value_or(100);
    const double tapered = soc_pct_ > from && from < 100 ? (soc_pct_ - from) / (100 - from) : 0;
    return setup_.max_a * (1 - (1 - taper_to) * tapered);
}

void Car::step(double offered_a) {
    if (!plugged_) {
        return;
    }
    if (setup_.battery_kwh) {
        soc_pct_ = std::min(100.0, soc_pct_ + 100 * power_w() / joule_per_kwh / *setup_.battery_kwh);
    }
    const double arrived_a = on_its_way_[place_];
    on_its_way_[place_] = offered_a;
    place_ = (place_ + 1) % on_its_way_.size();
    const double goal_a = arrived_a < min_a_ ? 0 : std::min(arrived_a, wanted_a());
    if (goal_a <= 0) {
        powered_s_ = 0;
        drawn_a_ = std::max(0.0, drawn_a_ - fall_a_per_s);
    } else if (++powered_s_ >= start_s || drawn_a_ > 0) {
        drawn_a_ = std::clamp(goal_a, drawn_a_ - fall_a_per_s, drawn_a_ + rise_a_per_s);
    }
}

std::optional<double> Car::soc_pct() const { return setup_.battery_kwh ? std::optional(soc_pct_) : std::nullopt; }

const char* Car::charging_state() const {
    if (!plugged_) {
        return "disconnected";
    }
    if (drawn_a_ >= drawing_a) {
        return "charging";
    }
    if (full()) {
        return "complete";
    }
    return allowed_ ? "no_power" : "stopped";
}

double SiteBattery::answer_w(double balance_w) const {
    if (balance_w > 0) {
        return soc_pct_ > setup_.reserve_pct ? std::min(balance_w, setup_.max_discharge_w) : 0;
    }
    return soc_pct_ < 100 ? -std::min(-balance_w, setup_.max_charge_w) : 0;
}

void SiteBattery::step(double power_w) {
    // Half of the loss on the way in, half on the way out.
    const double one_way = std::sqrt(setup_.efficiency_pct / 100);
    const double stored_w = power_w > 0 ? -power_w / one_way : -power_w * one_way;
    soc_pct_ = std::clamp(soc_pct_ + 100 * stored_w / joule_per_kwh / setup_.capacity_kwh, 0.0, 100.0);
}

}  // namespace policy_engine::simulation
