// What prices, plans, batteries, limits and cars change about a decision.

#include <doctest/doctest.h>

#include "policy-engine/charger_memory.hpp"
#include "policy-engine/plans.hpp"
#include "policy-engine/surplus.hpp"
#include "policy-engine/tariff.hpp"
#include "site.hpp"
#include "support/local_zone.hpp"

using namespace policy_engine;
using namespace std::chrono_literals;
using support::LocalZone;

namespace {

contract::TariffSlot slot(WallTime start, double import_price, std::optional<double> export_price = {}) {
    return {.start = start, .end = start + 1h, .import_price = import_price, .export_price = export_price};
}

std::vector<VehicleCommand> commands_named(const Decision& decision, const std::string& name) {
    std::vector<VehicleCommand> found;
    std::ranges::copy_if(decision.commands, std::back_inserter(found),
                         [&](const VehicleCommand& command) { return command.command == name; });
    return found;
}

}  // namespace

TEST_CASE("tariff: prices come from the slot in force, and a setting outranks it") {
    Settings settings;
    Inputs inputs;
    inputs.wall = WallTime{100h};
    CHECK_FALSE(prices_in_force(settings, inputs).import_price);
    inputs.tariff = {slot(WallTime{100h}, 0.30, 0.08), slot(WallTime{102h}, 0.10)};
    CHECK(prices_in_force(settings, inputs).import_price == 0.30);
    CHECK(grid_weight(settings, prices_in_force(settings, inputs)) == doctest::Approx(3.75));
    CHECK(mean_import_price(inputs.tariff, inputs.wall) == doctest::Approx(0.20));
    inputs.wall = WallTime{101h};
    CHECK_FALSE(prices_in_force(settings, inputs).import_price);  // a gap is unknown
    inputs.wall = WallTime{103h} - 1s;
    CHECK(prices_in_force(settings, inputs).import_price == 0.10);
    settings.import_price = 0.25;
    CHECK(prices_in_force(settings, inputs).import_price == 0.25);
    CHECK(forecast_kwh({{.start = WallTime{100h}, .end = WallTime{104h}, .pv_w = 2000}}, inputs.wall, WallTime{104h}) ==
          doctest::Approx(2.0).epsilon(0.001));
    CHECK_FALSE(forecast_kwh({}, inputs.wall, WallTime{104h}));
}

TEST_CASE("tariff: a negative price makes the grid as light as it can be") {
    Settings settings;
    CHECK(grid_weight(settings, {-0.05, 0.08, {}}) == 0.1);
    CHECK(grid_weight(settings, {0.30, -0.01, {}}) == 10);
}

TEST_CASE("wishes: a cheap hour charges at full current and ends with its price") {
    SteppedSite site;
    site.settings.cheap_price = 0.15;
    site.inputs.tariff = {slot(site.inputs.wall, 0.12), slot(site.inputs.wall + 1h, 0.30)};
    site.config.site.wiring_max_a = 16;
    site.run(-500, 60);
    CHECK(site.target() == 16);
    CHECK(site.reason() == Reason::cheap);
    site.inputs.wall += 1h;
    site.run(-500, 400);
    CHECK(site.target() == 0);
    SUBCASE("not while charging is switched off") {
        site.inputs.wall -= 1h;
        site.settings.mode = Mode::off;
        site.run(-500, 10);
        CHECK(site.target() == 0);
        CHECK(site.reason() == Reason::mode_off);
    }
}

TEST_CASE("wishes: a car below its least charge charges at once, from wherever") {
    SteppedSite site;
    site.config.vehicles = {{.alias = "blue"}};
    site.settings.vehicles = {{.alias = "blue", .min_soc_pct = 30}};
    site.inputs.vehicles = {{.alias = "blue", .plugged = true, .at_home = true, .soc_pct = 25}};
    site.config.site.wiring_max_a = 20;
    site.run(-300, 30);
    CHECK(site.reason() == Reason::minimum_charge);
    CHECK(site.target() == 20);
    site.inputs.vehicles.front().soc_pct = 31;
    site.run(-300, 3);
    CHECK(site.reason() != Reason::minimum_charge);
    site.inputs.vehicles.front().soc_pct.reset();  // unknown is not empty
    site.run(-300, 400);
    CHECK(site.target() == 0);
}

TEST_CASE("wishes: a group of cars shares priority, maximum and permission, and a car's own entry wins") {
    SteppedSite site;
    site.config.groups = {{.name = "family", .max_a = 10}, {.name = "others", .allowed = false}};
    site.config.vehicles = {{.alias = "blue", .vin = "5YJ3E7EA0KF000001", .group = "family"},
                            {.alias = "grey", .vin = "5YJ3E7EA0KF000002", .group = "others"}};
    site.settings.mode = Mode::fast;
    site.inputs.chargers.front().vin = "5YJ3E7EA0KF000001";
    site.run(0, 5);
    CHECK(site.target() == 10);
    CHECK(site.binding() == Limit::vehicle_maximum);
    site.inputs.chargers.front().vin = "5yj3e7ea0kf000002";
    site.run(0, 5);
    CHECK(site.target() == 0);
    CHECK(site.reason() == Reason::not_allowed);
}

TEST_CASE("wishes: strangers may be kept out, but not a car whose VIN nobody has said yet") {
    SteppedSite site;
    site.config.vehicles = {{.alias = "blue", .vin = "5YJ3E7EA0KF000001"}};
    site.settings.mode = Mode::fast;
    site.settings.guests = false;
    site.run(0, 5);
    CHECK(site.target() > 0);
    site.inputs.chargers.front().vin = "LRW3E7EK0NC000770";
    site.run(0, 5);
    CHECK(site.reason() == Reason::not_allowed);
    CHECK(site.target() == 0);
    site.inputs.chargers.front().vin = "00000000000000000";  // another make says nothing
    site.run(0, 5);
    CHECK(site.target() > 0);
    site.settings.guests = true;
    site.inputs.chargers.front().vin = "LRW3E7EK0NC000770";
    site.run(0, 5);
    CHECK(site.target() > 0);
}

TEST_CASE("limits: the quarter of an hour stays within its mean, whatever is asked") {
    SteppedSite site;
    site.settings.mode = Mode::fast;
    site.settings.quarter_hour_w = 4000;
    site.config.site.wiring_max_a = 32;
    double import_ws = 0;
    double highest_mean_w = 0;
    bool bound = false;
    for (int i = 0; i < 3600; ++i) {
        // Most of the quarter's budget is taken by the house in its first minutes.
        site.step(i % 900 < 300 ? -9000 : -500);
        bound = bound || site.binding() == Limit::quarter_hour;
        import_ws += std::max(0.0, *site.inputs.site->grid_w);
        if ((site.inputs.wall.time_since_epoch() % 15min) == 0s) {
            if (i > 900) {
                highest_mean_w = std::max(highest_mean_w, import_ws / 900);
            }
            import_ws = 0;
        }
    }
    CHECK(bound);
    CHECK(highest_mean_w > 3500);  // it is used
    CHECK(highest_mean_w < 4000 * 1.02);
}

TEST_CASE("limits: the operator's dimming holds for all chargers together and ends by itself") {
    SteppedSite site({"7744", "7745"});
    site.settings.mode = Mode::fast;
    site.config.site.wiring_max_a = 40;
    site.settings.dimming = TimedLimit{.limit_w = 4200, .until = site.inputs.wall + 60s};
    site.run(0, 20);
    CHECK(site.target(0) + site.target(1) == 18);  // 4140 W
    CHECK(site.binding() == Limit::dimming);
    site.settings.dimming.reset();
    site.run(0, 20);
    CHECK(site.target(0) + site.target(1) == 40);
}

TEST_CASE("limits: what does not follow the sun has its own import limit") {
    SteppedSite site;
    site.config.site.wiring_max_a = 32;
    site.settings.grid_max_a = 10;
    site.settings.mode = Mode::fast;
    site.run(1150, 60);  // 5 A of sun
    CHECK(site.target() == 15);
    CHECK(site.binding() == Limit::grid_maximum);
}

TEST_CASE("battery: from its buffer on it keeps a charge at the minimum, and from its start on it begins one") {
    for (const double charge_pct : {50.0, 85.0, 96.0}) {
        CAPTURE(charge_pct);
        SteppedSite site;
        site.config.site.battery_max_w = 5000;
        site.settings.battery_buffer_pct = 80;
        site.settings.battery_start_pct = 95;
        site.inputs.site->battery_w = 0;
        site.inputs.site->battery_soc_pct = charge_pct;
        site.run(300, 900);
        CHECK((site.target() > 0) == (charge_pct >= 95));
        site.run(2500, 900);
        REQUIRE(site.target() > 0);
        site.run(300, 3600);
        CHECK((site.target() > 0) == (charge_pct >= 80));
        if (site.target() > 0) {
            CHECK(site.target() == 6);  // not more than the minimum
        }
    }
}

TEST_CASE("battery: without a buffer it keeps what it has begun for another five percent") {
    SteppedSite site;
    site.config.site.battery_max_w = 5000;
    site.settings.battery_start_pct = 95;
    site.inputs.site->battery_w = 0;
    site.inputs.site->battery_soc_pct = 95;
    site.run(300, 600);
    REQUIRE(site.target() == 6);
    site.inputs.site->battery_soc_pct = 91;
    site.run(300, 3600);
    CHECK(site.target() == 6);
    site.inputs.site->battery_soc_pct = 89;
    site.run(300, 3600);
    CHECK(site.target() == 0);
}

TEST_CASE("battery: boost empties it into the car down to its limit") {
    SteppedSite site;
    site.config.site.battery_max_w = 4600;
    site.settings.battery_boost_until_pct = 40;
    site.inputs.site->battery_w = 0;
    site.inputs.site->battery_soc_pct = 70;
    for (int i = 0; i < 600; ++i) {
        // What the car takes beyond the sun comes from the battery.
        site.inputs.site->battery_w = std::min(4600.0, std::max(0.0, site.drawn() * 230 - 1000));
        site.step(1000);
    }
    CHECK(site.target() == doctest::Approx(24).epsilon(0.05));
    site.inputs.site->battery_soc_pct = 40;
    site.inputs.site->battery_w = 0;
    site.run(300, 3600);
    CHECK(site.target() == 0);
}

TEST_CASE("battery: it is asked to hold while a car charges from the grid, and only then") {
    SteppedSite site;
    site.run(3000, 600);
    REQUIRE(site.drawn() > 6);
    CHECK_FALSE(site.last.battery_hold);
    site.settings.mode = Mode::fast;
    site.run(3000, 10);
    CHECK(site.last.battery_hold);
    site.settings.battery_protect = false;
    site.run(3000, 1);
    CHECK_FALSE(site.last.battery_hold);
}

TEST_CASE("top-up: the grid may add what is missing to the minimum, to keep a charge or also to start one") {
    for (const bool starts : {false, true}) {
        CAPTURE(starts);
        SteppedSite site;
        site.settings.top_up_a = 3;
        site.settings.top_up_starts = starts;
        site.run(800, 1200);  // 3.5 A
        CHECK((site.target() == 6) == starts);
        site.run(2000, 600);
        REQUIRE(site.target() >= 6);
        site.run(800, 3600);
        CHECK(site.target() == 6);
        site.run(500, 3600);  // 2.2 A: more than 3 are missing
        CHECK(site.target() == 0);
    }
}

TEST_CASE("low currents: the car takes less than its charger can offer, and is given back with more sun") {
    SteppedSite site;
    site.config.vehicles = {{.alias = "blue", .vin = "5YJ3E7EA0KF000001", .low_a = 1}};
    site.inputs.vehicles = {{.alias = "blue", .can_command = true, .plugged = true, .at_home = true}};
    site.inputs.chargers.front().vin = "5YJ3E7EA0KF000001";
    site.car_limit_a = {80};
    std::vector<double> told;
    const auto live = [&](double surplus_w, int seconds) {
        for (int i = 0; i < seconds; ++i) {
            for (const auto& command : commands_named(site.step(surplus_w), "set_amps")) {
                told.push_back(command.value);
                site.car_limit_a = {command.value};
            }
        }
    };
    live(750, 600);  // 3.26 A
    CHECK(site.target() == 6);
    CHECK(site.drawn() == 3);
    REQUIRE(told.size() == 1);
    CHECK(told.front() == 3);
    live(300, 120);
    CHECK(site.drawn() == 1);
    live(3000, 300);
    CHECK(site.drawn() == 13);
    CHECK(told.back() == site.last.chargers.front().max_a);
    CHECK(told.size() <= 4);
}

TEST_CASE("sun only: with a sun meter alone the house is assumed, and the surplus follows from both") {
    SteppedSite site;
    site.config.site.assumed_house_w = 400;
    site.inputs.site->pv_w = 3400;
    site.meters_grid = false;
    site.run(0, 600);
    CHECK(site.last.surplus_w == doctest::Approx(3000));
    CHECK(site.target() == 13);
}

TEST_CASE("plans: a goal charges in the cheap hours before its deadline and leaves the rest to the mode") {
    const LocalZone zone("UTC");
    SteppedSite site;
    site.config.vehicles = {{.alias = "blue", .battery_kwh = 60}};
    site.config.site.wiring_max_a = 16;
    site.inputs.vehicles = {{.alias = "blue", .plugged = true, .at_home = true, .soc_pct = 60}};
    site.inputs.wall = std::chrono::sys_days(std::chrono::year(2026) / 6 / 1) + 22h;
    const WallTime deadline = site.inputs.wall + 9h;
    site.settings.plans = {{.vehicle = "blue", .soc_pct = 70, .by = deadline}};
    for (int hour = 0; hour < 10; ++hour) {
        site.inputs.tariff.push_back(
            slot(site.inputs.wall + std::chrono::hours(hour), hour == 3 || hour == 4 ? 0.1 : 0.4));
    }
    const WallTime cheap_from = site.inputs.wall + 3h;
    double charged_kwh = 0;
    double dear_kwh = 0;
    while (site.inputs.wall < deadline) {
        site.step(-400);
        const double kwh = site.drawn() * 230 / 3.6e6;
        charged_kwh += kwh;
        dear_kwh += site.inputs.wall < cheap_from || site.inputs.wall > cheap_from + 2h + 10s ? kwh : 0;
        site.inputs.vehicles.front().soc_pct = 60 + charged_kwh * 0.9 / 60 * 100;
        if (site.drawn() > 0) {
            CHECK((site.reason() == Reason::plan || site.target() == 0));
        }
    }
    CHECK(charged_kwh == doctest::Approx(6.67).epsilon(0.03));
    CHECK(dear_kwh < 0.1);
    CHECK(site.last.chargers.front().target_a == 0);
}

TEST_CASE("cars: a slow car is learned to be slow, and then not taken for one that does not follow") {
    const auto follow = [](double per_s) {
        SteppedSite site;
        site.settings.mode = Mode::fast;
        site.config.site.wiring_max_a = 32;
        double drawn_a = 0;
        site.before_decision = [&] {  // a car that changes by so much a second
            const double offer_a = site.last.chargers.empty() ? 0 : site.target();
            drawn_a += std::clamp(offer_a - drawn_a, -per_s, per_s);
            site.inputs.chargers.front().drawn_a = drawn_a;
        };
        for (const double amps : {10.0, 30.0, 8.0, 30.0}) {
            site.settings.max_a = amps;
            site.run(0, 120);
        }
        return site.last.memory.chargers.front();
    };
    const auto slow = follow(0.3);
    CHECK(slow.lag > 60s);
    CHECK(slow.lag < 80s);
    CHECK(settling_time(slow) > 2min);
    const auto quick = follow(10);
    CHECK(quick.lag < usual_lag);
    CHECK(settling_time(quick) >= 10s);
}

TEST_CASE("plans: an unplugged car ends what was counted, and what is unknown plans nothing") {
    const LocalZone zone("UTC");
    SteppedSite site;
    site.settings.plans = {{.charger = "7744", .energy_kwh = 2, .by = site.inputs.wall + 1h}};
    site.config.site.wiring_max_a = 16;
    site.run(-400, 3000);
    REQUIRE(site.plans().size() == 1);
    CHECK(site.plans().front().charged_kwh == doctest::Approx(2).epsilon(0.05));
    site.inputs.chargers.front().plugged = false;
    site.run(-400, 2);
    CHECK(site.plans().empty());

    SteppedSite unknown;
    unknown.config.vehicles = {{.alias = "blue", .battery_kwh = 60}};
    unknown.inputs.vehicles = {{.alias = "blue", .plugged = true, .at_home = true}};
    unknown.settings.plans = {{.vehicle = "blue", .soc_pct = 80, .by = unknown.inputs.wall + 30min}};
    unknown.run(-400, 60);
    CHECK(unknown.target() == 0);
    REQUIRE(unknown.plans().size() == 1);
    CHECK_FALSE(unknown.plans().front().needed_kwh);
}

TEST_CASE("plans: a goal that is due earlier is pursued first, and the other one after it") {
    const LocalZone zone("UTC");
    SteppedSite site;
    site.config.site.wiring_max_a = 16;
    const WallTime now = site.inputs.wall;
    site.settings.plans = {{.charger = "7744", .energy_kwh = 3, .by = now + 8h}};
    site.run(-400, 5);
    const auto deadline = [&] { return leading_plan(site.plans(), site.inputs.wall)->deadline; };
    CHECK(deadline() == now + 8h);
    site.settings.plans.push_back({.charger = "7744", .energy_kwh = 1, .by = now + 1h});
    site.run(-400, 5);
    CHECK(deadline() == now + 1h);
    site.run(-400, 3600);
    CHECK(deadline() == now + 8h);
    REQUIRE(site.plans().size() == 1);
    CHECK(site.plans().front().charged_kwh < 0.1);  // an energy counts once
    site.settings.plans.clear();
    site.run(-400, 2);
    CHECK(site.plans().empty());
}

TEST_CASE("plans: a bigger goal soon after a small one is not late because of it") {
    const LocalZone zone("UTC");
    SteppedSite site;
    site.config.site.wiring_max_a = 16;  // 3.7 kW
    const WallTime begin = site.inputs.wall;
    site.settings.plans = {{.charger = "7744", .energy_kwh = 1, .by = begin + 4h},
                           {.charger = "7744", .energy_kwh = 9, .by = begin + 5h}};
    double charged_kwh = 0;
    double by_first_kwh = 0;
    while (site.inputs.wall < begin + 5h) {
        site.step(-400);
        charged_kwh += site.drawn() * 230 / 3.6e6;
        by_first_kwh = site.inputs.wall <= begin + 4h ? charged_kwh : by_first_kwh;
    }
    CHECK(by_first_kwh > 3);
    CHECK(charged_kwh == doctest::Approx(10).epsilon(0.03));
}

TEST_CASE("plans: a goal of another day waits for its day although the one before it is reached") {
    const LocalZone zone("UTC");
    const WallTime now{};
    const auto progress = [&](Duration in, double needed_kwh, PlanState state) {
        PlanProgress one{.deadline = now + in, .needed_kwh = needed_kwh};
        one.plan.state = state;
        one.plan.charge_now = state == PlanState::charging || state == PlanState::late;
        return one;
    };
    const auto leading = [&](const std::vector<PlanProgress>& plans) {
        return leading_plan(plans, now) - plans.data();
    };
    CHECK(leading_plan({}, now) == nullptr);
    CHECK(leading({progress(8h, 0, PlanState::reached), progress(72h, 5, PlanState::charging)}) == 0);
    CHECK(leading({progress(8h, 0, PlanState::reached), progress(20h, 5, PlanState::charging)}) == 1);
    CHECK(leading({progress(8h, 5, PlanState::waiting), progress(20h, 5, PlanState::charging)}) == 0);
    CHECK(leading({progress(8h, 5, PlanState::waiting), progress(72h, 300, PlanState::late)}) == 1);
    CHECK(leading({progress(72h, 5, PlanState::charging)}) == 0);
}

TEST_CASE("plans: goals for once are forgotten half a day after their deadline, weekly ones never") {
    const WallTime now = std::chrono::sys_days(std::chrono::year(2026) / 6 / 1) + 12h;
    std::vector<PlanGoal> goals = {{.charger = "7744", .energy_kwh = 1, .by = now - 11h},
                                   {.charger = "7744", .energy_kwh = 1, .days = 1, .by_min = 60}};
    CHECK_FALSE(drop_ended_plans(goals, now));
    CHECK(drop_ended_plans(goals, now + 2h));
    REQUIRE(goals.size() == 1);
    CHECK(goals.front().days == 1);
}
