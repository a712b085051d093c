#pragma once

#include <vector>

#include "house-sim/random.hpp"

namespace house_sim {

/// What the people at home use: a base load that breathes, a fridge, and appliances switched on at plausible times of
/// a day drawn from the seed.
class Household {
public:
    Household(double base_w, bool appliances, std::uint64_t seed);

    void advance(double day_s, double second_of_day);
    /// A load by hand, on top of the others.
    void add_load(double watts, double lasts_s);
    double load_w() const;

private:
    struct Run {
        double begins_s;  ///< Second of the day.
        double ends_s;
        double watts;
        double on_s;  ///< Of each cycle of a thermostat; the cycle is `on_s + off_s`.
        double off_s;
    };

    void plan_day();
    double appliances_w() const;

    Random random_;
    double base_w_;
    bool has_appliances_;
    std::vector<Run> runs_;
    double second_of_day_ = 0;
    double drift_ = 0;  ///< Slow noise around the base load, -1..1.
    double fridge_phase_s_;
    double extra_w_ = 0;
    double extra_left_s_ = 0;
};

}  // namespace house_sim
