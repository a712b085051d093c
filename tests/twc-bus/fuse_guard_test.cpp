#include "twc-bus/fuse_guard.hpp"

#include <algorithm>

#include <doctest/doctest.h>

using namespace std::chrono_literals;
using scheduling::Instant;
using twc_bus::FuseGuard;

namespace {

constexpr int fuse_ca = 3500;

/// One conductor, one sample a second, and time passes until it is judged.
struct House {
    void sample(int others_a, int chargers_a, Instant::duration age = 0s) {
        now += 1s;
        guard.on_drawn({chargers_a * 100, 0, 0}, now);
        guard.on_sample({(others_a + chargers_a) * 100, std::nullopt, std::nullopt}, now - age, now);
    }
    void samples(int count, int others_a, int chargers_a) {
        for (int i = 0; i < count; ++i) {
            sample(others_a, chargers_a);
        }
    }
    int room_ca() const { return guard.limits().at(0).ca; }

    Instant now = Instant{} + 1h;
    FuseGuard guard{fuse_ca, now};
};

}  // namespace

TEST_CASE("fuse guard: leaves what the house does not draw") {
    House house;
    house.samples(3, 10, 0);
    CHECK(house.room_ca() == 2500);
    REQUIRE(house.guard.limits().size() == 1);
    CHECK(house.guard.limits()[0].line == 0);
    house.samples(20, 10, 20);
    CHECK(house.room_ca() == 2500);
    house.samples(20, -10, 20);  // the sun: what is exported can be used, but the fuse is what it is
    CHECK(house.room_ca() == 3500);
}

TEST_CASE("fuse guard: more draw counts within two seconds, an overload at once, less once it has lasted") {
    House house;
    house.samples(20, 10, 0);
    house.samples(3, 22, 0);
    CHECK(house.room_ca() == 1300);
    house.samples(9, 5, 0);
    CHECK(house.room_ca() == 1300);
    house.samples(4, 5, 0);
    CHECK(house.room_ca() == 3000);

    house.samples(20, 5, 28);
    CHECK(house.room_ca() == 3000);
    house.sample(15, 28);
    CHECK(house.room_ca() == 2000);
    CHECK(house.guard.overloaded_line() == 0);
}

TEST_CASE("fuse guard: a charger that follows its limit is no change of the house, however meter and reports lag") {
    for (const int meter_lag_s : {-1, 0, 1, 2}) {
        CAPTURE(meter_lag_s);
        House house;
        house.samples(20, 10, 0);
        const auto drawn_a = [](int second) { return std::clamp(2 * second, 0, 24); };
        for (int second = 0; second < 60; ++second) {
            house.now += 1s;
            house.guard.on_drawn({drawn_a(second) * 100, 0, 0}, house.now);
            house.guard.on_sample({(10 + drawn_a(second - meter_lag_s)) * 100, std::nullopt, std::nullopt}, house.now,
                                  house.now);
            CHECK(house.room_ca() == 2500);
        }
    }
}

TEST_CASE("fuse guard: an overload names its conductor") {
    House house;
    CHECK_FALSE(house.guard.overloaded_line());
    house.guard.on_sample({1000, 3600, 0}, house.now, house.now);
    CHECK(house.guard.overloaded_line() == 1);
    REQUIRE(house.guard.limits().size() == 1);
    CHECK(house.guard.limits()[0].ca == 0);
    CHECK(house.guard.limits()[0].name == "the house fuse on L2");
    house.guard.on_sample({1000, 3500, 0}, house.now, house.now);
    CHECK_FALSE(house.guard.overloaded_line());
}

TEST_CASE("fuse guard: without a fresh sample it is blind, then lost, and a sample without currents is none") {
    House house;
    CHECK(house.guard.is_blind(house.now));
    CHECK_FALSE(house.guard.is_lost(house.now));
    house.samples(3, 10, 0);
    CHECK_FALSE(house.guard.is_blind(house.now));
    house.sample(10, 0, 12s);  // repeated by a bridge whose meter is silent
    CHECK(house.guard.is_blind(house.now));
    house.sample(10, 0);
    const Instant heard = house.now;
    CHECK(house.guard.changes_at(heard) == heard + 10s);
    house.now += 10s;
    house.guard.on_sample({}, house.now, house.now);
    CHECK(house.guard.is_blind(house.now));
    CHECK(house.guard.changes_at(house.now) == heard + 60s);
    house.now = heard + 60s;
    CHECK(house.guard.is_lost(house.now));
    CHECK(house.room_ca() == 2500);  // what was known last still binds
}
