#include "house-sim/weather.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace house_sim {

namespace {

constexpr double edge_min_s = 8;
constexpr double edge_max_s = 40;
constexpr double forced_edge_s = 10;

}  // namespace

Clouds::Clouds(Sky sky, std::uint64_t seed) : random_(seed), sky_(sky) {
    begin_spell();
    factor_ = goal_;
}

void Clouds::set_sky(Sky sky) {
    sky_ = sky;
    begin_spell();
}

void Clouds::force(double factor, double lasts_s) {
    goal_ = factor;
    slope_per_s_ = std::abs(goal_ - factor_) / forced_edge_s;
    forced_left_s_ = lasts_s;
}

void Clouds::begin_spell() {
    clouded_ = !clouded_;
    switch (sky_) {
        case Sky::clear:
            goal_ = random_.uniform(0.98, 1.0);
            spell_left_s_ = 600;
            break;
        case Sky::broken:
            // A little more than the clear sky beside a bright cloud.
            goal_ = clouded_ ? random_.uniform(0.18, 0.5) : random_.uniform(0.95, 1.06);
            spell_left_s_ = clouded_ ? 30 + random_.exponential(110) : 40 + random_.exponential(210);
            break;
        case Sky::overcast:
            goal_ = random_.uniform(0.08, 0.28);
            spell_left_s_ = 60 + random_.exponential(240);
            break;
    }
    slope_per_s_ = std::abs(goal_ - factor_) / random_.uniform(edge_min_s, edge_max_s);
}

void Clouds::move_edge(double seconds) {
    const double way = slope_per_s_ * seconds;
    factor_ += std::clamp(goal_ - factor_, -way, way);
}

void Clouds::advance(double day_s) {
    double left_s = day_s;
    while (left_s > 0) {
        double& spell_s = forced_left_s_ > 0 ? forced_left_s_ : spell_left_s_;
        const double part_s = std::min(left_s, spell_s);
        move_edge(part_s);
        spell_s -= part_s;
        left_s -= part_s;
        if (spell_s <= 0) {
            forced_left_s_ = 0;
            begin_spell();
        }
    }
}

double clear_sky_w(double peak_w, double sunrise_s, double sunset_s, double second_of_day) {
    if (second_of_day <= sunrise_s || second_of_day >= sunset_s) {
        return 0;
    }
    constexpr double best_share = 0.92;  // heat and wiring
    constexpr double flatness = 1.3;
    const double height = std::sin(std::numbers::pi * (second_of_day - sunrise_s) / (sunset_s - sunrise_s));
    return peak_w * best_share * std::pow(height, flatness);
}

}  // namespace house_sim
