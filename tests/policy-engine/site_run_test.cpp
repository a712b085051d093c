#include "policy-engine/simulation/site_run.hpp"

#include <numeric>
#include <sstream>

#include <doctest/doctest.h>
#include <fmt/format.h>

#include "contract/messages.hpp"
#include "policy-engine/simulation/scenario.hpp"
#include "synthetic_day.hpp"

using namespace policy_engine::simulation;
using policy_engine::Limit;
using policy_engine::Reason;
using policy_engine::ServiceConfig;

namespace {

constexpr double volts = 230;

SiteDay flat(double pv_w, double load_w, std::size_t hours) {
    return day_of(std::vector<Second>(hours * 3600, Second{pv_w, load_w}), usual_midnight());
}

ChargerSetup charger(const std::string& id, const SiteDay& day) {
    return {.id = id, .plugged = {{0, day.seconds.size()}}, .car = {.name = id}};
}

double mean(const Series& series) {
    return std::accumulate(series.begin(), series.end(), 0.0) / static_cast<double>(series.size());
}

void check_balance(const SiteRun& run) {
    CHECK(run.pv_kwh + run.import_kwh + run.discharged_kwh ==
          doctest::Approx(run.house_kwh + run.cars().kwh() + run.export_kwh + run.charged_kwh));
    const double hours = static_cast<double>(run.length_s) / 3600;
    CHECK(mean(run.pv_w) * hours / 1000 == doctest::Approx(run.pv_kwh));
    for (const auto& unit : run.chargers) {
        CHECK(mean(unit.power_w) * hours / 1000 == doctest::Approx(unit.metrics.kwh()));
        CHECK(unit.reasons.front().span.begin == 0);
        CHECK(unit.reasons.back().span.end == run.length_s);
        for (std::size_t i = 1; i < unit.reasons.size(); ++i) {
            CHECK(unit.reasons[i].span.begin == unit.reasons[i - 1].span.end);
            CHECK(unit.reasons[i].reason != unit.reasons[i - 1].reason);
        }
    }
}

}  // namespace

TEST_CASE("site run: one car takes the surplus of a steady day") {
    const auto day = flat(4000, 320, 2);
    const auto run = run_site({}, day, {.chargers = {charger("a", day)}});

    check_balance(run);
    const auto& metrics = run.chargers[0].metrics;
    CHECK(metrics.starts == 1);
    CHECK(metrics.stops == 0);
    CHECK(metrics.sun_kwh > 0.95 * 2 * 3.68);
    CHECK(metrics.grid_kwh < 0.02);
    CHECK(run.chargers[0].power_w.back() == doctest::Approx(3680));
    CHECK(run.chargers[0].reasons.back().reason == Reason::surplus);
    CHECK(run.chargers[0].metrics.plugged_s == 7200);
    CHECK(run.self_consumption().value() > 0.95);
    CHECK(run.seconds_over_limit == 0);
}

TEST_CASE("site run: agrees with the run of one car that policy-sim always had") {
    const auto trace = study::synthetic_day(study::Sky::broken, 101);
    const ServiceConfig config;
    const auto options = options_for(config);
    const auto before = run_day(trace, options, engine_law(config, options));
    const auto day = day_of(trace, usual_midnight());
    const auto run = run_site(config, day, setup_for(config, day));

    check_balance(run);
    CHECK(run.cars().kwh() == doctest::Approx(before.solar_kwh + before.grid_kwh).epsilon(0.01));
    CHECK(run.cars().grid_kwh == doctest::Approx(before.grid_kwh).epsilon(0.03));
    CHECK(run.cars().starts == before.starts);
}

TEST_CASE("site run: two cars share, and never exceed the wiring limit") {
    ServiceConfig config;
    config.core.site.wiring_max_a = 32;
    const auto day = flat(20000, 300, 2);
    const auto run = run_site(config, day, {.chargers = {charger("a", day), charger("b", day)}});

    check_balance(run);
    CHECK(run.seconds_over_limit == 0);
    CHECK(run.chargers[0].power_w.back() + run.chargers[1].power_w.back() == doctest::Approx(32 * volts));
    CHECK(run.cars().limited_s.contains(Limit::wiring));
    CHECK(run.cars().limited_s.at(Limit::wiring) > 3600);
}

TEST_CASE("site run: a car is full at its limit, tapers before, and is gone when it is unplugged") {
    const auto day = flat(9000, 300, 6);
    auto unit = charger("a", day);
    unit.plugged = {{3600, 18'000}};
    unit.car = {.name = "blue", .battery_kwh = 20, .soc_pct = 50, .limit_pct = 90, .taper_from_pct = 70};
    const auto run = run_site({}, day, {.chargers = {unit}});

    check_balance(run);
    const auto& result = run.chargers[0];
    CHECK(result.soc_begin_pct == 50);
    CHECK(result.soc_end_pct.value() == doctest::Approx(90).epsilon(0.01));
    CHECK(result.metrics.kwh() == doctest::Approx(0.4 * 20).epsilon(0.01));
    CHECK(result.metrics.plugged_s == 14'400);
    CHECK(result.power_w[30] == 0);
    CHECK(!result.soc_pct[30]);
    CHECK(result.soc_pct[90]);
    CHECK(result.reasons.front().reason == Reason::not_plugged);
    CHECK(result.reasons.back().reason == Reason::not_plugged);
    const auto highest = *std::ranges::max_element(result.power_w);
    CHECK(highest > 7000);
    const auto just_before_full =
        std::ranges::find_if(result.soc_pct, [](const auto& soc) { return soc && *soc > 88; });
    REQUIRE(just_before_full != result.soc_pct.end());
    CHECK(result.power_w[static_cast<std::size_t>(just_before_full - result.soc_pct.begin())] < 0.6 * highest);
}

TEST_CASE("site run: a home battery takes what is left and gives it back at night") {
    auto day = flat(3000, 500, 12);
    for (std::size_t second = 21'600; second < day.seconds.size(); ++second) {
        day.seconds[second].pv_w = 0;
    }
    auto unit = charger("a", day);
    unit.plugged.clear();
    const auto run = run_site(
        {}, day, {.chargers = {unit}, .battery = BatterySetup{.capacity_kwh = 5, .soc_pct = 50, .efficiency_pct = 81}});

    check_balance(run);
    CHECK(run.has_battery);
    CHECK(run.charged_kwh == doctest::Approx(2.5 / 0.9).epsilon(0.01));
    CHECK(*std::ranges::max_element(run.soc_pct) == doctest::Approx(100).epsilon(0.001));
    CHECK(run.discharged_kwh == doctest::Approx(3).epsilon(0.01));
    CHECK(run.soc_end_pct.value() == doctest::Approx(100 - 100 * 3 / 0.9 / 5).epsilon(0.01));
    CHECK(run.import_kwh < 0.01);
    CHECK(run.export_kwh == doctest::Approx(6 * 2.5 - run.charged_kwh).epsilon(0.01));
}

TEST_CASE("site run: what is imported costs its price, what the sun gives costs the feed-in") {
    ServiceConfig config;
    config.defaults.mode = policy_engine::Mode::fast;
    auto day = flat(2300, 0, 2);
    day.currency = "EUR";
    day.tariff = {{.start = day.start,
                   .end = day.start + std::chrono::hours(1),
                   .import_price = 0.5,
                   .export_price = 0.1,
                   .co2_g_kwh = 400}};
    auto unit = charger("a", day);
    unit.max_a = 20;
    const auto run = run_site(config, day, {.chargers = {unit}});

    check_balance(run);
    const auto& metrics = run.chargers[0].metrics;
    // The second hour has no prices.
    CHECK(metrics.cost.unknown_kwh == doctest::Approx(4.6));
    CHECK(metrics.cost.value().value() ==
          doctest::Approx((metrics.grid_kwh - 2.3) * 0.5 + (metrics.sun_kwh - 2.3) * 0.1));
    CHECK(metrics.co2_g.sum == doctest::Approx((metrics.grid_kwh - 2.3) * 400));
    CHECK(run.peak_quarter_hour_w == doctest::Approx(2300));
    CHECK(run.import_price.front() == 0.5);
    CHECK(!run.import_price.back());
    CHECK(run.chargers[0].reasons.back().reason == Reason::fast);

    day.tariff.clear();
    CHECK(!run_site(config, day, {.chargers = {unit}}).cars().cost.value());
}

TEST_CASE("site run: the main fuse holds on every phase") {
    ServiceConfig config;
    config.defaults.mode = policy_engine::Mode::fast;
    config.core.site.phases = 3;
    config.core.site.main_fuse_a = 25;
    config.core.chargers = {{.id = "a", .first_line = 2}};
    const auto day = flat(0, 3 * 5 * volts, 1);
    const auto run = run_site(config, day, {.chargers = {charger("a", day)}});

    check_balance(run);
    CHECK(run.seconds_over_limit == 0);
    CHECK(run.chargers[0].power_w.back() == doctest::Approx(20 * volts));
    CHECK(run.cars().limited_s.contains(Limit::house_l2));
}

TEST_CASE("site run: a linked car is stopped by its link") {
    ServiceConfig config;
    auto day = flat(5000, 300, 2);
    for (std::size_t second = 3600; second < day.seconds.size(); ++second) {
        day.seconds[second].pv_w = 0;
    }
    auto unit = charger("a", day);
    unit.car = {.name = "blue", .battery_kwh = 75, .linked = true};
    const auto run = run_site(config, day, {.chargers = {unit}});

    const auto& reasons = run.chargers[0].reasons;
    CHECK(std::ranges::find(reasons, Reason::stopping_by_vehicle, &ReasonSpan::reason) != reasons.end());
    CHECK(std::ranges::find(reasons, Reason::stop_without_vehicle, &ReasonSpan::reason) == reasons.end());
    CHECK(run.chargers[0].power_w.back() == 0);
}

TEST_CASE("site run: a recorded battery is replayed") {
    auto day = flat(3000, 500, 1);
    for (auto& second : day.seconds) {
        second.battery_w = -1000;
        second.battery_soc_pct = 60;
    }
    const auto run = run_site({}, day, {.chargers = {charger("a", day)}});
    check_balance(run);
    CHECK(run.has_battery);
    CHECK(run.charged_kwh == doctest::Approx(1));
    CHECK(run.soc_end_pct == 60);
}

TEST_CASE("capture: a day that was simulated comes back the same from its messages") {
    const auto day = day_of(study::synthetic_day(study::Sky::broken, 102), usual_midnight());
    const auto setup = SiteSetup{.chargers = {charger("7744", day)}, .battery = BatterySetup{}};
    const auto run = run_site({}, day, setup);
    // What the run records are means of a minute: so are the messages.
    std::string text;
    for (std::size_t i = 0; i < run.pv_w.size(); ++i) {
        const contract::ChargerState unit{.state = "charging", .plugged = true, .power_w = run.chargers[0].power_w[i]};
        const contract::SitePower site{.grid_w = run.grid_w[i],
                                       .pv_w = run.pv_w[i],
                                       .house_w = run.house_w[i] + run.chargers[0].power_w[i],
                                       .battery_w = run.battery_w[i],
                                       .quality = "ok"};
        const auto at = std::chrono::duration_cast<std::chrono::seconds>(day.start.time_since_epoch()).count() +
                        static_cast<long long>(i) * 60;
        text += fmt::format("{}.000000000 twc/charger/7744/state {}\n", at, contract::to_text(contract::to_json(unit)));
        text += fmt::format("{}.000000000 twc/ems/state {}\n", at, contract::to_text(contract::to_json(site)));
    }
    std::istringstream stream(text);
    const auto recording = read_capture(stream, "day.txt", {});

    CHECK(recording.start == day.start);
    REQUIRE(recording.seconds.size() == 86400 - 59);
    CHECK(recording.skipped_lines == 0);
    CHECK(recording.gaps.empty());
    double worst_w = 0;
    for (std::size_t second = 0; second < recording.seconds.size(); ++second) {
        const auto& got = recording.seconds[second];
        worst_w = std::max({worst_w, std::abs(got.pv_w - run.pv_w[second / 60]),
                            std::abs(got.load_w - run.house_w[second / 60]),
                            std::abs(got.battery_w.value_or(1e9) - run.battery_w[second / 60])});
    }
    // Power is rounded to 0.1 W on the site's topic, to 1 W on a charger's.
    CHECK(worst_w < 0.6);
    CHECK(recording.chargers.at("7744").drawn_kwh == doctest::Approx(run.cars().kwh()).epsilon(0.01));
}
