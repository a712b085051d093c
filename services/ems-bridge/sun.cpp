#include "ems-bridge/sun.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numbers>

namespace ems_bridge {

double sun_elevation_deg(const Place& place, contract::WallTime time) {
    constexpr double radians = std::numbers::pi / 180;
    constexpr double seconds_per_day = 86400;
    constexpr double j2000_epoch_s = 946728000;  // 2000-01-01 12:00 UTC
    const double days =
        (std::chrono::duration<double>(time.time_since_epoch()).count() - j2000_epoch_s) / seconds_per_day;
    const double mean_longitude = 280.460 + 0.9856474 * days;
    const double mean_anomaly = (357.528 + 0.9856003 * days) * radians;
    const double ecliptic_longitude =
        (mean_longitude + 1.915 * std::sin(mean_anomaly) + 0.020 * std::sin(2 * mean_anomaly)) * radians;
    const double obliquity = (23.439 - 0.0000004 * days) * radians;
    const double right_ascension =
        std::atan2(std::cos(obliquity) * std::sin(ecliptic_longitude), std::cos(ecliptic_longitude));
    const double declination = std::asin(std::sin(obliquity) * std::sin(ecliptic_longitude));
    constexpr double degrees_per_hour = 15;
    constexpr double hours_per_day = 24;
    const double sidereal_hours = 18.697374558 + 24.06570982441908 * days;
    const double local_sidereal =
        (std::fmod(sidereal_hours, hours_per_day) * degrees_per_hour + place.longitude_deg) * radians;
    const double hour_angle = local_sidereal - right_ascension;
    const double latitude = place.latitude_deg * radians;
    const double sine =
        std::sin(latitude) * std::sin(declination) + std::cos(latitude) * std::cos(declination) * std::cos(hour_angle);
    return std::asin(std::clamp(sine, -1.0, 1.0)) / radians;
}

bool sun_is_down(const Place& place, contract::WallTime time) {
    constexpr double surely_dark_deg = -3;
    return sun_elevation_deg(place, time) < surely_dark_deg;
}

}  // namespace ems_bridge
