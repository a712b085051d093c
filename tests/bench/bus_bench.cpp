// How well twc-bus keeps a bus: the real program on a pseudo-terminal, with a real Mosquitto on a private port, against
// Wall Connectors played here in real time, byte by byte at 9600 baud.
//
//   build/bin/bus-bench [heartbeats] [--only NAME] [--noise-s SECONDS] [--repetitions N] [--answer-ms LOW:HIGH]
//
//   heartbeats     length of each steady window, one heartbeat per unit and second; at least 30 for a figure of the
//                  processor (30)
//   --only         one of steady, start, kill, replug, noise, step
//   --noise-s      length of each noisy window (30)
//   --repetitions  of starts, kills, replugs and steps (5)
//   --answer-ms    how long units think before they answer (12:12, as when the reference program was measured)
//
// About eight minutes in its default form. The table goes to standard output, progress to standard error. Its column
// "baseline" holds what was measured once for ngardiner/TWCManager a7c84f4 against simulated units on a machine of the
// same kind; that program is not run here.
//
// What the rows mean:
//   steady  One unit, then three: without cars, then charging, with questions for VIN, energy and so on in between. The
//           period is that of the heartbeats to one unit, taken when a heartbeat is complete on the pseudo-terminal.
//           Turnaround: from the end of a unit's answer to the next heartbeat to another unit that is due. A frame sent
//           into an answer begins before the byte that trails it has left. Where the bench's own bytes come late, the
//           machine is too busy for this table: the program measured is late as well. Processor time is of the process
//           and all its threads, in percent of one core; bytes arrive one by one, which no adapter makes dearer.
//   start   From exec to the end of the first answer to a heartbeat: known from the state file; unknown and announcing
//           itself when asked (FB E2); unknown and announcing itself every ten seconds only, at moments spread over the
//           ten seconds, where only the part after the announcement depends on the master.
//   kill    SIGKILL while three cars charge and a new start at once: from the signal to the first heartbeat, and until
//           every unit has answered.
//   replug  The pseudo-terminal is closed and a new one appears under the same name after two to four seconds: from
//           that moment to the first heartbeat.
//   noise   Each byte from a unit has one bit flipped with this probability; three cars charge. A frame is clean when
//           no bit between and including its delimiters changed; it is lost when twc-bus did not count it as received.
//           Damaged frames whose checksum is right after all are taken off that count.
//   step    Limits of 48 A in all are lowered to 20 A while three cars draw them (ramps: 3 A/s up, 9 A/s down), as
//           policy-engine publishes them. Told: what the units work to. The highest sums are of the whole sequence:
//           cold start, steps down and up, and the exchange of a high and a low limit.

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <iostream>
#include <random>
#include <string>
#include <thread>
#include <utility>

#include <fmt/format.h>

#include "bus_under_test.hpp"

namespace {

using namespace std::chrono_literals;
using bench::BusUnderTest;
using bench::Instant;
using bench::Level;
using bench::LineRecord;

struct Options {
    int heartbeats = 30;
    std::string only;
    int noise_s = 30;
    int repetitions = 5;
    bench::AnswerDelay answer;
};

struct Row {
    std::string what;
    std::string here;
    std::string baseline;
    std::string aim;
};
using Table = std::vector<Row>;

void progress(const std::string& text) { std::cerr << text << "\n"; }
void pause(scheduling::Duration duration) { std::this_thread::sleep_for(duration); }
double seconds(scheduling::Duration duration) { return std::chrono::duration<double>(duration).count(); }

// --- table ------------------------------------------------------------------------------------------------------

void print(const Table& table) {
    Table all{{"what", "here", "baseline (TWCManager a7c84f4)", "aim"}};
    all.insert(all.end(), table.begin(), table.end());
    const auto width = [&](std::string Row::*column) {
        return std::ranges::max(all, {}, [&](const Row& row) { return (row.*column).size(); }).*column;
    };
    const auto what = width(&Row::what).size();
    const auto here = width(&Row::here).size();
    const auto baseline = width(&Row::baseline).size();
    for (const auto& row : all) {
        std::cout << fmt::format("{:<{}} | {:<{}} | {:<{}} | {}\n", row.what, what, row.here, here, row.baseline,
                                 baseline, row.aim);
    }
}

std::string median_and_max(const std::vector<double>& values, const std::string& unit, int decimals) {
    if (values.empty()) {
        return "none";
    }
    return fmt::format("median {:.{}f} {}, max {:.{}f} (n {})", bench::percentile(values, 0.5), decimals, unit,
                       bench::percentile(values, 1), decimals, values.size());
}

// --- steady -----------------------------------------------------------------------------------------------------

struct Window {
    LineRecord record;
    double resident_mib = 0;
    double cpu_percent = 0;
};

Window watch(BusUnderTest& bus, scheduling::Duration duration) {
    bus.line().forget();
    const double cpu_before_s = bus.cost().cpu_s;
    const Instant begun = std::chrono::steady_clock::now();
    pause(duration);
    const auto cost = bus.cost();
    const double elapsed_s = seconds(std::chrono::steady_clock::now() - begun);
    return {.record = bus.line().record(),
            .resident_mib = cost.resident_mib,
            .cpu_percent = 100 * (cost.cpu_s - cpu_before_s) / elapsed_s};
}

void add(std::vector<double>& all, const std::vector<double>& more) { all.insert(all.end(), more.begin(), more.end()); }

void add_period_rows(Table& table, const std::string& who, const std::vector<double>& periods_s,
                     const std::string& baseline_period, const std::string& baseline_jitter) {
    std::vector<double> periods_ms;
    std::vector<double> jitter_ms;
    for (const double period_s : periods_s) {
        periods_ms.push_back(period_s * 1000);
        jitter_ms.push_back(std::abs(period_s - 1) * 1000);
    }
    if (periods_ms.empty()) {
        table.push_back({"heartbeat period, " + who, "none", baseline_period, "1000 ms"});
        return;
    }
    table.push_back({"heartbeat period, " + who,
                     fmt::format("p50 {:.1f} ms, sd {:.2f} (n {})", bench::percentile(periods_ms, 0.5),
                                 bench::standard_deviation(periods_ms), periods_ms.size()),
                     baseline_period, "1000 ms"});
    table.push_back({"  |period - 1 s|",
                     fmt::format("p50 {:.2f} ms, p99 {:.2f}, max {:.2f}", bench::percentile(jitter_ms, 0.5),
                                 bench::percentile(jitter_ms, 0.99), bench::percentile(jitter_ms, 1)),
                     baseline_jitter, "p99 < 5 ms"});
}

void add_turnaround_row(Table& table, const std::string& who, const std::vector<double>& turnarounds_ms,
                        const std::string& baseline) {
    table.push_back({"turnaround to another unit, " + who,
                     turnarounds_ms.empty()
                         ? "none"
                         : fmt::format("p50 {:.1f} ms, p99 {:.1f}, max {:.1f} (n {})",
                                       bench::percentile(turnarounds_ms, 0.5), bench::percentile(turnarounds_ms, 0.99),
                                       bench::percentile(turnarounds_ms, 1), turnarounds_ms.size()),
                     baseline, "-"});
}

void add_cost_rows(Table& table, const std::string& who, const Window& window, const std::string& baseline_memory,
                   const std::string& baseline_cpu) {
    table.push_back({"resident memory, " + who, fmt::format("{:.1f} MiB", window.resident_mib), baseline_memory, "-"});
    table.push_back({"processor, " + who, fmt::format("{:.2f} % of a core", window.cpu_percent), baseline_cpu, "-"});
}

// Without cars, then with cars that charge.
struct SteadyWindows {
    Window idle;
    Window charging;
};

SteadyWindows watch_steady(BusUnderTest& bus, std::size_t units, const Options& options) {
    const auto window = std::chrono::seconds(options.heartbeats);
    const auto limits = bench::limits_for(std::vector<int>(units, bench::wiring_a / 3));
    bus.start_and_link();
    bus.publish_limits(bench::limits_for(std::vector<int>(units, 0)));
    pause(3s);  // the link-ready frames of the start
    progress(fmt::format("steady: {} unit(s), idle, {} s", units, options.heartbeats));
    SteadyWindows windows{.idle = watch(bus, window), .charging = {}};
    bus.plug_cars_in();
    bus.publish_limits(limits);
    bus.wait_until_drawn(limits);
    progress(fmt::format("steady: {} unit(s), charging, {} s", units, options.heartbeats));
    windows.charging = watch(bus, window);
    return windows;
}

std::vector<double> all_periods_s(const SteadyWindows& windows) {
    auto periods = bench::periods_s(windows.idle.record);
    add(periods, bench::periods_s(windows.charging.record));
    return periods;
}

void measure_steady_one(const Options& options, Table& table, Table& costs) {
    BusUnderTest bus(bench::some_units(1), options.answer);
    const auto windows = watch_steady(bus, 1, options);
    add_period_rows(table, "1 unit", all_periods_s(windows), "p50 1011 ms (1007 .. 1116), sd 14", "p50 11 ms, max 116");
    add_cost_rows(costs, "1 unit idle", windows.idle, "47.9 MiB", "0.72 % of a core");
    add_cost_rows(costs, "1 unit charging", windows.charging, "not measured", "not measured");
}

void measure_steady_three(const Options& options, Table& table, Table& costs) {
    BusUnderTest bus(bench::some_units(3), options.answer);
    const auto windows = watch_steady(bus, 3, options);
    auto turnarounds = bench::turnarounds_ms(windows.idle.record);
    add(turnarounds, bench::turnarounds_ms(windows.charging.record));

    constexpr bench::AnswerDelay spread{.shortest = 10ms, .longest = 150ms};
    bus.line().set_answer_delay(spread);
    progress(fmt::format("steady: 3 units, answers after 10 to 150 ms, {} s", options.heartbeats));
    const auto uneven = watch(bus, std::chrono::seconds(options.heartbeats));

    add_period_rows(table, "3 units", all_periods_s(windows), "p50 3040 ms (3032 .. 3152), sd 24",
                    "p50 2040 ms, max 2152");
    add_period_rows(table, "3 units, answers after 10 to 150 ms", bench::periods_s(uneven.record), "not measured",
                    "not measured");
    add_turnaround_row(table, "3 units", turnarounds,
                       "p50 962 ms (its cadence); p50 13.4, p95 54 (to an announcement)");
    add_turnaround_row(table, "answers after 10 to 150 ms", bench::turnarounds_ms(uneven.record), "not measured");
    table.push_back({"frames sent into an answer, 3 units",
                     fmt::format("{} in {} s; {} in {} s with 10 to 150 ms",
                                 windows.idle.record.overlaps + windows.charging.record.overlaps,
                                 2 * options.heartbeats, uneven.record.overlaps, options.heartbeats),
                     "12 to 62 an hour", "-"});
    const auto line_late = std::max({windows.idle.record.latest, windows.charging.record.latest, uneven.record.latest});
    table.push_back({"(how late this bench's own bytes were at worst)",
                     fmt::format("{:.2f} ms", seconds(line_late) * 1000), "-", "far below 5 ms"});
    add_cost_rows(costs, "3 units idle", windows.idle, "47.9 MiB", "0.84 % of a core");
    add_cost_rows(costs, "3 units charging", windows.charging, "48.0 MiB", "0.61 % of a core");
}

void measure_steady(const Options& options, Table& table) {
    Table costs;
    measure_steady_one(options, table, costs);
    measure_steady_three(options, table, costs);
    table.insert(table.end(), costs.begin(), costs.end());
}

// --- start ------------------------------------------------------------------------------------------------------

double seconds_until_acknowledged(BusUnderTest& bus) {
    bus.line().forget();
    const Instant begun = bus.start();
    const auto acknowledged = [](const LineRecord& record) { return bench::first_acknowledgement(record).has_value(); };
    if (!bus.line().wait_for(acknowledged, 30s)) {
        bus.fail("no heartbeat is acknowledged");
    }
    return seconds(*bench::first_acknowledgement(bus.line().record()) - begun);
}

std::vector<double> starts_with_known_unit(const Options& options) {
    BusUnderTest bus(bench::some_units(1), options.answer);
    bus.start_and_link();
    std::vector<double> times;
    for (int i = 0; i < options.repetitions; ++i) {
        bus.stop();
        times.push_back(seconds_until_acknowledged(bus));
        pause(1s);
    }
    return times;
}

std::vector<double> starts_with_asked_unit(const Options& options) {
    auto units = bench::some_units(1);
    units[0].answers_link_ready = true;
    BusUnderTest bus(std::move(units), options.answer);
    std::vector<double> times;
    for (int i = 0; i < options.repetitions; ++i) {
        bus.line().for_each_unit([](bench::Unit& unit, Instant now) { unit.slave.reset(now); });
        bus.forget_state();
        pause(1s);  // else it takes the link-ready frames of one start for those of another
        times.push_back(seconds_until_acknowledged(bus));
        bus.stop();
    }
    return times;
}

struct AnnouncedStarts {
    std::vector<double> from_exec_s;
    std::vector<double> from_announcement_ms;  ///< To the first heartbeat.
};

AnnouncedStarts starts_with_announcing_unit(const Options& options) {
    constexpr double announcement_period_s = 10;
    BusUnderTest bus(bench::some_units(1), options.answer);
    AnnouncedStarts starts;
    for (int i = 0; i < options.repetitions; ++i) {
        const std::chrono::duration<double> until_next(announcement_period_s * (i + 0.5) / options.repetitions);
        bus.line().for_each_unit([&](bench::Unit& unit, Instant now) {
            unit.slave.reset(now - 10s + std::chrono::duration_cast<scheduling::Duration>(until_next));
        });
        bus.forget_state();
        starts.from_exec_s.push_back(seconds_until_acknowledged(bus));
        const auto record = bus.line().record();
        const auto announced = bench::first_announcement(record);
        const auto heartbeat = bench::first_heartbeat(record);
        if (announced && heartbeat) {
            starts.from_announcement_ms.push_back(seconds(*heartbeat - *announced) * 1000);
        }
        bus.stop();
    }
    return starts;
}

void measure_start(const Options& options, Table& table) {
    const std::string what = "start -> first acknowledged heartbeat, ";
    const std::string baseline = "median 1.63 s (1.15 .. 1.90)";
    progress("start: unit in the state file");
    table.push_back({what + "known unit", median_and_max(starts_with_known_unit(options), "s", 3),
                     baseline + ", keeps no list of units", "< 1 s"});
    progress("start: unknown unit that answers the link-ready");
    table.push_back(
        {what + "unknown unit, asked", median_and_max(starts_with_asked_unit(options), "s", 3), baseline, "< 1 s"});
    progress("start: unknown unit that announces itself every 10 s");
    const auto starts = starts_with_announcing_unit(options);
    table.push_back(
        {what + "unknown unit, every 10 s", median_and_max(starts.from_exec_s, "s", 3), "7.4 s (after kill -9)", "-"});
    table.push_back({"  its announcement -> first heartbeat", median_and_max(starts.from_announcement_ms, "ms", 1),
                     "p50 13.4 ms, p95 54, max 100", "-"});
}

// --- kill and replug --------------------------------------------------------------------------------------------

void start_charging(BusUnderTest& bus, const std::map<bench::UnitNumber, int>& limits) {
    bus.start_and_link();
    bus.plug_cars_in();
    bus.publish_limits(limits);
    bus.wait_until_drawn(limits);
}

// From `since` to the first heartbeat, once every unit has answered.
double seconds_until_heartbeat(BusUnderTest& bus, Instant since, std::vector<double>& until_all_s) {
    constexpr std::size_t units = 3;
    const auto all = [](const LineRecord& record) { return bench::units_acknowledging(record) == units; };
    if (!bus.line().wait_for(all, 30s)) {
        bus.fail("not every unit hears its master again");
    }
    const auto record = bus.line().record();
    until_all_s.push_back(seconds(record.from_units.back().ended - since));
    return seconds(*bench::first_heartbeat(record) - since);
}

void measure_kill(const Options& options, Table& table) {
    BusUnderTest bus(bench::some_units(3), options.answer);
    start_charging(bus, bench::limits_for({16, 16, 16}));
    pause(2s);  // the state file knows the units
    std::vector<double> first_s;
    std::vector<double> all_s;
    for (int i = 0; i < options.repetitions; ++i) {
        progress(fmt::format("kill: {} of {}", i + 1, options.repetitions));
        const Instant killed = bus.kill();
        bus.line().forget();
        bus.start();
        first_s.push_back(seconds_until_heartbeat(bus, killed, all_s));
        pause(2s);
    }
    table.push_back({"SIGKILL and restart -> first heartbeat", median_and_max(first_s, "s", 3),
                     "1.60 s (1.47 .. 1.69); 7.4 with units that only announce themselves", "< 2 s"});
    table.push_back({"  -> all three acknowledged", median_and_max(all_s, "s", 3), "1.76 s (1.63 .. 1.85); 9.5", "-"});
}

void measure_replug(const Options& options, Table& table) {
    BusUnderTest bus(bench::some_units(3), options.answer);
    start_charging(bus, bench::limits_for({16, 16, 16}));
    std::mt19937 random(1);
    std::vector<double> first_s;
    std::vector<double> all_s;
    for (int i = 0; i < options.repetitions; ++i) {
        progress(fmt::format("replug: {} of {}", i + 1, options.repetitions));
        bus.line().unplug_adapter();
        pause(std::chrono::milliseconds(std::uniform_int_distribution(2000, 4000)(random)));
        bus.line().forget();
        const Instant plugged = bus.line().plug_adapter();
        first_s.push_back(seconds_until_heartbeat(bus, plugged, all_s));
        pause(1s);
    }
    table.push_back({"adapter back -> first heartbeat", median_and_max(first_s, "s", 3), "never", "< 2 s"});
    table.push_back({"  -> all three acknowledged", median_and_max(all_s, "s", 3), "never", "-"});
}

// --- noise ------------------------------------------------------------------------------------------------------

struct NoiseLevel {
    double per_byte = 0;
    std::string baseline_lost;
    std::string baseline_gap;
    std::string baseline_dropped;
};

std::uint64_t frames_received(const BusUnderTest& bus) {
    return bus.next_metrics().at("frames_received").get<std::uint64_t>();
}

struct NoisyWindow {
    LineRecord record;
    std::uint64_t received = 0;
    int dropped = 0;
};

// The units are silent before and after, so that no frame is under way while frames are counted. `received_before` is
// of the last count, and is brought up to date.
NoisyWindow watch_noise(BusUnderTest& bus, double per_byte, const Options& options, std::uint64_t& received_before) {
    auto& line = bus.line();
    const int dropped_before = bus.events("charger_lost");
    line.set_noise(per_byte);
    line.forget();
    line.set_silence(false);
    pause(std::chrono::seconds(options.noise_s));
    NoisyWindow window{.record = line.record()};
    line.set_silence(true);
    // Those that ended after the record was taken are in the count below.
    window.record.from_units = line.record().from_units;
    const auto received = frames_received(bus);
    window.received = received - std::exchange(received_before, received);
    window.dropped = bus.events("charger_lost") - dropped_before;
    return window;
}

void add_noise_rows(Table& table, const NoiseLevel& level, const NoisyWindow& window) {
    const auto& frames = window.record.from_units;
    const auto clean = std::ranges::count_if(frames, &bench::UnitFrame::clean);
    const auto damaged_but_valid =
        std::ranges::count_if(frames, [](const auto& frame) { return !frame.clean && frame.still_valid; });
    const auto lost = clean + damaged_but_valid - static_cast<std::ptrdiff_t>(window.received);
    const double share = clean > 0 ? 100.0 * static_cast<double>(lost) / static_cast<double>(clean) : 0;
    const auto periods = bench::periods_s(window.record);
    const std::string at = fmt::format("{:g} % of bytes damaged", level.per_byte * 100);
    table.push_back({"clean frames lost, " + at,
                     fmt::format("{} of {} = {:.1f} % ({} sent)", lost, clean, share, frames.size()),
                     level.baseline_lost, "-"});
    table.push_back({"  longest heartbeat gap of a unit",
                     periods.empty() ? "none" : fmt::format("{:.2f} s", bench::percentile(periods, 1)),
                     level.baseline_gap, "2 s"});
    table.push_back({"  units dropped", std::to_string(window.dropped), level.baseline_dropped, "-"});
}

void measure_noise(const Options& options, Table& table) {
    const std::vector<NoiseLevel> levels{
        {0.001, "1 of 101 = 1.0 % (90 s)", "1.95 s (any two heartbeats)", "0"},
        {0.01, "5 of 360 = 1.4 % (7 min)", "2.15 s (any two heartbeats)", "0"},
        {0.05, "36 of 147 = 24.5 % (7 min)", "2.82 s (any two heartbeats)", "5"},
    };
    BusUnderTest bus(bench::some_units(3), options.answer);
    start_charging(bus, bench::limits_for({16, 16, 16}));
    bus.line().set_silence(true);
    auto received = frames_received(bus);
    for (const auto& level : levels) {
        progress(fmt::format("noise: {:g} % of bytes, {} s", level.per_byte * 100, options.noise_s));
        add_noise_rows(table, level, watch_noise(bus, level.per_byte, options, received));
    }
}

// --- step -------------------------------------------------------------------------------------------------------

struct Sums {
    int told_ca = 0;
    int drawn_ca = 0;

    void raise_to(const LineRecord& record) {
        told_ca = std::max(told_ca, bench::highest_ca(record, &Level::told_ca));
        drawn_ca = std::max(drawn_ca, bench::highest_ca(record, &Level::drawn_ca));
    }
};

struct Steps {
    std::vector<double> told_above_s;
    std::vector<double> drawn_above_s;
    std::vector<double> echoed_s;
};

void step_down(BusUnderTest& bus, Steps& steps) {
    const std::vector<int> low_a{7, 7, 6};
    constexpr int low_sum_ca = 2000;
    std::map<bench::UnitNumber, int> low_ca;
    for (const auto& [unit, amps] : bench::limits_for(low_a)) {
        low_ca[unit] = amps * 100;
    }
    bus.line().forget();
    const Instant asked = bus.publish_limits(bench::limits_for(low_a));
    bus.wait_until_drawn(bench::limits_for(low_a));
    if (!bus.line().wait_for([&](const auto& record) { return bench::all_echoed(record, low_ca).has_value(); }, 10s)) {
        bus.fail("not every unit echoes the lower limit");
    }
    pause(2s);  // whether it stays there
    const auto record = bus.line().record();
    const Instant now = std::chrono::steady_clock::now();
    steps.told_above_s.push_back(bench::seconds_above(record, &Level::told_ca, low_sum_ca, asked, now));
    steps.drawn_above_s.push_back(bench::seconds_above(record, &Level::drawn_ca, low_sum_ca, asked, now));
    steps.echoed_s.push_back(seconds(*bench::all_echoed(record, low_ca) - asked));
}

// Publishes new limits and waits until the cars have followed.
void move_to(BusUnderTest& bus, const std::vector<int>& amps, Sums& highest) {
    bus.publish_limits(bench::limits_for(amps));
    bus.wait_until_drawn(bench::limits_for(amps));
    highest.raise_to(bus.line().record());
}

void measure_step(const Options& options, Table& table) {
    const std::vector<int> high_a{16, 16, 16};
    BusUnderTest bus(bench::some_units(3), options.answer);
    bus.plug_cars_in();
    bus.start_and_link();
    Sums highest;
    Steps steps;
    for (int i = 0; i < options.repetitions; ++i) {
        progress(fmt::format("step: {} of {}", i + 1, options.repetitions));
        move_to(bus, high_a, highest);
        pause(std::chrono::milliseconds(500 + 170 * i));  // another phase of the heartbeats each time
        step_down(bus, steps);
    }
    progress("step: exchange of limits");
    move_to(bus, {32, 8, 8}, highest);
    move_to(bus, {8, 8, 32}, highest);
    table.push_back({"48 -> 20 A: told sum above 20 A", median_and_max(steps.told_above_s, "s", 3),
                     "for good (28 A) in 4 of 4; 5.3 s with another history", "-"});
    table.push_back({"  until every unit echoes", median_and_max(steps.echoed_s, "s", 3), "never; 5.3 s", "-"});
    table.push_back({"  drawn sum above 20 A", median_and_max(steps.drawn_above_s, "s", 3), "240 of 240 s (25.4 A)",
                     "while cars ramp"});
    table.push_back({"highest told sum at any time, wiring 48 A", fmt::format("{:.2f} A", highest.told_ca / 100.0),
                     "96 A (cold start)", "<= 48 A"});
    table.push_back({"highest drawn sum at any time", fmt::format("{:.2f} A", highest.drawn_ca / 100.0),
                     "82.9 A (ramps 6 A/s), 51.7 (2 A/s)", "<= 48 A"});
}

// --- the program ------------------------------------------------------------------------------------------------

struct Measurement {
    std::string name;
    void (*run)(const Options&, Table&);
};

const std::vector<Measurement> measurements{{"steady", measure_steady}, {"start", measure_start},
                                            {"kill", measure_kill},     {"replug", measure_replug},
                                            {"noise", measure_noise},   {"step", measure_step}};

int at_least(int lowest, const std::string& text) {
    int value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || value < lowest) {
        throw std::invalid_argument(fmt::format("\"{}\": expected a whole number of at least {}", text, lowest));
    }
    return value;
}

bench::AnswerDelay delay_from(const std::string& text) {
    const auto colon = text.find(':');
    const int shortest = at_least(0, text.substr(0, colon));
    const int longest = colon == std::string::npos ? shortest : at_least(shortest, text.substr(colon + 1));
    return {.shortest = std::chrono::milliseconds(shortest), .longest = std::chrono::milliseconds(longest)};
}

Options options_from(const std::vector<std::string>& arguments) {
    Options options;
    for (std::size_t i = 0; i < arguments.size(); ++i) {
        const std::string& name = arguments[i];
        if (!name.starts_with("--")) {
            options.heartbeats = at_least(2, name);
            continue;
        }
        if (++i == arguments.size()) {
            throw std::invalid_argument(name + ": a value is missing");
        }
        if (name == "--only") {
            options.only = arguments[i];
        } else if (name == "--noise-s") {
            options.noise_s = at_least(1, arguments[i]);
        } else if (name == "--repetitions") {
            options.repetitions = at_least(1, arguments[i]);
        } else if (name == "--answer-ms") {
            options.answer = delay_from(arguments[i]);
        } else {
            throw std::invalid_argument(name + ": unknown; known are --only, --noise-s, --repetitions, --answer-ms");
        }
    }
    const bool known = std::ranges::any_of(measurements, [&](const auto& item) { return item.name == options.only; });
    if (!options.only.empty() && !known) {
        throw std::invalid_argument("--only: expected steady, start, kill, replug, noise or step");
    }
    return options;
}

}  // namespace

int main(int argc, char** argv) {
    try {
        const auto options = options_from({argv + 1, argv + argc});
        Table table;
        for (const auto& [name, run] : measurements) {
            if (options.only.empty() || options.only == name) {
                run(options, table);
            }
        }
        print(table);
        return 0;
    } catch (const std::exception& error) {
        std::cerr << error.what() << "\n";
        return 1;
    }
}
