#include "clocks/civil_time.hpp"

#include <doctest/doctest.h>

#include "contract/timestamp.hpp"
#include "support/local_zone.hpp"

using namespace clocks;

namespace {

WallTime at(const char* time) { return contract::parse_timestamp(time).value(); }

}  // namespace

TEST_CASE("civil time: clocks of the house") {
    const support::LocalZone zone("CET-1CEST,M3.5.0,M10.5.0/3");
    CHECK(civil_time(at("2026-06-01T21:30:00Z")).minute == 23 * 60 + 30);
    CHECK(civil_time(at("2026-06-01T21:30:00Z")).weekday == 0);
    CHECK(local_midnight(at("2026-06-01T21:30:00Z")) == at("2026-05-31T22:00:00Z"));
    CHECK(local_midnight(at("2026-06-01T22:30:00Z"), 1) == at("2026-06-02T22:00:00Z"));
    CHECK(local_moment(at("2026-06-01T10:00:00Z"), 0, 13 * 60) == at("2026-06-01T11:00:00Z"));
    CHECK(parse_local_time("2026-01-31 12:00:00") == at("2026-01-31T11:00:00Z"));
    CHECK_FALSE(parse_local_time("2026-02-30 12:00:00"));
    CHECK_FALSE(parse_local_time("2026-01-31T12:00:00"));
    CHECK(parse_time_of_day("06:30") == 390);
    CHECK(parse_time_of_day("6:30") == 390);
    CHECK(parse_time_of_day("24:00") == 1440);
    for (const char* wrong : {"24:01", "123:00", "12:60", "-1:00", "12:-1", "1200", "aa:bb", ""}) {
        CAPTURE(wrong);
        CHECK_FALSE(parse_time_of_day(wrong));
    }
}

TEST_CASE("civil time: a day that begins at one o'clock begins there") {
    const support::LocalZone zone("CLT4CLST,M9.1.0/0,M4.1.0/0");  // Chile: clocks jump at midnight
    CHECK(local_midnight(at("2026-09-06T12:00:00Z")) == at("2026-09-06T04:00:00Z"));
    CHECK(civil_time(local_midnight(at("2026-09-06T12:00:00Z"))).minute == 60);
}

TEST_CASE("civil time: a time that a DST night skips is where the clocks are put forward to") {
    const support::LocalZone zone("CET-1CEST,M3.5.0,M10.5.0/3");
    const WallTime evening = at("2026-03-28T20:00:00Z");
    const WallTime skipped = next_local(evening, 150);  // 02:30
    CHECK(skipped >= at("2026-03-29T01:00:00Z"));
    CHECK(skipped <= at("2026-03-29T01:30:00Z"));
    CHECK(next_local(evening, 180) == at("2026-03-29T01:00:00Z"));
    CHECK(civil_time(evening).day + 1 == civil_time(skipped).day);
    CHECK(civil_time(at("1970-01-01T12:00:00Z")).day == 0);
}

TEST_CASE("civil time: clocks go on after 2038, as wide as time_t may be") {
    const support::LocalZone zone("CET-1CEST,M3.5.0,M10.5.0/3");
    const WallTime june = at("2040-06-01T21:30:00Z");
    CHECK(civil_time(june).minute == 23 * 60 + 30);
    CHECK(local_midnight(june) == at("2040-05-31T22:00:00Z"));
    CHECK(local_moment(june, 200, 12 * 60) == at("2040-12-18T11:00:00Z"));
    CHECK(parse_local_time("2261-12-31 12:00:00") == at("2261-12-31T11:00:00Z"));
}
