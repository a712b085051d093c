#include <exception>
#include <fstream>
#include <iostream>

#include <fmt/format.h>

#include "policy-engine/simulation/arguments.hpp"
#include "policy-engine/simulation/chart.hpp"
#include "policy-engine/simulation/report.hpp"
#include "policy-engine/simulation/scenario.hpp"
#include "policy-engine/simulation/stdio.hpp"
#include "storage/atomic_file.hpp"

namespace {

using namespace policy_engine::simulation;

constexpr int succeeded = 0;
constexpr int failed = 1;
constexpr int misused = 2;

policy_engine::ServiceConfig read_engine_config(const Arguments& arguments) {
    const config::Document document(config::read_file(arguments.config_file), arguments.config_file,
                                    arguments.overrides);
    // The keys that belong to the process around the core are known, and of no concern here.
    for (const char* key : {"mqtt", "log", "home_assistant", "health_file"}) {
        if (document.root().has(key)) {
            document.root().raw(key);
        }
    }
    auto config = policy_engine::read_config(document.root());
    document.finish();
    return config;
}

std::optional<Scenario> read_scenario_of(const Arguments& arguments, const policy_engine::ServiceConfig& config) {
    if (arguments.scenario_file.empty()) {
        return std::nullopt;
    }
    const std::filesystem::path file = arguments.scenario_file;
    const config::Document document(config::read_file(file), file.string());
    auto scenario = read_scenario(document.root(), config, file.parent_path());
    document.finish();
    const bool from_elsewhere = !arguments.trace_file.empty() || !arguments.capture_file.empty();
    if (from_elsewhere == !scenario.day_file.empty()) {
        throw BadArgument(fmt::format("{}: day: {}", file.string(),
                                      from_elsewhere ? "is given by --trace or --capture as well: expected one of them"
                                                     : "missing: give it, --trace or --capture"));
    }
    return scenario;
}

std::ifstream open(const std::filesystem::path& file) {
    std::ifstream text(file);
    if (!text || std::filesystem::is_directory(file)) {
        throw std::runtime_error(fmt::format("{}: cannot be read", file.string()));
    }
    return text;
}

std::vector<Second> read_trace_file(const std::filesystem::path& file) {
    auto text = open(file);
    return read_trace(text, file.string());
}

SiteRun run_recorded(const Arguments& arguments, const policy_engine::ServiceConfig& config,
                     const std::optional<Scenario>& scenario) {
    CaptureOptions options{.base_topic = arguments.base_topic, .from = arguments.from, .to = arguments.to};
    options.longest_gap_s = arguments.longest_gap_s.value_or(options.longest_gap_s);
    auto text = open(arguments.capture_file);
    const auto recording = read_capture(text, arguments.capture_file, options);
    auto day = day_of(recording, arguments.capture_file);
    if (!scenario) {
        const auto setup = setup_for(recording, config, day);
        return run_site(config, day, setup);
    }
    set_tariff(day, *scenario);
    return run_site(config, day, setup_for(*scenario, day));
}

SiteRun run_whole_site(const Arguments& arguments, const policy_engine::ServiceConfig& config) {
    const auto scenario = read_scenario_of(arguments, config);
    if (!arguments.capture_file.empty()) {
        return run_recorded(arguments, config, scenario);
    }
    if (!scenario) {
        const auto day = day_of(read_trace_file(arguments.trace_file), usual_midnight());
        return run_site(config, day, setup_for(config, day));
    }
    const auto file = arguments.trace_file.empty() ? scenario->day_file : std::filesystem::path(arguments.trace_file);
    auto day = day_of(read_trace_file(file), scenario->midnight);
    set_tariff(day, *scenario);
    return run_site(config, day, setup_for(*scenario, day));
}

void report_on(const Arguments& arguments, const SiteRun& run) {
    if (!arguments.chart_file.empty()) {
        storage::write_atomically(arguments.chart_file, svg_chart(run));
    }
    if (arguments.report == ReportKind::json) {
        std::cout << contract::to_text(json_report(run)) << "\n";
    } else {
        std::cout << text_report(run);
    }
}

int run(const Arguments& arguments) {
    auto config = read_engine_config(arguments);
    if (arguments.stdio) {
        answer_all(std::cin, std::cout, std::move(config));
    } else if (arguments.only_trace()) {
        const auto options = options_for(config);
        const auto day = read_trace_file(arguments.trace_file);
        std::cout << to_json(run_day(day, options, engine_law(config, options))).dump(2) << "\n";
    } else {
        report_on(arguments, run_whole_site(arguments, config));
    }
    return succeeded;
}

}  // namespace

int main(int argc, char** argv) {
    try {
        const auto arguments = parse_arguments({argv + 1, argv + argc});
        if (arguments.help || arguments.version) {
            std::cout << (arguments.help ? help_text() : "policy-sim " TWC_MQTT_VERSION "\n");
            return succeeded;
        }
        return run(arguments);
    } catch (const BadArgument& error) {
        std::cerr << "policy-sim: " << error.what() << "\n";
        return misused;
    } catch (const config::ConfigError& error) {
        std::cerr << error.what() << "\n";
        return misused;
    } catch (const std::exception& error) {
        std::cerr << "policy-sim: " << error.what() << "\n";
        return failed;
    }
}
