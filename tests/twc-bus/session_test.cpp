#include "twc-bus/session.hpp"

#include <doctest/doctest.h>

using namespace std::chrono_literals;
using namespace twc_bus;

namespace {

struct Day {
    SessionMeter meter;
    scheduling::Instant now{};
    scheduling::WallTime wall{};
    std::vector<SessionEvent> events;

    void pass(std::chrono::seconds duration, double power_w, std::optional<bool> plugged) {
        for (auto passed = 0s; passed < duration; passed += 1s) {
            now += 1s;
            wall += 1s;
            for (const auto event : meter.on_reading({power_w, plugged, now, wall})) {
                events.push_back(event);
            }
        }
    }
};

}  // namespace

TEST_CASE("session: from the first current to the unplugging, pauses included") {
    Day day;
    day.pass(10s, 0, false);
    day.pass(10s, 0, true);
    day.pass(1800s, 3600, true);
    day.pass(600s, 0, true);
    day.pass(1800s, 3600, true);
    day.pass(10s, 0, false);

    CHECK(day.events == std::vector{SessionEvent::plugged, SessionEvent::session_started, SessionEvent::session_ended,
                                    SessionEvent::unplugged});
    CHECK(day.meter.totals().energy_kwh == doctest::Approx(3.6).epsilon(0.001));
    CHECK(day.meter.totals().session_kwh == day.meter.totals().energy_kwh);
    CHECK_FALSE(day.meter.totals().in_session);
}

TEST_CASE("session: energy goes on from what was counted before, and a session with it") {
    Day day;
    day.meter = SessionMeter({.energy_kwh = 100, .session_kwh = 5, .in_session = true});
    day.pass(3600s, 3600, true);
    CHECK(day.meter.totals().energy_kwh == doctest::Approx(103.6).epsilon(0.001));
    CHECK(day.meter.totals().session_kwh.value() == doctest::Approx(8.6).epsilon(0.001));
    CHECK(day.events.empty());
}

TEST_CASE("session: a car that left while nobody looked ends its session") {
    Day day;
    day.meter = SessionMeter({.energy_kwh = 100, .session_kwh = 5, .in_session = true});
    day.pass(1s, 0, false);
    CHECK(day.events == std::vector{SessionEvent::session_ended, SessionEvent::unplugged});
}

TEST_CASE("session: a gap counts as far as a unit without master may have charged") {
    Day day;
    day.pass(1s, 3600, true);
    day.now += 1h;
    day.pass(1s, 3600, true);
    CHECK(day.meter.totals().energy_kwh == doctest::Approx(0.03).epsilon(0.05));
}

TEST_CASE("session: what the unit counted while nobody here did is added, as far as it is certain") {
    Day day;
    day.pass(10s, 0, true);
    day.meter.on_unit_counter(2200, day.wall);
    day.pass(3600s, 3600, true);
    day.meter.on_unit_counter(2203, day.wall);  // 3.6 kWh here, 3 there: nothing is missing
    CHECK(day.meter.totals().energy_kwh == doctest::Approx(3.6).epsilon(0.001));

    SessionMeter restarted(day.meter.totals());
    restarted.on_unit_counter(2203, day.wall + 1h);
    CHECK(restarted.totals().energy_kwh == doctest::Approx(3.6).epsilon(0.001));
    restarted.on_unit_counter(2210, day.wall + 2h);  // at least 6 kWh flowed
    CHECK(restarted.totals().energy_kwh == doctest::Approx(9.6).epsilon(0.001));
    CHECK(*restarted.totals().session_kwh == doctest::Approx(9.6).epsilon(0.001));
}

TEST_CASE("session: a counter that jumps, falls or meets a clock that went back adds nothing") {
    SessionMeter meter;
    const scheduling::WallTime noon{12h};
    meter.on_unit_counter(2200, noon);
    meter.on_unit_counter(4194504, noon + 1h);
    CHECK(meter.totals().energy_kwh == 0);
    meter.on_unit_counter(2201, noon + 2h);
    CHECK(meter.totals().energy_kwh == 0);
    meter.on_unit_counter(2211, noon - 100h);
    CHECK(meter.totals().energy_kwh == 0);
    meter.on_unit_counter(2221, noon - 99h);
    CHECK(meter.totals().energy_kwh == doctest::Approx(9));
}
