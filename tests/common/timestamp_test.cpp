#include "contract/timestamp.hpp"

#include <cstdlib>
#include <ctime>
#include <random>

#include <doctest/doctest.h>

#include "support/local_zone.hpp"

using namespace contract;
using namespace std::chrono;
using namespace std::chrono_literals;

namespace {

// POSIX rules, so that no zone database is needed: Berlin and Newfoundland.
constexpr const char* berlin = "CET-1CEST,M3.5.0,M10.5.0/3";
constexpr const char* newfoundland = "NST3:30NDT,M3.2.0,M11.1.0";

}  // namespace

TEST_CASE("timestamp: is written with milliseconds and the offset of that moment") {
    const support::LocalZone zone(berlin);

    CHECK(format_timestamp(sys_days(2026y / 1 / 31) + 11h + 250ms) == "2026-01-31T12:00:00.250+01:00");
    CHECK(format_timestamp(sys_days(2026y / 7 / 31) + 11h) == "2026-07-31T13:00:00.000+02:00");
    CHECK(format_timestamp(sys_days(1969y / 12 / 31) + 23h + 59min + 59s + 999ms) == "1970-01-01T00:59:59.999+01:00");
}

TEST_CASE("timestamp: the hour that comes twice in autumn stays two different hours") {
    const support::LocalZone zone(berlin);
    const WallTime first = sys_days(2026y / 10 / 25) + 0h + 30min;

    CHECK(format_timestamp(first) == "2026-10-25T02:30:00.000+02:00");
    CHECK(format_timestamp(first + 1h) == "2026-10-25T02:30:00.000+01:00");
    CHECK(parse_timestamp(format_timestamp(first)) == first);
    CHECK(parse_timestamp(format_timestamp(first + 1h)) == first + 1h);
    CHECK(format_timestamp(sys_days(2026y / 3 / 29) + 1h) == "2026-03-29T03:00:00.000+02:00");
}

TEST_CASE("timestamp: offsets west of Greenwich and of half an hour") {
    const support::LocalZone zone(newfoundland);

    CHECK(format_timestamp(sys_days(2026y / 1 / 31) + 12h) == "2026-01-31T08:30:00.000-03:30");
    CHECK(parse_timestamp("2026-01-31T08:30:00-03:30") == sys_days(2026y / 1 / 31) + 12h);
}

TEST_CASE("timestamp: reads fractions of any length and Z") {
    const WallTime noon = sys_days(2026y / 1 / 31) + 12h;

    CHECK(parse_timestamp("2026-01-31T12:00:00Z") == noon);
    CHECK(parse_timestamp("2026-01-31T12:00:00.5Z") == noon + 500ms);
    CHECK(parse_timestamp("2026-01-31T12:00:00.123456789Z") == noon + 123ms);
    CHECK(parse_timestamp("2026-01-31T12:00:60Z") == noon + 60s);
    CHECK(parse_timestamp("2026-01-31T12:00:00+14:00") == noon - 14h);
}

TEST_CASE("timestamp: leap days exist in leap years only") {
    CHECK(parse_timestamp("2028-02-29T00:00:00Z").has_value());
    CHECK_FALSE(parse_timestamp("2026-02-29T00:00:00Z").has_value());
    CHECK_FALSE(parse_timestamp("2100-02-29T00:00:00Z").has_value());
}

TEST_CASE("timestamp: what is not a full time with an offset is none") {
    for (const char* bad : {"",
                            "2026",
                            "2026-01-31",
                            "2026-01-31T12:00:00",
                            "2026-01-31 12:00:00Z",
                            "2026-1-31T12:00:00Z",
                            "2026-13-01T12:00:00Z",
                            "2026-00-01T12:00:00Z",
                            "2026-01-00T12:00:00Z",
                            "2026-01-31T24:00:00Z",
                            "2026-01-31T12:60:00Z",
                            "2026-01-31T12:00:61Z",
                            "2026-01-31T12:00:00.Z",
                            "2026-01-31T12:00:00+1:00",
                            "2026-01-31T12:00:00+0100",
                            "2026-01-31T12:00:00+15:00",
                            "2026-01-31T12:00:00Zx",
                            "-026-01-31T12:00:00Z",
                            "+026-01-31T12:00:00Z",
                            "2026-01-31T-2:00:00Z",
                            "2026-01-31T12:00:00z"}) {
        CAPTURE(bad);
        CHECK_FALSE(parse_timestamp(bad).has_value());
    }
}

TEST_CASE("timestamp: years that nanoseconds cannot hold are none") {
    CHECK_FALSE(parse_timestamp("0001-01-01T00:00:00Z").has_value());
    CHECK_FALSE(parse_timestamp("1969-12-31T00:00:00Z").has_value());
    CHECK_FALSE(parse_timestamp("9999-12-31T23:59:59Z").has_value());
    CHECK(parse_timestamp("1970-01-01T00:00:00Z") == WallTime{});
    CHECK(parse_timestamp("2261-12-31T23:59:59Z").has_value());
}

TEST_CASE("timestamp: any moment survives writing and reading") {
    const support::LocalZone zone(berlin);
    constexpr unsigned seed = 5;
    CAPTURE(seed);
    std::mt19937_64 random(seed);
    for (int i = 0; i < 2000; ++i) {
        const WallTime moment{milliseconds(random() % (200ULL * 366 * 86400 * 1000))};
        REQUIRE(parse_timestamp(format_timestamp(moment)) == moment);
    }
}
