#include "house-sim/car.hpp"

#include <algorithm>
#include <utility>

namespace house_sim {

namespace {

constexpr double seconds_per_hour = 3600;
constexpr double least_pilot_a = 1;           // below this there is nothing to charge with
constexpr double held_low_a = 5.2;            // where 2017.44 cars go after a raise (notes 6.3)
constexpr double spike_a = 16;                // what lets them go again
constexpr double spike_hold_s = 5;            // three seconds were too short
constexpr double taper_from_pct = 95;         // the battery takes less and less above
constexpr double charging_efficiency = 0.92;  // wall to battery
constexpr double full_pct = 100;

// A sleeping car may notice that power came back; seen between half a minute and a quarter of an hour.
constexpr double noticing_power_min_s = 30;
constexpr double noticing_power_max_s = 900;

}  // namespace

Car::Car(CarConfig config, std::uint64_t seed)
    : config_(std::move(config)),
      random_(seed),
      soc_pct_(config_.soc_pct),
      charge_limit_pct_(config_.charge_limit_pct),
      amps_request_(static_cast<int>(config_.max_current_a)),
      undershoot_a_(random_.uniform(0.8, 1.3)),
      asleep_(config_.asleep) {}

void Car::plug_in(std::optional<double> soc_pct) {
    soc_pct_ = soc_pct.value_or(soc_pct_);
    if (plugged_) {
        return;
    }
    plugged_ = true;
    stopped_ = false;
    started_ = false;
    session_kwh_ = 0;
    idle_s_ = 0;
    last_pilot_a_ = 0;
    held_low_ = false;
    wakes_in_s_.reset();
    // Someone opened the charge port. A car configured as asleep is one that was left plugged in overnight.
    asleep_ = config_.asleep && session_kwh_ == 0 && asleep_;
    start_delay_left_s_ = random_.uniform(config_.start_delay_min_s, config_.start_delay_max_s);
}

void Car::unplug() {
    plugged_ = false;
    stopped_ = false;
    started_ = false;
    asleep_ = false;
    current_a_ = 0;
    power_w_ = 0;
    phases_in_use_ = 0;
    supply_ = {};
    idle_s_ = 0;
}

bool Car::wants_power() const { return plugged_ && !asleep_ && !stopped_ && soc_pct_ < charge_limit_pct_; }

Car::Charging Car::charging() const {
    if (!plugged_) {
        return Charging::disconnected;
    }
    if (soc_pct_ >= charge_limit_pct_) {
        return Charging::complete;
    }
    if (stopped_) {
        return Charging::stopped;
    }
    if (supply_.pilot_a < least_pilot_a) {
        return current_a_ > 0 ? Charging::charging : Charging::no_power;
    }
    if (current_a_ > 0) {
        return Charging::charging;
    }
    return asleep_ ? Charging::stopped : Charging::starting;
}

void Car::advance(const Step& step, const Supply& supply) {
    follow_sleep(step);
    if (!plugged_) {
        return;
    }
    if (asleep_ && !wakes_in_s_ && supply_.pilot_a < least_pilot_a && supply.pilot_a >= least_pilot_a) {
        wakes_in_s_ = random_.uniform(noticing_power_min_s, noticing_power_max_s);
    }
    supply_ = supply;
    const double target = wanted_current_a(step);
    last_pilot_a_ = supply.pilot_a;
    if (supply.pilot_a < least_pilot_a) {
        current_a_ = 0;  // the contactor opens
    } else if (target > current_a_) {
        current_a_ = std::min(target, current_a_ + config_.ramp_up_a_per_s * step.real_s);
    } else {
        current_a_ = std::max(target, current_a_ - config_.ramp_down_a_per_s * step.real_s);
    }
    charge(step);
}

double Car::wanted_current_a(const Step& step) {
    if (!wants_power() || supply_.pilot_a < least_pilot_a) {
        started_ = false;
        start_delay_left_s_ = random_.uniform(config_.start_delay_min_s, config_.start_delay_max_s);
        return 0;
    }
    if (!started_) {
        start_delay_left_s_ -= step.real_s;
        if (start_delay_left_s_ > 0) {
            return 0;
        }
        started_ = true;
    }
    const double taper =
        soc_pct_ <= taper_from_pct ? 1 : 0.2 + 0.8 * (full_pct - soc_pct_) / (full_pct - taper_from_pct);
    const double own_limit = std::min(static_cast<double>(amps_request_), config_.max_current_a * taper);
    const double offered = std::max(supply_.pilot_a - undershoot_a_, 0.6);
    const double held = is_held_low(step) ? held_low_a : offered;
    return std::min({offered, own_limit, held});
}

bool Car::is_held_low(const Step& step) {
    if (!config_.drops_on_raise) {
        return false;
    }
    const double pilot = supply_.pilot_a;
    if (last_pilot_a_ >= least_pilot_a && pilot > last_pilot_a_ && pilot < spike_a) {
        held_low_ = true;
    }
    high_pilot_s_ = pilot >= spike_a ? high_pilot_s_ + step.real_s : 0;
    if (high_pilot_s_ >= spike_hold_s) {
        held_low_ = false;
    }
    return held_low_;
}

void Car::charge(const Step& step) {
    phases_in_use_ = current_a_ > 0 ? std::min(config_.phases, supply_.phases) : 0;
    double volts = 0;
    for (std::size_t phase = 0; phase < static_cast<std::size_t>(phases_in_use_); ++phase) {
        volts += supply_.voltage_v.at(phase);
    }
    power_w_ = volts * current_a_;
    const double kwh = power_w_ * step.day_s / seconds_per_hour / 1000;
    session_kwh_ += kwh;
    soc_pct_ = std::min(full_pct, soc_pct_ + kwh * charging_efficiency / config_.battery_kwh * 100);
}

void Car::follow_sleep(const Step& step) {
    if (wakes_in_s_) {
        *wakes_in_s_ -= step.real_s;
        if (*wakes_in_s_ <= 0) {
            wakes_in_s_.reset();
            asleep_ = false;
            idle_s_ = 0;
        }
    }
    const bool busy = asleep_ || current_a_ > 0 || wants_power();
    idle_s_ = busy ? 0 : idle_s_ + step.real_s;
    if (idle_s_ >= config_.sleep_after_s) {
        fall_asleep();
    }
}

double Car::hours_to_full() const {
    const double missing_kwh = std::max(0.0, charge_limit_pct_ - soc_pct_) / 100 * config_.battery_kwh;
    return power_w_ > 0 ? missing_kwh / (power_w_ * charging_efficiency / 1000) : 0;
}

void Car::allow_charging(bool allowed) {
    stopped_ = !allowed;
    idle_s_ = 0;
}

void Car::set_amps_request(int amps) {
    amps_request_ = std::clamp(amps, 0, static_cast<int>(config_.max_current_a));
    idle_s_ = 0;
}

void Car::wake() {
    if (asleep_) {
        wakes_in_s_ = std::min(wakes_in_s_.value_or(config_.wake_delay_s), config_.wake_delay_s);
    }
    idle_s_ = 0;
}

void Car::fall_asleep() {
    asleep_ = true;
    wakes_in_s_.reset();
    current_a_ = 0;
    started_ = false;
}

std::string to_text(Car::Charging charging) {
    switch (charging) {
        case Car::Charging::disconnected:
            return "disconnected";
        case Car::Charging::stopped:
            return "stopped";
        case Car::Charging::no_power:
            return "no_power";
        case Car::Charging::starting:
            return "starting";
        case Car::Charging::charging:
            return "charging";
        case Car::Charging::complete:
            break;
    }
    return "complete";
}

std::string api_text(Car::Charging charging) {
    switch (charging) {
        case Car::Charging::disconnected:
            return "Disconnected";
        case Car::Charging::stopped:
            return "Stopped";
        case Car::Charging::no_power:
            return "NoPower";
        case Car::Charging::starting:
            return "Starting";
        case Car::Charging::charging:
            return "Charging";
        case Car::Charging::complete:
            break;
    }
    return "Complete";
}

}  // namespace house_sim
