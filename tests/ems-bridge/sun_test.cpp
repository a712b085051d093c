#include "ems-bridge/sun.hpp"

#include <doctest/doctest.h>

using namespace ems_bridge;

namespace {

contract::WallTime at(const char* text) { return contract::parse_timestamp(text).value(); }

}  // namespace

TEST_CASE("sun: noon and midnight at the solstices and an equinox") {
    const Place munich{.latitude_deg = 48.14, .longitude_deg = 11.58};

    // At noon the sun stands at 90° − latitude + declination (23.44° at the solstices, 0° at the equinoxes).
    CHECK(sun_elevation_deg(munich, at("2026-06-21T11:15:00Z")) == doctest::Approx(65.3).epsilon(0.01));
    CHECK(sun_elevation_deg(munich, at("2026-12-21T11:12:00Z")) == doctest::Approx(18.4).epsilon(0.03));
    CHECK(sun_elevation_deg(munich, at("2026-03-20T11:21:00Z")) == doctest::Approx(41.9).epsilon(0.02));
    CHECK(sun_is_down(munich, at("2026-06-21T23:15:00Z")));
    CHECK_FALSE(sun_is_down(munich, at("2026-06-21T11:15:00Z")));
}

TEST_CASE("sun: the other side of the earth has night at our noon") {
    const Place auckland{.latitude_deg = -36.85, .longitude_deg = 174.76};

    CHECK(sun_is_down(auckland, at("2026-06-21T12:00:00Z")));
    CHECK_FALSE(sun_is_down(auckland, at("2026-06-21T00:20:00Z")));
}
