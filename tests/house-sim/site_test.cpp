#include "house-sim/site.hpp"

#include <cmath>

#include <doctest/doctest.h>

#include "bytes.hpp"
#include "house-sim/house_state.hpp"

namespace house_sim {

namespace {

using namespace std::chrono_literals;
using Instant = scheduling::Instant;

SiteConfig sunny(std::uint64_t seed = 1) {
    SiteConfig config;
    config.seed = seed;
    config.house.sky = Sky::clear;
    config.house.appliances = false;
    config.units = {{}};
    config.cars = {{.vin = "LRW3E7EK0NC000777"}};
    return config;
}

// A minimal master: asks for `amps` each second until echoed.
struct Driver {
    explicit Driver(const SiteConfig& config) : site(config, Instant{}) {}

    void second(double amps) {
        for (const auto& unit : site.line().units()) {
            const auto centiamps = static_cast<unsigned>(std::lround(amps * 100));
            const bool settled = unit.limit_a() == amps && amps > 0;
            const auto command = static_cast<std::uint8_t>(settled ? 0 : 9);
            const auto high = static_cast<std::uint8_t>(settled ? 0 : centiamps >> 8U);
            const auto low = static_cast<std::uint8_t>(settled ? 0 : centiamps & 0xFFU);
            const auto id = unit.id();
            site.line().receive(
                to_wire(Bytes{0xFB, 0xE0, 0x77, 0x77, static_cast<std::uint8_t>(id >> 8),
                              static_cast<std::uint8_t>(id & 0xFF), command, high, low, 0, 0, 0, 0, 0, 0}),
                now);
        }
        now += 1s;
        site.advance(now);
        const auto arrived = site.line().take(now);
        heard.insert(heard.end(), arrived.begin(), arrived.end());
    }

    void seconds(int count, double amps) {
        for (int i = 0; i < count; ++i) {
            second(amps);
        }
    }

    Site site;
    Instant now{};
    Bytes heard;
};

bool balances(const PowerFlow& flow) {
    return std::abs(flow.load_w + flow.chargers_w - flow.pv_w - flow.battery_w - flow.grid_w) < 1e-6 &&
           std::abs(flow.grid_phase_w[0] + flow.grid_phase_w[1] + flow.grid_phase_w[2] - flow.grid_w) < 1e-6;
}

}  // namespace

TEST_CASE("site: what the car draws shows in the meter") {
    Driver driver(sunny());
    driver.seconds(5, 0);
    const double before_w = driver.site.house().flow().grid_w;
    driver.site.perform(PlugIn{.car = "car1"});

    driver.seconds(60, 16);

    const auto& flow = driver.site.house().flow();
    CHECK(flow.chargers_w == doctest::Approx(15 * 230).epsilon(0.05));
    CHECK(flow.grid_w - before_w == doctest::Approx(flow.chargers_w).epsilon(0.1));
}

TEST_CASE("site: power balances at every instant, whatever happens") {
    for (std::uint64_t seed = 1; seed <= 4; ++seed) {
        CAPTURE(seed);
        Random random(seed);
        auto config = sunny(seed);
        config.house.phases = seed % 2 == 0 ? 3 : 1;
        config.house.inverter_phases = config.house.phases;
        config.house.sky = Sky::broken;
        config.house.appliances = true;
        config.house.battery.capacity_kwh = seed > 2 ? 13.5 : 0;
        config.units = {{.id = 0x1111}, {.id = 0x2222, .phases = config.house.phases}};
        config.cars = {{.name = "a"}, {.name = "b", .phases = 3}};
        config.speed = 30;
        Driver driver(config);
        for (int second = 0; second < 1500; ++second) {
            if (random.chance(0.01)) {
                driver.site.perform(random.chance(0.3) ? Action{Unplug{"a"}}
                                                       : Action{PlugIn{.car = "a", .unit = "1111"}});
            }
            if (random.chance(0.01)) {
                driver.site.perform(PlugIn{.car = "b", .unit = "2222"});
            }
            if (random.chance(0.01)) {
                driver.site.perform(AddLoad{.watts = random.uniform(0, 6000), .lasts_s = 200});
            }
            driver.second(std::floor(random.uniform(0, 20)));
            REQUIRE(balances(driver.site.house().flow()));
        }
        CHECK(driver.site.house().energies().pv_wh > 4'321'000);
    }
}

TEST_CASE("site: the same seed and bytes give the same day however often it is advanced") {
    Driver first(sunny(9));
    Driver second(sunny(9));
    for (auto* driver : {&first, &second}) {
        driver->site.perform(PlugIn{.car = "car1"});
    }
    for (int i = 0; i < 100; ++i) {
        first.second(12);
        for (int part = 1; part < 10; ++part) {
            second.site.advance(second.now);
        }
        second.second(12);
    }

    CHECK(contract::to_json(describe(first.site)) == contract::to_json(describe(second.site)));
    CHECK(first.heard == second.heard);

    Driver other(sunny(10));
    other.site.perform(PlugIn{.car = "car1"});
    other.seconds(100, 12);
    CHECK(first.heard != other.heard);
}

TEST_CASE("site: a master that falls silent opens the contactor and the meter shows it") {
    Driver driver(sunny());
    driver.site.perform(PlugIn{.car = "car1"});
    driver.seconds(60, 10);
    REQUIRE(driver.site.house().flow().chargers_w > 1500);

    driver.site.advance(driver.now + 24s);
    CHECK(driver.site.house().flow().chargers_w > 1500);
    driver.site.advance(driver.now + 27s);

    CHECK(driver.site.house().flow().chargers_w == 0);
    CHECK(driver.site.line().units()[0].trips() == 1);
}

TEST_CASE("site: the battery takes the surplus within seconds and stays inside its limits") {
    auto config = sunny();
    config.house.battery = {.capacity_kwh = 10, .max_charge_w = 3000, .max_discharge_w = 3000, .soc_pct = 50};
    Driver driver(config);
    driver.seconds(20, 0);
    CHECK(driver.site.house().flow().battery_w == doctest::Approx(-3000).epsilon(0.01));

    driver.site.perform(AddLoad{.watts = 20000, .lasts_s = 600});
    driver.seconds(20, 0);
    CHECK(driver.site.house().flow().battery_w == doctest::Approx(3000).epsilon(0.01));
    CHECK(driver.site.house().flow().grid_w > 0);
}

TEST_CASE("site: a cloud by hand takes some ten seconds to come and goes again") {
    Driver driver(sunny());
    driver.seconds(60, 0);
    const double clear_w = driver.site.house().flow().pv_w;

    driver.site.perform(ForceCloud{.factor = 0.3, .lasts_s = 60});
    driver.seconds(5, 0);
    CHECK(driver.site.house().flow().pv_w < clear_w * 0.8);
    CHECK(driver.site.house().flow().pv_w > clear_w * 0.4);
    driver.seconds(10, 0);
    CHECK(driver.site.house().flow().pv_w == doctest::Approx(clear_w * 0.3).epsilon(0.05));
    driver.seconds(100, 0);
    CHECK(driver.site.house().flow().pv_w > clear_w * 0.9);
}

TEST_CASE("site: skies differ as skies do") {
    const auto day_kwh = [](Sky sky) {
        SiteConfig config = sunny(5);
        config.house.sky = sky;
        config.house.start_s = 0;
        config.speed = 100;
        Site site(config, Instant{});
        const double before = site.house().energies().pv_wh;
        site.advance(Instant{} + 863s);
        return (site.house().energies().pv_wh - before) / 1000;
    };
    const double clear = day_kwh(Sky::clear);
    CHECK(clear > 50);
    CHECK(clear < 75);
    CHECK(day_kwh(Sky::broken) < clear * 0.9);
    CHECK(day_kwh(Sky::broken) > clear * 0.5);
    CHECK(day_kwh(Sky::overcast) < clear * 0.3);
}

TEST_CASE("site: the script acts at its times of the day and of the clock") {
    auto config = sunny();
    config.house.start_s = 10 * 3600;
    config.speed = 60;
    config.script = {
        {.second_of_day = 10 * 3600.0 + 600,
         .after_real_s = std::nullopt,
         .action = PlugIn{.car = "car1", .soc_pct = 40}},
        {.second_of_day = std::nullopt, .after_real_s = 30, .action = Unplug{"car1"}},
        {.second_of_day = std::nullopt, .after_real_s = 31, .action = PlugIn{.car = "car1", .unit = "9999"}}};
    Driver driver(config);

    driver.seconds(9, 0);
    CHECK_FALSE(driver.site.cars()[0].plugged());
    driver.seconds(2, 0);
    CHECK(driver.site.cars()[0].plugged());
    CHECK(driver.site.cars()[0].soc_pct() == doctest::Approx(40));
    driver.seconds(20, 0);
    CHECK_FALSE(driver.site.cars()[0].plugged());
    driver.seconds(2, 0);
    CHECK(driver.site.take_problems() == std::vector<std::string>{"there is no unit \"9999\""});
}

TEST_CASE("site: faults end by themselves after their time") {
    Driver driver(sunny());
    driver.site.perform(SetFault{.device = "modbus", .kind = "error", .lasts_s = 5});
    driver.site.perform(SetFault{.device = "tesla", .kind = "rate_limited", .lasts_s = 0});
    driver.site.perform(SetFault{.device = "line", .kind = "cut", .lasts_s = 3});
    CHECK(driver.site.fault(Device::modbus) == Fault::error);
    CHECK(driver.site.line().cut());

    driver.seconds(6, 0);

    CHECK(driver.site.fault(Device::modbus) == Fault::none);
    CHECK(driver.site.fault(Device::tesla) == Fault::rate_limited);
    CHECK_FALSE(driver.site.line().cut());
    CHECK_THROWS_AS(driver.site.perform(SetFault{.device = "modbus", .kind = "unauthorized"}), std::invalid_argument);
}

}  // namespace house_sim
