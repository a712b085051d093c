// Prints how fast the policy core decides, and what its law earns beside plain timers and the optimum in hindsight.
//
//     policy-bench [first seed] [number of seeds]

#include <cstdlib>
#include <ctime>
#include <iostream>

#include <fmt/format.h>

#include "evcc_like.hpp"
#include "optimum.hpp"
#include "synthetic_day.hpp"

namespace {

using namespace policy_engine::simulation;

void measure_speed() {
    const policy_engine::ServiceConfig config;
    const DayOptions options;
    const auto day = study::synthetic_day(study::Sky::broken, 1);
    constexpr int days = 30;
    // Processor time: other programs on the machine do not count.
    const std::clock_t begun = std::clock();
    double net_kwh = 0;
    for (int i = 0; i < days; ++i) {
        net_kwh += run_day(day, options, engine_law(config, options)).net_kwh;
    }
    const double elapsed_s = static_cast<double>(std::clock() - begun) / CLOCKS_PER_SEC;
    std::cout << fmt::format(
        "{:.1f} simulated days a second at 1 s steps, {:.0f} ns a decision with its second of world"
        " (checksum {:.3f})\n\n",
        days / elapsed_s, elapsed_s * 1e9 / (days * 86400.0), net_kwh);
}

struct Sums {
    Metrics total;
    double optimum_kwh = 0;
};

void print_row(const char* law, const Metrics& sum, double optimum_kwh, int days) {
    std::cout << fmt::format("{:<10} {:>7.2f} {:>7.2f} {:>7.1f} {:>9.0f} {:>7.0f} {:>8.2f} {:>7.1f} %\n", law,
                             sum.solar_kwh / days, sum.grid_kwh / days, double(sum.starts) / days,
                             double(sum.set_point_changes) / days, sum.rmse_w / days, sum.net_kwh / days,
                             100 * sum.net_kwh / optimum_kwh);
}

void add(Metrics& sum, const Metrics& day) {
    sum.solar_kwh += day.solar_kwh;
    sum.grid_kwh += day.grid_kwh;
    sum.starts += day.starts;
    sum.set_point_changes += day.set_point_changes;
    sum.rmse_w += day.rmse_w;
    sum.net_kwh += day.net_kwh;
}

void compare(study::Sky sky, const DayOptions& options, int first_seed, int seeds) {
    policy_engine::ServiceConfig config;
    config.core.site.phases = options.phases;
    config.defaults.grid_weight = options.grid_weight;
    Metrics engine;
    Metrics timers;
    double best_kwh = 0;
    double best_starts = 0;
    for (int i = 0; i < seeds; ++i) {
        const auto day =
            study::synthetic_day(sky, static_cast<std::uint64_t>(first_seed) + static_cast<std::uint64_t>(i));
        add(engine, run_day(day, options, engine_law(config, options)));
        add(timers, run_day(day, options, study::timer_law(options)));
        const auto best = study::optimum(day, options);
        best_kwh += best.net_kwh;
        best_starts += best.starts;
    }
    std::cout << fmt::format("{} sky, {} phase(s) to {} A, grid weight {}\n", study::name_of(sky), options.phases,
                             options.max_a, options.grid_weight);
    std::cout << "law          solar    grid  starts  setpoints    RMSE      net  of opt\n";
    print_row("engine", engine, best_kwh, seeds);
    print_row("timers", timers, best_kwh, seeds);
    std::cout << fmt::format("{:<10} {:>7} {:>7} {:>7.1f} {:>9} {:>7} {:>8.2f}\n\n", "optimum", "", "",
                             best_starts / seeds, "", "", best_kwh / seeds);
}

}  // namespace

int main(int argc, char** argv) {
    const int first_seed = argc > 1 ? std::atoi(argv[1]) : 101;  // NOLINT(cert-err34-c): a tool for developers
    const int seeds = argc > 2 ? std::atoi(argv[2]) : 5;         // NOLINT(cert-err34-c)
    measure_speed();
    for (const auto sky : {study::Sky::clear, study::Sky::broken, study::Sky::overcast}) {
        compare(sky, {}, first_seed, seeds);
    }
    for (const double weight : {0.5, 3.0}) {
        compare(study::Sky::broken, {.grid_weight = weight}, first_seed, seeds);
    }
    for (const auto sky : {study::Sky::clear, study::Sky::broken}) {
        compare(sky, {.phases = 3, .max_a = 16}, first_seed, seeds);
    }
    return 0;
}
