#include <doctest/doctest.h>

#include "evcc_like.hpp"
#include "optimum.hpp"
#include "policy-engine/simulation/day.hpp"
#include "synthetic_day.hpp"

using namespace policy_engine::simulation;

namespace {

// The rules were tuned on seeds 1 to 3; what is claimed is claimed on others.
constexpr std::uint64_t first_seed = 101;
constexpr int seeds = 4;

struct Comparison {
    Metrics engine;
    Metrics timers;
    study::Optimum best;
};

Comparison compare(study::Sky sky, std::uint64_t seed, const DayOptions& options = {}) {
    policy_engine::ServiceConfig config;
    config.core.site.phases = options.phases;
    const auto day = study::synthetic_day(sky, seed);
    return {run_day(day, options, engine_law(config, options)), run_day(day, options, study::timer_law(options)),
            study::optimum(day, options)};
}

}  // namespace

TEST_CASE("law: broken clouds on one phase give at least 93 percent of the optimum with at most 8 starts") {
    double engine_kwh = 0;
    double best_kwh = 0;
    for (std::uint64_t seed = first_seed; seed < first_seed + seeds; ++seed) {
        CAPTURE(seed);
        const auto result = compare(study::Sky::broken, seed);
        MESSAGE("seed ", seed, ": ", 100 * result.engine.net_kwh / result.best.net_kwh, " % of the optimum, ",
                result.engine.starts, " starts; timers ", 100 * result.timers.net_kwh / result.best.net_kwh, " %");
        CHECK(result.engine.net_kwh >= 0.93 * result.best.net_kwh);
        CHECK(result.engine.net_kwh <= result.best.net_kwh);
        CHECK(result.engine.net_kwh > result.timers.net_kwh);
        CHECK(result.engine.starts <= 8);
        CHECK(result.engine.seconds_over_limit == 0);
        engine_kwh += result.engine.net_kwh;
        best_kwh += result.best.net_kwh;
    }
    CHECK(engine_kwh >= 0.94 * best_kwh);
}

TEST_CASE("law: clear and overcast days beat plain timers as well") {
    for (std::uint64_t seed = first_seed; seed < first_seed + 2; ++seed) {
        CAPTURE(seed);
        const auto clear = compare(study::Sky::clear, seed);
        CHECK(clear.engine.net_kwh >= 0.97 * clear.best.net_kwh);
        CHECK(clear.engine.net_kwh > clear.timers.net_kwh);
        CHECK(clear.engine.starts <= 8);
    }
    double engine_kwh = 0;
    double best_kwh = 0;
    for (std::uint64_t seed = first_seed; seed < first_seed + 20; ++seed) {
        CAPTURE(seed);
        const auto overcast = compare(study::Sky::overcast, seed);
        CHECK(overcast.engine.starts <= policy_engine::Settings{}.max_starts_per_day);
        CHECK(overcast.engine.net_kwh > overcast.timers.net_kwh);
        engine_kwh += overcast.engine.net_kwh;
        best_kwh += overcast.best.net_kwh;
    }
    CHECK(engine_kwh >= 0.6 * best_kwh);
}

TEST_CASE("law: three phases beat plain timers too") {
    const DayOptions options{.phases = 3, .max_a = 16};
    const auto broken = compare(study::Sky::broken, first_seed, options);
    CHECK(broken.engine.net_kwh > broken.timers.net_kwh);
    CHECK(broken.engine.seconds_over_limit == 0);
}

TEST_CASE("optimum: agrees with what can be worked out by hand") {
    const DayOptions options{.start_cost_kwh = 0.1};
    // One hour of 2300 W is 10 A: one start, everything used, nothing imported.
    const std::vector<Second> sunny(3600, Second{2300, 0});
    CHECK(study::optimum(sunny, options).net_kwh == doctest::Approx(2.3 - 0.1));
    CHECK(study::optimum(sunny, options).starts == 1);
    // 600 W never pay for 6 A.
    const std::vector<Second> dull(3600, Second{600, 0});
    CHECK(study::optimum(dull, options).net_kwh == 0);
    // A sunny minute is shorter than the minimum charge: 60 s of 1380 W against 240 s of import.
    std::vector<Second> flash(1200, Second{0, 0});
    std::fill(flash.begin() + 300, flash.begin() + 360, Second{1380, 0});
    CHECK(study::optimum(flash, options).starts == 0);
}

TEST_CASE("synthetic days: the same for the same seed, different for another") {
    const auto pv = [](std::uint64_t seed) {
        double sum = 0;
        for (const auto& second : study::synthetic_day(study::Sky::broken, seed)) {
            sum += second.pv_w;
        }
        return sum;
    };
    CHECK(pv(7) == pv(7));
    CHECK(pv(7) != pv(8));
}

TEST_CASE("car model: begins after ten seconds, rises one ampere a second, falls three") {
    std::vector<double> drawn;
    const std::vector<Second> day(60);
    run_day(day, {}, [&](const Observation& seen) {
        drawn.push_back(seen.drawn_a);
        return seen.t_s < 40 ? 16.0 : 6.0;
    });
    CHECK(drawn[10] == 0);
    CHECK(drawn[14] > 0);
    CHECK(drawn[20] - drawn[19] == doctest::Approx(1));
    CHECK(drawn[38] == 16);
    CHECK(drawn[44] == doctest::Approx(10));
    CHECK(drawn[59] == 6);
}
