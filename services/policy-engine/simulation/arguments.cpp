#include "policy-engine/simulation/arguments.hpp"

#include <charconv>
#include <map>
#include <set>

#include <fmt/format.h>

#include "policy-engine/simulation/scenario.hpp"

namespace policy_engine::simulation {

namespace {

constexpr double longest_bridge_s = 86400;

double seconds_in(std::string_view text) {
    double value = 0;
    const char* const end = text.data() + text.size();
    const auto parsed = std::from_chars(text.data(), end, value);
    if (parsed.ec != std::errc{} || parsed.ptr != end || !(value >= 0 && value <= longest_bridge_s)) {
        throw BadArgument(fmt::format("--max-gap: \"{}\": expected 0 to {:.0f}, in seconds", text, longest_bridge_s));
    }
    return value;
}

WallTime moment_in(const std::string& name, const std::string& text) {
    const auto moment = parse_moment(text);
    if (!moment) {
        throw BadArgument(fmt::format(
            "{}: \"{}\": expected 2026-06-15, 2026-06-15T14:00 (local) or 2026-06-15T14:00:00+02:00", name, text));
    }
    return *moment;
}

ReportKind report_in(const std::string& text) {
    if (text != "text" && text != "json") {
        throw BadArgument(fmt::format("--report: \"{}\": expected text or json", text));
    }
    return text == "json" ? ReportKind::json : ReportKind::text;
}

// False: no such option.
bool take_value(Arguments& arguments, const std::string& name, const std::string& value) {
    const std::map<std::string, std::string*> texts{
        {"--config", &arguments.config_file},   {"--trace", &arguments.trace_file},
        {"--capture", &arguments.capture_file}, {"--scenario", &arguments.scenario_file},
        {"--chart", &arguments.chart_file},     {"--base-topic", &arguments.base_topic}};
    if (const auto text = texts.find(name); text != texts.end()) {
        *text->second = value;
    } else if (name == "--set") {
        arguments.overrides.push_back(value);
    } else if (name == "--report") {
        arguments.report = report_in(value);
    } else if (name == "--from") {
        arguments.from = moment_in(name, value);
    } else if (name == "--to") {
        arguments.to = moment_in(name, value);
    } else if (name == "--max-gap") {
        arguments.longest_gap_s = seconds_in(value);
    } else {
        return false;
    }
    return true;
}

bool take_flag(Arguments& arguments, const std::string& name) {
    if (name == "--stdio") {
        arguments.stdio = true;
    } else if (name == "--help" || name == "-h") {
        arguments.help = true;
    } else if (name == "--version") {
        arguments.version = true;
    } else {
        return false;
    }
    return true;
}

void check_together(const Arguments& arguments, const std::set<std::string>& given) {
    const auto refuse_with = [&](const std::string& one, std::initializer_list<const char*> others) {
        for (const char* other : others) {
            if (given.contains(one) && given.contains(other)) {
                throw BadArgument(fmt::format("{} and {} do not go together, see --help", one, other));
            }
        }
    };
    refuse_with("--stdio", {"--trace", "--capture", "--scenario", "--report", "--chart"});
    refuse_with("--trace", {"--capture"});
    for (const char* name : {"--from", "--to", "--max-gap", "--base-topic"}) {
        if (given.contains(name) && !given.contains("--capture")) {
            throw BadArgument(fmt::format("{} means something with --capture only, see --help", name));
        }
    }
    const bool something_to_do = given.contains("--stdio") || given.contains("--trace") ||
                                 given.contains("--capture") || given.contains("--scenario");
    if (arguments.config_file.empty() || !something_to_do) {
        throw BadArgument("needs --config and one of --stdio, --trace, --capture or --scenario, see --help");
    }
    if (arguments.from && arguments.to && *arguments.to <= *arguments.from) {
        throw BadArgument("--to: must lie after --from");
    }
}

}  // namespace

Arguments parse_arguments(std::span<const char* const> words) {
    Arguments arguments;
    std::set<std::string> given;
    for (std::size_t i = 0; i < words.size(); ++i) {
        const std::string name = words[i];
        if (name != "--set" && !given.insert(name).second) {
            throw BadArgument(fmt::format("{} is given twice", name));
        }
        if (take_flag(arguments, name)) {
            continue;
        }
        if (i + 1 == words.size() || *words[i + 1] == '\0' || !take_value(arguments, name, words[i + 1])) {
            throw BadArgument(fmt::format("unknown or incomplete argument \"{}\", see --help", name));
        }
        ++i;
    }
    if (!arguments.help && !arguments.version) {
        check_together(arguments, given);
    }
    return arguments;
}

std::string help_text() {
    return R"(policy-sim: tries the policy-engine's rules without a broker, a charger or a car

usage: policy-sim --config FILE --stdio
       policy-sim --config FILE --trace DAY.csv [--report text|json] [--chart FILE.svg]
       policy-sim --config FILE --capture FILE  [--scenario FILE.yaml] [--from T] [--to T] ...
       policy-sim --config FILE --scenario FILE.yaml [--trace DAY.csv] ...

  --config FILE     a policy-engine.yaml; its mqtt and log sections are ignored
  --set KEY=VALUE   replace one key of that file, such as policy.mode=min_solar; may be repeated
  --stdio           read one JSON object a line from standard input, answer each with one line:
                    {"t":0,"grid_w":-3000,"chargers":[{"id":"7744","plugged":true,"drawn_a":0}]}
                    Also battery_w, battery_soc_pct, voltage_v, phases, pv_w, grid_a and vehicles; what is missing
                    is unknown. t counts seconds from local midnight of a Monday (from 1e9 on: since 1970).
  --trace FILE      a day of sun and load (columns t_s,pv_w,load_w). Alone: against one car, metrics as JSON.
                    The car begins 10 s after an offer, rises 1 A/s, falls 3 A/s, is never full.
  --capture FILE    a day recorded with  mosquitto_sub -t 'twc/#' -F '%U %t %p'  (also '%I %t %p', '%j', '%J').
                    Without --scenario: the chargers that were recorded, with a car when there was one.
  --base-topic B    of the capture (twc)
  --from T, --to T  only that part of the capture: 2026-06-15, 2026-06-15T14:00 (local) or with an offset
  --max-gap S       longest gap of the capture that is bridged (900)
  --scenario FILE   chargers, cars, home battery, tariff, and the day unless --trace or --capture gives it;
                    the README shows one
  --report KIND     text (usual) or json, on standard output
  --chart FILE      draw the day as SVG
  --version, --help

Exit codes: 0 done, 1 a day cannot be read or a chart written, 2 wrong configuration, scenario or arguments.
)";
}

}  // namespace policy_engine::simulation
