#include "synthetic_day.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <random>

namespace study {

namespace {

using policy_engine::simulation::Second;

constexpr int day_s = 86400;
constexpr double sunrise_s = 6 * 3600;
constexpr double sunset_s = 20 * 3600;
constexpr double clear_peak_w = 6800;

// The distributions of the standard library differ between libraries; these do not.
class Chance {
public:
    explicit Chance(std::uint64_t seed) : engine_(seed) {}
    double between(double low, double high) {
        constexpr double two_to_53 = 9007199254740992.0;
        return low + (high - low) * (static_cast<double>(engine_() >> 11U) / two_to_53);
    }
    double exponential(double mean) { return -mean * std::log(1 - between(0, 1)); }

private:
    std::mt19937_64 engine_;
};

double clear_sky_w(int t) {
    if (t <= sunrise_s || t >= sunset_s) {
        return 0;
    }
    return clear_peak_w * std::pow(std::sin(std::numbers::pi * (t - sunrise_s) / (sunset_s - sunrise_s)), 1.25);
}

struct Weather {
    double sunny_s;  ///< Mean length of a sunny spell.
    double shaded_s;
    double sun_low, sun_high;  ///< Share of the clear sky that arrives.
    double shade_low, shade_high;
};

Weather weather_of(Sky sky) {
    switch (sky) {
        case Sky::clear:
            return {100000, 1, 0.98, 1.0, 0.9, 1.0};
        case Sky::broken:
            return {420, 240, 0.9, 1.08, 0.15, 0.5};
        case Sky::overcast:
            break;
    }
    return {240, 1800, 0.3, 0.55, 0.06, 0.25};
}

// Sun and cloud in turn; each spell has its own transmission, reached over an edge.
std::vector<double> transmission(Sky sky, Chance& chance) {
    const Weather weather = weather_of(sky);
    std::vector<double> share;
    share.reserve(day_s);
    double level = weather.sun_high;
    for (bool sunny = true; share.size() < day_s; sunny = !sunny) {
        const double next = sunny ? chance.between(weather.sun_low, weather.sun_high)
                                  : chance.between(weather.shade_low, weather.shade_high);
        const double edge_s = chance.between(8, 40);
        const double spell_s = edge_s + chance.exponential(sunny ? weather.sunny_s : weather.shaded_s);
        for (double t = 0; t < spell_s && share.size() < day_s; ++t) {
            share.push_back(t < edge_s ? level + (next - level) * t / edge_s : next);
        }
        level = next;
    }
    return share;
}

void add(std::vector<Second>& day, double from_s, double for_s, double power_w) {
    const auto begin = static_cast<std::size_t>(std::clamp(from_s, 0.0, double{day_s}));
    const auto end = static_cast<std::size_t>(std::clamp(from_s + for_s, 0.0, double{day_s}));
    for (std::size_t t = begin; t < end; ++t) {
        day[t].load_w += power_w;
    }
}

void add_household(std::vector<Second>& day, Chance& chance) {
    add(day, 0, day_s, 280);
    for (double t = chance.between(0, 1800); t < day_s; t += chance.between(2400, 3000)) {
        add(day, t, 900, 90);
    }
    for (const double hour : {7.0, 10.0, 15.0, 19.0}) {
        add(day, (hour + chance.between(-0.5, 0.5)) * 3600, 180, 2000);
    }
    const double washing_s = chance.between(9, 14) * 3600;
    add(day, washing_s, 1200, 2000);
    add(day, washing_s + 1200, 3600, 200);
    const double cooking_s = chance.between(11.5, 12.5) * 3600;
    for (int cycle = 0; cycle < 20; ++cycle) {
        add(day, cooking_s + cycle * 120, 70, 2500);
    }
    add(day, chance.between(6.5, 8) * 3600, 1500, 3000);
}

}  // namespace

const char* name_of(Sky sky) { return sky == Sky::clear ? "clear" : sky == Sky::broken ? "broken" : "overcast"; }

std::vector<Second> synthetic_day(Sky sky, std::uint64_t seed) {
    Chance chance(seed * 1000 + static_cast<std::uint64_t>(sky));
    const auto share = transmission(sky, chance);
    std::vector<Second> day(day_s);
    double flicker = 0;
    for (int t = 0; t < day_s; ++t) {
        // A little noise with a memory of some seconds: panels, haze, meter.
        flicker = 0.8 * flicker + chance.between(-1, 1) * 0.006;
        const auto index = static_cast<std::size_t>(t);
        day[index].pv_w = std::max(0.0, clear_sky_w(t) * (share[index] + flicker));
    }
    add_household(day, chance);
    return day;
}

}  // namespace study
