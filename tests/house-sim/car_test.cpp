#include "house-sim/car.hpp"

#include <cmath>

#include <doctest/doctest.h>

namespace house_sim {

namespace {

void pass(Car& car, double seconds, double pilot_a, double speed = 1) {
    for (int i = 0; i < std::lround(seconds * 10); ++i) {
        car.advance({.real_s = 0.1, .day_s = 0.1 * speed}, {.pilot_a = pilot_a, .phases = 1, .voltage_v = {230, 0, 0}});
    }
}

Car charging_car(CarConfig config = {}) {
    Car car(std::move(config), 3);
    car.plug_in();
    pass(car, 60, 16);
    return car;
}

}  // namespace

TEST_CASE("car: it starts 3 to 10 s after power and stays a little below the offer") {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        CAPTURE(seed);
        Car car({}, seed);
        car.plug_in();
        CHECK(car.charging() == Car::Charging::no_power);
        pass(car, 2.9, 16);
        CHECK(car.current_a() == 0);
        CHECK(car.charging() == Car::Charging::starting);
        pass(car, 8, 16);
        CHECK(car.current_a() > 0);
        pass(car, 30, 16);
        CHECK(car.current_a() >= 16 - 1.31);
        CHECK(car.current_a() <= 16 - 0.79);
    }
}

TEST_CASE("car: from 6 A it takes ten seconds to 13 A") {
    auto car = charging_car();
    pass(car, 20, 6);
    const double before = car.current_a();

    pass(car, 10, 21);

    CHECK(car.current_a() - before == doctest::Approx(7).epsilon(0.02));
}

TEST_CASE("car: its own limit and stop win over the charger's offer") {
    auto car = charging_car();
    car.set_amps_request(8);
    pass(car, 10, 16);
    CHECK(car.current_a() == doctest::Approx(8));

    car.allow_charging(false);
    pass(car, 10, 16);
    CHECK(car.current_a() == 0);
    CHECK(car.charging() == Car::Charging::stopped);

    car.allow_charging(true);
    pass(car, 30, 16);
    CHECK(car.current_a() == doctest::Approx(8));
}

TEST_CASE("car: an opened contactor ends the current at once") {
    auto car = charging_car();

    pass(car, 0.1, 0);

    CHECK(car.current_a() == 0);
    CHECK(car.charging() == Car::Charging::no_power);
}

TEST_CASE("car: it completes at its limit, then sleeps, and wakes when called") {
    auto car = charging_car({.soc_pct = 79.9, .wake_delay_s = 15, .sleep_after_s = 60});
    pass(car, 60, 16, 60);
    CHECK(car.charging() == Car::Charging::complete);
    CHECK(car.soc_pct() == doctest::Approx(80).epsilon(0.01));

    pass(car, 90, 16);
    CHECK(car.asleep());
    car.wake();
    pass(car, 14, 16);
    CHECK(car.asleep());
    pass(car, 2, 16);
    CHECK_FALSE(car.asleep());
}

TEST_CASE("car: it takes less and less when nearly full") {
    auto car = charging_car({.soc_pct = 99, .charge_limit_pct = 100});

    CHECK(car.current_a() < 13);
    CHECK(car.current_a() > 5);
}

TEST_CASE("car: 2017 software drops on a raise until 16 A were offered for five seconds") {
    auto car = charging_car({.drops_on_raise = true});
    pass(car, 20, 8);
    pass(car, 20, 10);
    CHECK(car.current_a() == doctest::Approx(5.2));

    pass(car, 4, 16);
    pass(car, 10, 12);
    CHECK(car.current_a() == doctest::Approx(5.2));
    pass(car, 6, 16);
    pass(car, 10, 12);
    CHECK(car.current_a() > 10);
}

}  // namespace house_sim
