#include "house-sim/household.hpp"

#include <algorithm>
#include <cmath>

namespace house_sim {

namespace {

constexpr double hour_s = 3600;
constexpr double fridge_w = 90;
constexpr double fridge_on_s = 900;
constexpr double fridge_off_s = 1700;
constexpr double drift_time_s = 120;
constexpr double longest_drift_step_s = 60;

}  // namespace

Household::Household(double base_w, bool appliances, std::uint64_t seed)
    : random_(seed),
      base_w_(base_w),
      has_appliances_(appliances),
      fridge_phase_s_(random_.uniform(0, fridge_on_s + fridge_off_s)) {
    plan_day();
}

void Household::plan_day() {
    runs_.clear();
    if (!has_appliances_) {
        return;
    }
    // The kettle at breakfast, in the afternoon and in the evening.
    for (const double hour : {6.8, 9.4, 11.1, 15.3, 17.2, 20.1}) {
        const double begins = (hour + random_.uniform(-0.6, 0.6)) * hour_s;
        runs_.push_back({begins, begins + random_.uniform(110, 190), 2050, 1000, 0});
    }
    for (const double hour : {12.2, 18.4}) {
        const double begins = (hour + random_.uniform(-0.5, 0.5)) * hour_s;
        const double heats = begins + random_.uniform(420, 560);
        runs_.push_back({begins, heats, 2600, 1000, 0});
        runs_.push_back({heats, heats + random_.uniform(1200, 2700), 2600, 70, 140});
    }
    const double washes = random_.uniform(9, 15) * hour_s;
    runs_.push_back({washes + 240, washes + 1100, 2000, 1000, 0});
    runs_.push_back({washes, washes + 5400, 180, 30, 12});
}

void Household::advance(double day_s, double second_of_day) {
    if (second_of_day < second_of_day_) {
        plan_day();  // midnight
    }
    second_of_day_ = second_of_day;
    const double weight = std::min(day_s, longest_drift_step_s) / drift_time_s;
    drift_ += -drift_ * weight + random_.uniform(-1, 1) * std::sqrt(weight);
    fridge_phase_s_ = std::fmod(fridge_phase_s_ + day_s, fridge_on_s + fridge_off_s);
    extra_left_s_ = std::max(0.0, extra_left_s_ - day_s);
}

void Household::add_load(double watts, double lasts_s) {
    extra_w_ = watts;
    extra_left_s_ = lasts_s;
}

double Household::appliances_w() const {
    double watts = 0;
    for (const auto& run : runs_) {
        if (second_of_day_ >= run.begins_s && second_of_day_ < run.ends_s) {
            const double in_cycle = std::fmod(second_of_day_ - run.begins_s, run.on_s + run.off_s);
            watts += in_cycle < run.on_s ? run.watts : 0;
        }
    }
    return watts;
}

double Household::load_w() const {
    constexpr double drift_share = 0.15;
    const double base = base_w_ * (1 + drift_share * std::clamp(drift_, -1.0, 1.0));
    const double fridge = has_appliances_ && fridge_phase_s_ < fridge_on_s ? fridge_w : 0;
    return base + fridge + appliances_w() + (extra_left_s_ > 0 ? extra_w_ : 0);
}

}  // namespace house_sim
