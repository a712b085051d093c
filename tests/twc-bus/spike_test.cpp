#include "twc-bus/spike.hpp"

#include <algorithm>
#include <vector>

#include <doctest/doctest.h>

using namespace std::chrono_literals;
using twc_bus::Spike;
using twc_bus::SpikeSettings;

namespace {

/// A unit that echoes at once and whose car draws what is said.
struct Unit {
    explicit Unit(SpikeSettings settings, int unit_rating_ca = 3200) : spike(settings), rating_ca(unit_rating_ca) {}

    /// What is asked for, second by second.
    std::vector<int> ask(int wish_ca, int drawn_ca, int seconds) {
        std::vector<int> asked;
        for (int i = 0; i < seconds; ++i) {
            now += 1s;
            spike.on_heartbeat({.limit_ca = granted_ca, .drawn_ca = drawn_ca}, now);
            granted_ca = spike.instead_of(wish_ca, granted_ca, rating_ca, now).value_or(wish_ca);
            asked.push_back(granted_ca);
        }
        return asked;
    }
    static int count(const std::vector<int>& asked, int ca) { return static_cast<int>(std::ranges::count(asked, ca)); }

    Spike spike;
    int rating_ca;
    int granted_ca = 0;
    scheduling::Instant now{};
};

}  // namespace

TEST_CASE("spike: without a setting nothing is ever asked beside the wish") {
    Unit unit({});
    CHECK(Unit::count(unit.ask(1000, 900, 10), 1000) == 10);
    CHECK(Unit::count(unit.ask(1400, 520, 60), 1400) == 60);
}

TEST_CASE("spike: a raise of a charging car goes through 16 A for 5 s") {
    Unit unit({.on_raise = true});
    CHECK(Unit::count(unit.ask(800, 0, 5), 800) == 5);  // not charging: no raise for the car
    CHECK(Unit::count(unit.ask(800, 720, 20), 800) == 20);
    const auto asked = unit.ask(1000, 720, 20);
    CHECK(asked.front() == 1600);
    CHECK(Unit::count(asked, 1600) >= 6);
    CHECK(Unit::count(asked, 1600) <= 8);
    CHECK(asked.back() == 1000);
    CHECK(Unit::count(unit.ask(800, 900, 10), 800) == 10);    // lowering needs none
    CHECK(Unit::count(unit.ask(1800, 720, 10), 1800) == 10);  // above it anyway
}

TEST_CASE("spike: big units get 21 A, a setting decides otherwise") {
    Unit big({.on_raise = true}, 8000);
    big.ask(800, 720, 5);
    CHECK(big.ask(1000, 720, 2).front() == 2100);
    Unit own({.on_raise = true, .ca = 1300});
    own.ask(800, 720, 5);
    CHECK(own.ask(1000, 720, 2).front() == 1300);
}

TEST_CASE("spike: a car stuck below its limit for 10 s is woken, not more than once a minute") {
    Unit unit({.when_stuck = true});
    unit.ask(1400, 1300, 5);
    const auto asked = unit.ask(1400, 520, 60);
    CHECK(std::vector<int>(asked.begin(), asked.begin() + 9) == std::vector<int>(9, 1400));
    const int held = Unit::count(asked, 1600);
    CHECK(held >= 6);
    CHECK(held <= 8);
    CHECK(Unit::count(unit.ask(1400, 520, 60), 1600) >= 6);
    CHECK(Unit::count(unit.ask(1400, 0, 60), 1600) == 0);  // that is a car that stopped
}

TEST_CASE("spike: refused by the limits, it is not asked again for a minute") {
    Unit unit({.on_raise = true});
    unit.ask(800, 720, 5);
    CHECK(unit.ask(1000, 720, 1).front() == 1600);
    unit.spike.refused(unit.now);
    CHECK(Unit::count(unit.ask(1100, 720, 30), 1600) == 0);
}

TEST_CASE("spike: one that is never echoed ends after 10 s, and a wish of 0 ends it at once") {
    Spike spike({.on_raise = true});
    scheduling::Instant now{};
    const auto ask = [&](int wish_ca) {
        now += 1s;
        spike.on_heartbeat({.limit_ca = 800, .drawn_ca = 720}, now);
        return spike.instead_of(wish_ca, 800, 3200, now);
    };
    CHECK_FALSE(ask(800));
    int asked = 0;
    for (int i = 0; i < 20; ++i) {
        asked += ask(1000) ? 1 : 0;
    }
    CHECK(asked == 10);
    now += 2min;
    CHECK(ask(1100));
    CHECK_FALSE(ask(0));
    CHECK_FALSE(ask(0));
}
