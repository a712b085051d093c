#include <exception>
#include <fstream>
#include <iostream>
#include <string_view>

#include <fmt/format.h>

#include "policy-engine/simulation/day.hpp"
#include "policy-engine/simulation/stdio.hpp"

namespace {

constexpr int succeeded = 0;
constexpr int failed = 1;
constexpr int misused = 2;

constexpr const char* help =
    "policy-sim: tries the policy-engine's rules without a broker, a charger or a car\n\n"
    "usage: policy-sim --config FILE --stdio\n"
    "       policy-sim --config FILE --trace DAY.csv\n\n"
    "  --config FILE  a policy-engine.yaml; its mqtt and log sections are ignored\n"
    "  --stdio        read one JSON object a line from standard input, answer each with one line:\n"
    "                 {\"t\":0,\"grid_w\":-3000,\"chargers\":[{\"id\":\"7744\",\"plugged\":true,\"drawn_a\":0}]}\n"
    "                 Also battery_w, battery_soc_pct, voltage_v, phases, pv_w, grid_a and vehicles; what is missing\n"
    "                 is unknown. t counts seconds from local midnight of a Monday (from 1e9 on: since 1970).\n"
    "  --trace FILE   run a recorded day (columns t_s,pv_w,load_w) against a simulated car and print metrics as JSON.\n"
    "                 The car begins 10 s after an offer, rises 1 A/s, falls 3 A/s, is never full.\n"
    "  --set KEY=VALUE  replace one key of the file, such as policy.mode=min_solar\n"
    "  --version, --help\n\n"
    "Exit codes: 0 done, 1 the trace cannot be read, 2 wrong configuration or arguments.\n";

struct Arguments {
    std::string config_file;
    std::string trace_file;
    std::vector<std::string> overrides;
    bool stdio = false;
};

// For arguments that only want to know something; nullptr for others.
const char* answer_to(std::string_view argument) {
    if (argument == "--help" || argument == "-h") {
        return help;
    }
    return argument == "--version" ? "policy-sim " TWC_MQTT_VERSION "\n" : nullptr;
}

// False: not an argument with a value, or its value is missing.
bool take_value(Arguments& arguments, std::string_view argument, const char* value) {
    if (value == nullptr) {
        return false;
    }
    if (argument == "--config") {
        arguments.config_file = value;
    } else if (argument == "--trace") {
        arguments.trace_file = value;
    } else if (argument == "--set") {
        arguments.overrides.emplace_back(value);
    } else {
        return false;
    }
    return true;
}

// Returns nothing when the caller should end with `code`.
std::optional<Arguments> parse(int argc, const char* const* argv, int& code) {
    Arguments arguments;
    code = succeeded;
    for (int i = 1; i < argc; ++i) {
        const std::string_view argument = argv[i];
        if (const char* answer = answer_to(argument)) {
            std::cout << answer;
            return std::nullopt;
        }
        const char* const value = i + 1 < argc ? argv[i + 1] : nullptr;
        if (argument == "--stdio") {
            arguments.stdio = true;
        } else if (take_value(arguments, argument, value)) {
            ++i;
        } else {
            std::cerr << fmt::format("policy-sim: unknown or incomplete argument \"{}\", see --help\n", argument);
            code = misused;
            return std::nullopt;
        }
    }
    if (arguments.config_file.empty() || arguments.stdio == !arguments.trace_file.empty()) {
        std::cerr << "policy-sim: needs --config and either --stdio or --trace, see --help\n";
        code = misused;
        return std::nullopt;
    }
    return arguments;
}

policy_engine::ServiceConfig read_config(const Arguments& arguments) {
    const config::Document document(config::read_file(arguments.config_file), arguments.config_file,
                                    arguments.overrides);
    // The keys that belong to the process around the core are known, and of no concern here.
    for (const char* key : {"mqtt", "log", "health_file"}) {
        if (document.root().has(key)) {
            document.root().raw(key);
        }
    }
    auto config = policy_engine::read_config(document.root());
    document.finish();
    return config;
}

int run_trace(const policy_engine::ServiceConfig& config, const std::string& file) {
    using namespace policy_engine::simulation;
    std::ifstream text(file);
    if (!text) {
        std::cerr << fmt::format("policy-sim: {}: cannot be read\n", file);
        return failed;
    }
    const auto day = read_trace(text, file);
    const auto options = options_for(config);
    std::cout << to_json(run_day(day, options, engine_law(config, options))).dump(2) << "\n";
    return succeeded;
}

}  // namespace

int main(int argc, char** argv) {
    try {
        int code = succeeded;
        const auto arguments = parse(argc, argv, code);
        if (!arguments) {
            return code;
        }
        auto config = read_config(*arguments);
        if (arguments->stdio) {
            policy_engine::simulation::answer_all(std::cin, std::cout, std::move(config));
            return succeeded;
        }
        return run_trace(config, arguments->trace_file);
    } catch (const config::ConfigError& error) {
        std::cerr << error.what() << "\n";
        return misused;
    } catch (const std::exception& error) {
        std::cerr << "policy-sim: " << error.what() << "\n";
        return failed;
    }
}
