#include "policy-engine/sun.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "policy-engine/schedule.hpp"

namespace policy_engine {

namespace {

using namespace std::chrono_literals;

constexpr double rise_elevation_deg = -0.833;  // 34' of refraction and 16' of the sun's radius
constexpr double minutes_per_degree = 4;       // in which the Earth turns by it
constexpr double minutes_per_turn = 24 * 60;

double radians(double degrees) { return degrees * std::numbers::pi / 180; }
double degrees(double radians) { return radians * 180 / std::numbers::pi; }
double sin_deg(double angle_deg) { return std::sin(radians(angle_deg)); }
double cos_deg(double angle_deg) { return std::cos(radians(angle_deg)); }

WallTime::duration minutes(double value) {
    return std::chrono::duration_cast<WallTime::duration>(std::chrono::duration<double, std::ratio<60>>(value));
}

struct SunPosition {
    double declination_deg = 0;
    double equation_of_time_min = 0;  ///< By how much a sundial is ahead of mean solar time.
};

// The low accuracy theory of J. Meeus, Astronomical Algorithms, chapters 22, 25 and 28, with the coefficients of the
// NOAA solar calculator: good to 0.01°. That tables count in terrestrial time (70 s ahead) makes no visible difference.
SunPosition sun_position(WallTime time) {
    constexpr WallTime epoch_2000 = std::chrono::sys_days(std::chrono::year(2000) / 1 / 1) + 12h;
    const double centuries =
        std::chrono::duration<double>(time - epoch_2000).count() / (36525.0 * minutes_per_turn * 60);

    const double mean_longitude = 280.46646 + centuries * (36000.76983 + centuries * 0.0003032);
    const double anomaly = 357.52911 + centuries * (35999.05029 - centuries * 0.0001537);
    const double eccentricity = 0.016708634 - centuries * (0.000042037 + centuries * 0.0000001267);
    const double centre = sin_deg(anomaly) * (1.914602 - centuries * (0.004817 + centuries * 0.000014)) +
                          sin_deg(2 * anomaly) * (0.019993 - centuries * 0.000101) + sin_deg(3 * anomaly) * 0.000289;
    const double moon_node = 125.04 - 1934.136 * centuries;
    const double longitude = mean_longitude + centre - 0.00569 - 0.00478 * sin_deg(moon_node);
    const double mean_obliquity = 23.4392911 - centuries * (0.0130042 + centuries * 0.00000016);
    const double obliquity = mean_obliquity + 0.00256 * cos_deg(moon_node);

    const double half_tangent = std::tan(radians(obliquity / 2));
    const double y = half_tangent * half_tangent;
    const double equation_of_time = y * sin_deg(2 * mean_longitude) - 2 * eccentricity * sin_deg(anomaly) +
                                    4 * eccentricity * y * sin_deg(anomaly) * cos_deg(2 * mean_longitude) -
                                    0.5 * y * y * sin_deg(4 * mean_longitude) -
                                    1.25 * eccentricity * eccentricity * sin_deg(2 * anomaly);
    return {.declination_deg = degrees(std::asin(sin_deg(obliquity) * sin_deg(longitude))),
            .equation_of_time_min = minutes_per_degree * degrees(equation_of_time)};
}

// Minutes since the sun stood highest; −720 to 720.
double minutes_since_noon(const Place& place, const SunPosition& sun, WallTime time) {
    const auto of_day = time - std::chrono::floor<std::chrono::days>(time);
    const double solar_time = std::chrono::duration<double, std::ratio<60>>(of_day).count() + sun.equation_of_time_min +
                              place.longitude_deg * minutes_per_degree;
    return std::remainder(solar_time - minutes_per_turn / 2, minutes_per_turn);
}

WallTime nearest_solar_noon(const Place& place, WallTime time) {
    WallTime noon = time;
    for (int i = 0; i < 3;
         ++i) {  // the equation of time moves by 30 s a day: each round brings it a thousandfold closer
        noon -= minutes(minutes_since_noon(place, sun_position(noon), noon));
    }
    return noon;
}

WallTime civil_noon(WallTime day) {
    constexpr int forenoon_min = 10 * 60;  // far enough from 12:00 for a change of the clocks earlier in the day
    const CivilTime clock = civil_time(day);
    return next_local(day - std::chrono::minutes(clock.minute - forenoon_min), 12 * 60);
}

// Where the sun passes the horizon between a moment below it and one above; it moves one way in between.
std::optional<WallTime> horizon_between(const Place& place, WallTime below, WallTime above) {
    if (sun_elevation_deg(place, below) > rise_elevation_deg || sun_elevation_deg(place, above) <= rise_elevation_deg) {
        return std::nullopt;
    }
    while (std::chrono::abs(above - below) > 10ms) {
        const WallTime middle = below + (above - below) / 2;
        (sun_elevation_deg(place, middle) > rise_elevation_deg ? above : below) = middle;
    }
    return above;
}

}  // namespace

SunTimes sun_times(const Place& place, WallTime day) {
    const WallTime noon = nearest_solar_noon(place, civil_noon(day));
    SunTimes times{.rise = horizon_between(place, noon - 12h, noon), .set = horizon_between(place, noon + 12h, noon)};
    times.always_up = !times.rise && !times.set && sun_elevation_deg(place, noon) > rise_elevation_deg;
    return times;
}

double sun_elevation_deg(const Place& place, WallTime time) {
    const SunPosition sun = sun_position(time);
    const double hour_angle_deg = minutes_since_noon(place, sun, time) / minutes_per_degree;
    const double sine = sin_deg(place.latitude_deg) * sin_deg(sun.declination_deg) +
                        cos_deg(place.latitude_deg) * cos_deg(sun.declination_deg) * cos_deg(hour_angle_deg);
    return degrees(std::asin(std::clamp(sine, -1.0, 1.0)));
}

}  // namespace policy_engine
