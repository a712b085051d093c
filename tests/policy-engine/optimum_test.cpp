#include "optimum.hpp"

#include <algorithm>
#include <random>

#include <doctest/doctest.h>

#include "evcc_like.hpp"
#include "peer_laws.hpp"
#include "synthetic_day.hpp"

using namespace policy_engine::simulation;

namespace {

constexpr double joule_per_kwh = 3.6e6;
constexpr int tiny_s = 10;

std::vector<Second> tiny_day(std::mt19937& random) {
    std::uniform_real_distribution<double> sun(0, 3000);
    std::vector<Second> day;
    for (int t = 0; t < tiny_s; ++t) {
        day.push_back({sun(random), 400});
    }
    return day;
}

/// Currents of 0, 6 and 7 A in every order.
std::vector<double> pattern(int number) {
    std::vector<double> amps;
    for (int t = 0; t < tiny_s; ++t, number /= 3) {
        amps.push_back(number % 3 == 0 ? 0 : 5 + number % 3);
    }
    return amps;
}

constexpr int patterns = 59049;

int starts_of(const std::vector<double>& amps) {
    int starts = 0;
    double before = 0;
    for (const double current : amps) {
        starts += before == 0 && current > 0 ? 1 : 0;
        before = current;
    }
    return starts;
}

// Whoever is on stays on, and whoever is off after a charge stays off, at least that long; the end cuts nothing short.
bool keeps(const std::vector<double>& amps, const study::OptimumRules& rules) {
    int length = rules.min_off_s;
    for (std::size_t t = 0; t < amps.size(); ++t, ++length) {
        const bool was_on = t > 0 && amps[t - 1] > 0;
        if ((amps[t] > 0) == was_on) {
            continue;
        }
        if (length < (was_on ? rules.min_on_s : rules.min_off_s)) {
            return false;
        }
        length = 0;
    }
    return amps.back() == 0 || length >= rules.min_on_s;
}

/// Imported, less what a battery without delay holds at the end.
double owed_kwh(const std::vector<Second>& day, const std::vector<double>& amps, const HomeBattery& battery) {
    double content_j = battery.capacity_kwh * joule_per_kwh * battery.soc_pct / 100;
    double imported_j = 0;
    for (std::size_t t = 0; t < day.size(); ++t) {
        const double rest_w = day[t].load_w - day[t].pv_w + amps[t] * 230;
        const double free_j = battery.capacity_kwh * joule_per_kwh - content_j;
        const double power_w =
            std::clamp(rest_w, -std::min(free_j, battery.max_power_w), std::min(content_j, battery.max_power_w));
        content_j -= power_w;
        imported_j += std::max(0.0, rest_w - power_w);
    }
    return (imported_j - content_j) / joule_per_kwh;
}

double car_kwh(const std::vector<double>& amps) {
    double sum_a = 0;
    for (const double current : amps) {
        sum_a += current;
    }
    return sum_a * 230 / joule_per_kwh;
}

double best_of_all(const std::vector<Second>& day, const DayOptions& options, const study::OptimumRules& rules,
                   double owed_without_car_kwh) {
    double best_kwh = 0;
    for (int number = 0; number < patterns; ++number) {
        const auto amps = pattern(number);
        if (!keeps(amps, rules)) {
            continue;
        }
        const HomeBattery none{.capacity_kwh = 0};
        const double grid_kwh = owed_kwh(day, amps, options.battery.value_or(none)) - owed_without_car_kwh;
        const double net_kwh =
            car_kwh(amps) - (1 + options.grid_weight) * grid_kwh - options.start_cost_kwh * starts_of(amps);
        best_kwh = std::max(best_kwh, net_kwh);
    }
    return best_kwh;
}

/// Offers anything for ten seconds to some minutes.
Law random_law(const DayOptions& options, unsigned seed) {
    return [options, random = std::mt19937(seed), until_s = 0.0, offer_a = 0.0](const Observation& seen) mutable {
        if (seen.t_s >= until_s) {
            until_s = seen.t_s + 10 + static_cast<double>(random() % 300);
            const double sun_a = seen.drawn_a - seen.grid_w / (options.phases * options.voltage_v);
            offer_a = sun_a < options.min_a && random() % 4 != 0 ? 0 : std::clamp(sun_a, 0.0, options.max_a);
        }
        return offer_a;
    };
}

std::vector<Law> all_laws(const DayOptions& options, unsigned seed) {
    policy_engine::ServiceConfig config;
    config.core.site.phases = options.phases;
    config.defaults.grid_weight = options.grid_weight;
    return {engine_law(config, options),   study::timer_law(options),      study::openwb_law(options),
            study::smartevse_law(options), study::twcmanager_law(options), study::openevse_law(options),
            random_law(options, seed)};
}

}  // namespace

TEST_CASE("optimum: nothing better is found by trying everything on tiny days") {
    const study::OptimumRules rules{.min_on_s = 3, .min_off_s = 2};
    for (unsigned seed = 1; seed <= 6; ++seed) {
        CAPTURE(seed);
        std::mt19937 random(seed);
        const auto day = tiny_day(random);
        const DayOptions options{.max_a = 7, .grid_weight = 0.5 * seed, .start_cost_kwh = 1e-4};
        const double alone_kwh = owed_kwh(day, std::vector<double>(tiny_s), {.capacity_kwh = 0});
        const double best_kwh = best_of_all(day, options, rules, alone_kwh);
        CHECK(study::optimum(day, options, rules).net_kwh == doctest::Approx(best_kwh).epsilon(1e-9));
        CHECK(study::upper_bound_kwh(day, options) >= best_kwh - 1e-9);
    }
}

TEST_CASE("optimum: with a battery nothing that can be tried on tiny days exceeds the bound") {
    double nearest = 0;
    for (unsigned seed = 1; seed <= 6; ++seed) {
        CAPTURE(seed);
        std::mt19937 random(seed);
        const auto day = tiny_day(random);
        const DayOptions options{.max_a = 7,
                                 .grid_weight = 0.5 * seed,
                                 .start_cost_kwh = 1e-5,
                                 .battery = HomeBattery{.capacity_kwh = 0.002, .max_power_w = 1500, .soc_pct = 90}};
        const auto idle = run_day(day, options, [](const auto&) { return 0.0; });
        const double prompt_kwh = owed_kwh(day, std::vector<double>(tiny_s), *options.battery);
        const double best_kwh =
            best_of_all(day, options, {.min_on_s = 1, .min_off_s = 1}, prompt_kwh + idle.battery_lag_kwh);
        const double bound_kwh = study::upper_bound_kwh(day, options);
        CHECK(idle.net_kwh == doctest::Approx(0));
        CHECK(bound_kwh >= best_kwh - 1e-9);
        nearest = std::max(nearest, best_kwh / bound_kwh);
    }
    CHECK(nearest > 0.7);  // and it is not just a large number
}

TEST_CASE("optimum: bounds every law, with and without a battery, whatever the grid costs") {
    for (const auto sky : {study::Sky::clear, study::Sky::broken, study::Sky::overcast}) {
        for (unsigned seed = 301; seed <= 302; ++seed) {
            auto day = study::synthetic_day(sky, seed);
            day = std::vector<Second>(day.begin() + 32'400, day.begin() + 43'200);
            for (const bool battery : {false, true}) {
                DayOptions options{.phases = seed % 2 == 0 ? 3 : 1, .max_a = 16};
                for (const double weight : {0.5, 3.0}) {
                    options.grid_weight = weight;
                    if (battery) {
                        options.battery = HomeBattery{.capacity_kwh = 2};
                    }
                    const double bound_kwh = study::upper_bound_kwh(day, options);
                    for (const auto& law : all_laws(options, seed)) {
                        CAPTURE(study::name_of(sky));
                        CAPTURE(seed);
                        CAPTURE(battery);
                        CAPTURE(weight);
                        CHECK(run_day(day, options, law).net_kwh <= bound_kwh + 1e-9);
                    }
                }
            }
        }
    }
}

TEST_CASE("home battery: keeps the grid at zero within seconds, and what it holds is accounted for") {
    const DayOptions options{.battery = HomeBattery{.capacity_kwh = 2, .max_power_w = 3000, .soc_pct = 50}};
    // An hour of 2 kW surplus fills it, an hour of 500 W deficit takes a quarter of it again.
    std::vector<Second> day(3600, Second{2300, 300});
    day.insert(day.end(), 3600, Second{0, 500});
    std::vector<Observation> seen;
    const auto idle = run_day(day, options, [&](const Observation& now) {
        seen.push_back(now);
        return 0.0;
    });
    CHECK(std::abs(seen[10].grid_w) < 20);
    CHECK(*seen[10].battery_w == doctest::Approx(-2000).epsilon(0.01));
    CHECK(*seen[3599].battery_soc_pct == 100);
    CHECK(seen[3599].grid_w == doctest::Approx(-2000));
    CHECK(*seen[3620].battery_w == doctest::Approx(500).epsilon(0.01));
    CHECK(*seen[7199].battery_soc_pct == 75);
    CHECK(idle.surplus_kwh == doctest::Approx(1).epsilon(0.01));
    CHECK(idle.exported_kwh == doctest::Approx(1).epsilon(0.01));
    CHECK(idle.grid_kwh == 0);
    CHECK(idle.net_kwh == 0);

    // 6 A in the second hour come out of the battery, and from the grid once it is empty: all of it is owed.
    const auto drained = run_day(day, options, [](const Observation& now) { return now.t_s > 3600 ? 6.0 : 0.0; });
    CHECK(drained.solar_kwh == doctest::Approx(0).epsilon(0.01));
    CHECK(drained.grid_kwh == doctest::Approx(1.38).epsilon(0.01));

    // 6 A in the first hour are taken from the export; the rest the battery lacks in the end.
    const auto early = run_day(day, options, [](const Observation& now) { return now.t_s < 3600 ? 6.0 : 0.0; });
    CHECK(early.solar_kwh + early.exported_kwh == doctest::Approx(idle.surplus_kwh));
    CHECK(early.solar_kwh + early.grid_kwh == doctest::Approx(1.38).epsilon(0.01));
    CHECK(early.grid_kwh == doctest::Approx(0.38).epsilon(0.03));
}

TEST_CASE("home battery: this engine leaves it alone until it is full, and never drains it for long") {
    const policy_engine::ServiceConfig config;
    DayOptions options = options_for(config);
    options.battery = HomeBattery{.capacity_kwh = 2, .soc_pct = 20};
    std::vector<Second> day(7200, Second{3000, 300});
    day.insert(day.end(), 3600, Second{0, 300});
    bool full = false;
    double highest_a = 0;
    const auto law = engine_law(config, options);
    run_day(day, options, [&](const Observation& now) {
        const double offer_a = law(now);
        full = full || *now.battery_soc_pct >= 100;
        highest_a = std::max(highest_a, offer_a);
        CHECK((full || offer_a == 0));
        CHECK((now.t_s < 2 * 3600 + 1800 || offer_a == 0));
        return offer_a;
    });
    CHECK(highest_a >= 11);
}
