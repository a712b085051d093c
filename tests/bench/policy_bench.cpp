// What the law of the policy-engine earns on synthetic days, beside the laws of others and what could be had at most;
// what a decision costs. See `policy-bench --help`.

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <cmath>
#include <ctime>
#include <functional>
#include <iostream>
#include <map>
#include <thread>

#include <fmt/format.h>

#include "decision_bench.hpp"
#include "evcc_like.hpp"
#include "optimum.hpp"
#include "peer_laws.hpp"
#include "synthetic_day.hpp"

namespace {

using namespace policy_engine::simulation;

constexpr const char* help =
    "policy-bench: what the law earns, and what deciding costs\n\n"
    "usage: policy-bench [options]            the table of days\n"
    "       policy-bench --speed              simulated days a second\n"
    "       policy-bench --decision           cost of one decision by number of chargers\n\n"
    "  --seeds FIRST-LAST   1-20\n"
    "  --sky NAME           clear, broken or overcast; all\n"
    "  --phases N           1 (6 to 32 A) or 3 (6 to 16 A); both\n"
    "  --ratio R            import price over export price; 0.5, 1 and 3\n"
    "  --battery yes|no     a home battery of 10 kWh, 5 kW, half full at midnight; both\n"
    "  --jobs N             threads; one a processor\n"
    "  --days               every day by itself as well\n";

struct Options {
    int first_seed = 1;
    int last_seed = 20;
    std::vector<study::Sky> skies{study::Sky::clear, study::Sky::broken, study::Sky::overcast};
    std::vector<int> phases{1, 3};
    std::vector<double> ratios{0.5, 1, 3};
    std::vector<bool> batteries{false, true};
    unsigned jobs = std::max(1U, std::thread::hardware_concurrency());
    bool days = false;
    bool speed = false;
    bool decision = false;
};

struct NamedLaw {
    const char* name;
    std::function<Law(const DayOptions&)> make;
};

Law this_engine(const DayOptions& options) {
    policy_engine::ServiceConfig config;
    config.core.site.phases = options.phases;
    config.defaults.grid_weight = options.grid_weight;
    return engine_law(config, options);
}

const std::array<NamedLaw, 6> laws{{{"this engine", this_engine},
                                    {"evcc", [](const DayOptions& options) { return study::timer_law(options); }},
                                    {"openWB", study::openwb_law},
                                    {"SmartEVSE", study::smartevse_law},
                                    {"TWCManager", study::twcmanager_law},
                                    {"OpenEVSE", study::openevse_law}}};

/// Sums over the days of a cell.
struct Sums {
    double net_kwh = 0;
    double solar_kwh = 0;
    double grid_kwh = 0;
    int starts = 0;
    int most_starts = 0;
    int seconds_over_limit = 0;
};

struct Cell {
    study::Sky sky = study::Sky::clear;
    DayOptions day;
    std::array<Sums, laws.size()> sums;
    double optimum_kwh = 0;
    std::vector<std::array<double, laws.size() + 1>> days;  ///< Net of each law, then the optimum.
};

void add(Sums& sum, const Metrics& day) {
    sum.net_kwh += day.net_kwh;
    sum.solar_kwh += day.solar_kwh;
    sum.grid_kwh += day.grid_kwh;
    sum.starts += day.starts;
    sum.most_starts = std::max(sum.most_starts, day.starts);
    sum.seconds_over_limit += day.seconds_over_limit;
}

void fill(Cell& cell, const Options& options) {
    for (int seed = options.first_seed; seed <= options.last_seed; ++seed) {
        const auto day = study::synthetic_day(cell.sky, static_cast<std::uint64_t>(seed));
        auto& nets = cell.days.emplace_back();
        for (std::size_t i = 0; i < laws.size(); ++i) {
            const auto metrics = run_day(day, cell.day, laws[i].make(cell.day));
            add(cell.sums[i], metrics);
            nets[i] = metrics.net_kwh;
        }
        nets.back() = study::upper_bound_kwh(day, cell.day);
        cell.optimum_kwh += nets.back();
    }
}

std::vector<Cell> cells_of(const Options& options) {
    std::vector<Cell> cells;
    for (const bool battery : options.batteries) {
        for (const int phases : options.phases) {
            for (const auto sky : options.skies) {
                for (const double ratio : options.ratios) {
                    DayOptions day{.phases = phases, .max_a = phases == 1 ? 32.0 : 16.0, .grid_weight = ratio};
                    if (battery) {
                        day.battery = HomeBattery{};
                    }
                    cells.push_back({.sky = sky, .day = day, .sums = {}, .days = {}});
                }
            }
        }
    }
    return cells;
}

std::string title(const Cell& cell) {
    return fmt::format("{}, {} phase{} to {} A, price ratio {}{}", study::name_of(cell.sky), cell.day.phases,
                       cell.day.phases == 1 ? "" : "s", cell.day.max_a, cell.day.grid_weight,
                       cell.day.battery ? ", battery" : "");
}

double percent(double part, double whole) { return whole > 0 ? 100 * part / whole : 0; }

void print(const Cell& cell, bool days) {
    const auto count = static_cast<double>(cell.days.size());
    std::cout << title(cell) << "\n             net kWh  % of opt   solar    grid  starts  (most)  s over limit\n";
    for (std::size_t i = 0; i < laws.size(); ++i) {
        const Sums& sum = cell.sums[i];
        std::cout << fmt::format("{:<12} {:>7.2f} {:>9.1f} {:>7.2f} {:>7.2f} {:>7.1f} {:>7} {:>13}\n", laws[i].name,
                                 sum.net_kwh / count, percent(sum.net_kwh, cell.optimum_kwh), sum.solar_kwh / count,
                                 sum.grid_kwh / count, sum.starts / count, sum.most_starts, sum.seconds_over_limit);
    }
    std::cout << fmt::format("{:<12} {:>7.2f}\n", "optimum", cell.optimum_kwh / count);
    for (std::size_t i = 0; days && i < cell.days.size(); ++i) {
        std::cout << fmt::format("  day {:>2}: {:.2f}\n", i, fmt::join(cell.days[i], " "));
    }
    std::cout << "\n";
}

/// One line for every cell in which another law earns as much. True if the optimum is one on every day.
bool judge(const std::vector<Cell>& cells) {
    int won = 0;
    int level_cells = 0;
    bool bounded = true;
    for (const auto& cell : cells) {
        const auto best = std::max_element(cell.sums.begin() + 1, cell.sums.end(),
                                           [](const Sums& a, const Sums& b) { return a.net_kwh < b.net_kwh; });
        const auto count = static_cast<double>(cell.days.size());
        if (cell.sums[0].net_kwh > best->net_kwh) {
            ++won;
        } else {
            const bool level = cell.sums[0].net_kwh == best->net_kwh;
            level_cells += level ? 1 : 0;
            std::cout << fmt::format("{}: {}: {} {:.2f} kWh, this engine {:.2f}\n", level ? "level" : "not won",
                                     title(cell), laws[static_cast<std::size_t>(best - cell.sums.begin())].name,
                                     best->net_kwh / count, cell.sums[0].net_kwh / count);
        }
        for (const auto& day : cell.days) {
            bounded = bounded && *std::max_element(day.begin(), day.end() - 1) <= day.back() + 1e-9;
        }
    }
    std::cout << fmt::format("{} of {} cells won, {} level; {}\n", won, cells.size(), level_cells,
                             bounded ? "no law exceeds the optimum on any day" : "THE OPTIMUM IS EXCEEDED");
    return bounded;
}

bool run_table(const Options& options) {
    auto cells = cells_of(options);
    std::atomic<std::size_t> next{0};
    {
        std::vector<std::jthread> threads;
        for (unsigned i = 0; i < options.jobs; ++i) {
            threads.emplace_back([&] {
                for (std::size_t mine = next++; mine < cells.size(); mine = next++) {
                    fill(cells[mine], options);
                }
            });
        }
    }
    for (const auto& cell : cells) {
        print(cell, options.days);
    }
    return judge(cells);
}

void run_speed() {
    const DayOptions options;
    const auto day = study::synthetic_day(study::Sky::broken, 1);
    constexpr int days = 30;
    // Processor time: other programs on the machine do not count.
    const std::clock_t begun = std::clock();
    double net_kwh = 0;
    for (int i = 0; i < days; ++i) {
        net_kwh += run_day(day, options, this_engine(options)).net_kwh;
    }
    const double elapsed_s = static_cast<double>(std::clock() - begun) / CLOCKS_PER_SEC;
    std::cout << fmt::format(
        "{:.1f} simulated days a second at 1 s steps, {:.0f} ns a decision with its second of world"
        " (checksum {:.3f})\n",
        days / elapsed_s, elapsed_s * 1e9 / (days * 86400.0), net_kwh);
}

template <class Number>
Number number(std::string_view text) {
    Number value{};
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
    if (parsed.ec != std::errc{} || parsed.ptr != text.data() + text.size()) {
        throw std::runtime_error(fmt::format("\"{}\" is not a number", text));
    }
    return value;
}

study::Sky sky_named(std::string_view name) {
    for (const auto sky : {study::Sky::clear, study::Sky::broken, study::Sky::overcast}) {
        if (name == study::name_of(sky)) {
            return sky;
        }
    }
    throw std::runtime_error(fmt::format("\"{}\" is not clear, broken or overcast", name));
}

void take_seeds(Options& options, std::string_view text) {
    const auto dash = text.find('-');
    options.first_seed = number<int>(text.substr(0, dash));
    options.last_seed = dash == std::string_view::npos ? options.first_seed : number<int>(text.substr(dash + 1));
}

Options parse(int argc, char** argv) {
    Options options;
    const std::map<std::string_view, std::function<void()>> switches{{"--speed", [&] { options.speed = true; }},
                                                                     {"--decision", [&] { options.decision = true; }},
                                                                     {"--days", [&] { options.days = true; }}};
    const std::map<std::string_view, std::function<void(std::string_view)>> values{
        {"--seeds", [&](std::string_view text) { take_seeds(options, text); }},
        {"--sky", [&](std::string_view text) { options.skies = {sky_named(text)}; }},
        {"--phases", [&](std::string_view text) { options.phases = {number<int>(text)}; }},
        {"--ratio", [&](std::string_view text) { options.ratios = {number<double>(text)}; }},
        {"--battery", [&](std::string_view text) { options.batteries = {text == "yes"}; }},
        {"--jobs", [&](std::string_view text) { options.jobs = std::max(1U, number<unsigned>(text)); }}};
    for (int i = 1; i < argc; ++i) {
        const std::string_view argument = argv[i];
        if (const auto found = switches.find(argument); found != switches.end()) {
            found->second();
        } else if (const auto value = values.find(argument); value != values.end() && i + 1 < argc) {
            value->second(argv[++i]);
        } else {
            throw std::runtime_error(fmt::format("unknown or incomplete argument \"{}\", see --help", argument));
        }
    }
    return options;
}

}  // namespace

int main(int argc, char** argv) {
    try {
        if (argc > 1 && std::string_view(argv[1]) == "--help") {
            std::cout << help;
            return 0;
        }
        const Options options = parse(argc, argv);
        if (options.speed) {
            run_speed();
            return 0;
        }
        if (options.decision) {
            study::run_decision_bench();
            return 0;
        }
        return run_table(options) ? 0 : 1;
    } catch (const std::exception& error) {
        std::cerr << "policy-bench: " << error.what() << "\n";
        return 2;
    }
}
