#include "twc-bus/stopper.hpp"

#include <doctest/doctest.h>

using namespace std::chrono_literals;
using twc_bus::StopMeans;
using twc_bus::Stopper;
using Action = Stopper::Action;
using Refusal = Stopper::Refusal;

namespace {

/// A protocol 2 unit whose car goes on at 6 A when told 0.
struct Unit {
    explicit Unit(StopMeans means) : stopper(means) {}

    /// Answers once a second; the first action within that time.
    Action pass(std::chrono::seconds duration, int granted_ca, int drawn_ca) {
        for (auto passed = 0s; passed < duration; passed += 1s) {
            now += 1s;
            stopper.on_heartbeat({.drawn_ca = drawn_ca, .protocol = protocol}, plugged, tesla, now);
            const Action action = stopper.due(granted_ca, now);
            if (action != Action::none) {
                stopper.done(action, now);
                return action;
            }
        }
        return Action::none;
    }

    Stopper stopper;
    scheduling::Instant now{};
    int protocol = 2;
    std::optional<bool> plugged = true;
    bool tesla = false;
};

}  // namespace

TEST_CASE("stopper: the usual means is to tell 0 and nothing else") {
    Unit unit(StopMeans::limit);
    CHECK(unit.pass(600s, 1000, 950) == Action::none);
    CHECK(unit.pass(600s, 0, 590) == Action::none);
    CHECK_FALSE(unit.stopper.take_refusal());
}

TEST_CASE("stopper: the contactor is opened after the first minute and half a minute at 0, with little current only") {
    Unit unit(StopMeans::contactor);
    CHECK(unit.pass(20s, 1000, 950) == Action::none);
    CHECK(unit.pass(39s, 0, 590) == Action::none);  // charging for 59 s
    CHECK(unit.pass(2s, 0, 590) == Action::open_contactor);
    CHECK(unit.pass(60s, 0, 0) == Action::none);
    CHECK(unit.pass(10s, 800, 0) == Action::close_contactor);
    CHECK(unit.pass(60s, 800, 750) == Action::none);

    Unit loaded(StopMeans::contactor);
    CHECK(loaded.pass(120s, 1000, 950) == Action::none);
    CHECK(loaded.pass(120s, 0, 950) == Action::none);
}

TEST_CASE("stopper: a Tesla is not stopped by its contactor, a unit that does not obey not more than three times") {
    Unit tesla(StopMeans::contactor);
    tesla.tesla = true;
    CHECK(tesla.pass(300s, 0, 590) == Action::none);
    CHECK(tesla.stopper.take_refusal() == Refusal::tesla);
    CHECK(tesla.pass(300s, 0, 590) == Action::none);
    CHECK_FALSE(tesla.stopper.take_refusal());

    Unit stubborn(StopMeans::contactor);
    CHECK(stubborn.pass(300s, 0, 590) == Action::open_contactor);
    CHECK(stubborn.pass(5s, 0, 590) == Action::open_contactor);
    CHECK(stubborn.pass(5s, 0, 590) == Action::open_contactor);
    CHECK(stubborn.pass(300s, 0, 590) == Action::none);
    CHECK(stubborn.stopper.take_refusal() == Refusal::does_not_obey);
}

TEST_CASE("stopper: protocol 1 units know 0 and need no other means") {
    Unit unit(StopMeans::contactor);
    unit.protocol = 1;
    CHECK(unit.pass(300s, 0, 590) == Action::none);
}

TEST_CASE("stopper: silence three times until the car was unplugged, then it is said and not used") {
    Unit unit(StopMeans::silence);
    for (int i = 0; i < 3; ++i) {
        CHECK(unit.pass(120s, 1000, 950) == Action::none);
        CHECK(unit.pass(60s, 0, 590) == Action::fall_silent);
    }
    CHECK(unit.pass(120s, 1000, 950) == Action::none);
    CHECK(unit.pass(300s, 0, 590) == Action::none);
    CHECK(unit.stopper.take_refusal() == Refusal::silence_used_up);

    unit.plugged = false;
    unit.pass(5s, 0, 0);
    unit.plugged = true;
    CHECK(unit.pass(120s, 1000, 950) == Action::none);
    CHECK(unit.pass(60s, 0, 590) == Action::fall_silent);
}
