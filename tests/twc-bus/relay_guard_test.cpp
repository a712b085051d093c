#include "twc-bus/relay_guard.hpp"

#include <doctest/doctest.h>

using namespace std::chrono_literals;
using twc_bus::RelayGuard;

namespace {

struct Unit {
    RelayGuard guard{60s};
    scheduling::Instant now{};

    void draw(int drawn_ca, std::chrono::seconds duration) {
        for (auto passed = 0s; passed < duration; passed += 1s) {
            now += 1s;
            guard.on_heartbeat({.drawn_ca = drawn_ca}, now);
        }
    }
};

}  // namespace

TEST_CASE("relay guard: a contactor rests after the current ended") {
    Unit unit;
    unit.draw(25, 10s);  // the calibration error of an idle unit
    CHECK_FALSE(unit.guard.rests(unit.now));
    unit.draw(1600, 10s);
    CHECK_FALSE(unit.guard.rests(unit.now));
    unit.draw(25, 3s);
    CHECK(unit.guard.rests(unit.now));
    unit.draw(0, 60s);
    CHECK_FALSE(unit.guard.rests(unit.now));
}

TEST_CASE("relay guard: one answer without current is no end") {
    Unit unit;
    unit.draw(1600, 10s);
    unit.draw(0, 1s);
    unit.draw(1600, 1s);
    CHECK_FALSE(unit.guard.rests(unit.now));
}

TEST_CASE("relay guard: six closings within ten minutes are told of, once an hour") {
    Unit unit;
    for (int cycle = 0; cycle < 5; ++cycle) {
        unit.draw(1600, 30s);
        unit.draw(0, 30s);
    }
    CHECK_FALSE(unit.guard.take_chatter(unit.now));
    unit.draw(1600, 5s);
    CHECK(unit.guard.take_chatter(unit.now));
    CHECK_FALSE(unit.guard.take_chatter(unit.now));
    unit.draw(1600, 3600s);
    CHECK_FALSE(unit.guard.take_chatter(unit.now));
    for (int cycle = 0; cycle < 6; ++cycle) {
        unit.draw(0, 10s);
        unit.draw(1600, 10s);
    }
    CHECK(unit.guard.take_chatter(unit.now));
}
