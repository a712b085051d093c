#include "policy-engine/sun.hpp"

#include <cmath>
#include <random>

#include <doctest/doctest.h>

#include "contract/timestamp.hpp"
#include "support/local_zone.hpp"

using namespace policy_engine;
using namespace std::chrono_literals;
using support::LocalZone;
using support::utc;

namespace {

double minutes_between(WallTime a, WallTime b) {
    return std::abs(std::chrono::duration<double, std::ratio<60>>(a - b).count());
}

}  // namespace

TEST_CASE("sun: rise and set are those of published tables") {
    struct Row {
        const char* source;
        const char* zone;
        Place place;
        WallTime rise;
        WallTime set;
        double within_min;
    };
    const Row rows[] = {
        {"London, summer solstice: table of the Houses of Parliament",
         "Europe/London",
         {51.5, -0.125},
         utc(2025, 6, 21, 3, 42, 38),
         utc(2025, 6, 21, 20, 22, 6),
         1},
        {"Chicago, leap day: US Naval Observatory, MICA",
         "America/Chicago",
         {41.88, -87.63},
         utc(2024, 2, 29, 12, 26),
         utc(2024, 2, 29, 23, 41),
         2},
        {"Cupertino, New Year",
         "America/Los_Angeles",
         {37.3229978, -122.0321823},
         utc(2024, 1, 1, 15, 22, 13),
         utc(2024, 1, 2, 1, 0, 33),
         1},
        {"Sydney, New Year: city table",
         "Australia/Sydney",
         {-33.87, 151.21},
         utc(2025, 12, 31, 18, 48),
         utc(2026, 1, 1, 9, 10),
         2},
        {"Sydney, 1 July", "Australia/Sydney", {-33.87, 151.21}, utc(2026, 6, 30, 21, 2), utc(2026, 7, 1, 6, 57), 2},
    };
    for (const auto& row : rows) {
        CAPTURE(row.source);
        const LocalZone zone(row.zone);
        const auto times = sun_times(row.place, row.set);
        REQUIRE(times.rise);
        REQUIRE(times.set);
        CAPTURE(contract::format_timestamp(*times.rise));
        CAPTURE(contract::format_timestamp(*times.set));
        CHECK(minutes_between(*times.rise, row.rise) < row.within_min);
        CHECK(minutes_between(*times.set, row.set) < row.within_min);
        CHECK_FALSE(times.always_up);
    }
}

TEST_CASE("sun: agrees with the example of the solar position algorithm of NREL") {
    const LocalZone zone("America/Denver");
    const Place golden{39.742476, -105.1786};
    // NREL/TP-560-34302 counts by the day in universal time: its sunset is that of the evening before.
    CHECK(minutes_between(sun_times(golden, utc(2003, 10, 17, 12)).rise.value(), utc(2003, 10, 17, 13, 12, 43)) < 0.1);
    CHECK(minutes_between(sun_times(golden, utc(2003, 10, 16, 12)).set.value(), utc(2003, 10, 17, 0, 20, 19)) < 0.1);
    // Before refraction.
    CHECK(sun_elevation_deg(golden, utc(2003, 10, 17, 19, 30, 30)) == doctest::Approx(39.872).epsilon(0.0005));
}

TEST_CASE("sun: stands over the equator at the equinox") {
    // 2024-03-20 03:06 UTC
    CHECK(sun_elevation_deg({0, 180}, utc(2024, 3, 20, 0, 7)) > 89);
    CHECK(sun_elevation_deg({0, 0}, utc(2024, 3, 20, 0, 7)) < -89);
    CHECK(std::abs(sun_elevation_deg({90, 0}, utc(2024, 3, 20, 3, 6))) < 0.02);
}

TEST_CASE("sun: midnight sun and polar night have neither rise nor set") {
    const LocalZone zone("Europe/Oslo");
    const Place north{70.15, 9.15};
    const auto summer = sun_times(north, utc(2017, 6, 21, 10));
    CHECK_FALSE(summer.rise);
    CHECK_FALSE(summer.set);
    CHECK(summer.always_up);
    const auto winter = sun_times(north, utc(2017, 12, 21, 10));
    CHECK_FALSE(winter.rise);
    CHECK_FALSE(winter.set);
    CHECK_FALSE(winter.always_up);
    CHECK(sun_times({90, 0}, utc(2026, 6, 1)).always_up);
    CHECK_FALSE(sun_times({-90, 0}, utc(2026, 6, 1)).always_up);

    // The nights grow shorter until they end: on some evening the sun sets after midnight for the last time.
    bool sets_after_midnight = false;
    for (int day = 1; day <= 31; ++day) {
        const auto times = sun_times(north, utc(2017, 5, day, 10));
        sets_after_midnight = sets_after_midnight || (times.set && *times.set > utc(2017, 5, day, 22));
    }
    CHECK(sets_after_midnight);
}

TEST_CASE("sun: every moment of a civil day has the same times, on days of 23 and 25 hours too") {
    const LocalZone zone("Europe/Berlin");
    const Place berlin{52.52, 13.4};
    for (const WallTime midnight : {utc(2026, 3, 28, 23), utc(2026, 10, 24, 22), utc(2028, 2, 28, 23)}) {
        const auto times = sun_times(berlin, midnight);
        REQUIRE(times.rise);
        CHECK(*times.rise > midnight);
        CHECK(*times.set < midnight + 23h);
        for (auto time = midnight; time < midnight + 23h; time += 7min) {
            REQUIRE(sun_times(berlin, time) == times);
        }
        CHECK(sun_times(berlin, midnight - 1s) != times);
    }
}

TEST_CASE("sun: rises before noon and sets after it, as long before as after, where it crosses the horizon") {
    const unsigned seed = 20260601;
    CAPTURE(seed);
    std::mt19937 random(seed);
    std::uniform_real_distribution<double> latitude(-60, 60);
    std::uniform_real_distribution<double> longitude(-180, 180);
    std::uniform_int_distribution<int> day(0, 36524);
    for (int i = 0; i < 500; ++i) {
        const Place place{latitude(random), longitude(random)};
        const WallTime when = utc(2000, 1, 1) + std::chrono::hours(24 * day(random));
        CAPTURE(place.latitude_deg);
        CAPTURE(place.longitude_deg);
        CAPTURE(contract::format_timestamp(when));
        const auto times = sun_times(place, when);
        REQUIRE(times.rise);
        REQUIRE(times.set);
        const WallTime middle = *times.rise + (*times.set - *times.rise) / 2;
        CHECK(*times.rise < *times.set);
        CHECK(sun_elevation_deg(place, *times.rise) == doctest::Approx(-0.833).epsilon(0.001));
        CHECK(sun_elevation_deg(place, *times.set) == doctest::Approx(-0.833).epsilon(0.001));
        CHECK(sun_elevation_deg(place, *times.rise - 5min) < -0.833);
        CHECK(sun_elevation_deg(place, *times.set + 5min) < -0.833);
        // Solar noon, where it stands highest, is in the middle but for what the declination moves in between.
        CHECK(sun_elevation_deg(place, middle) > sun_elevation_deg(place, middle - 20min));
        CHECK(sun_elevation_deg(place, middle) > sun_elevation_deg(place, middle + 20min));
    }
}
