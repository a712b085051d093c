#include "house-sim/script.hpp"

#include <charconv>
#include <sstream>

#include <fmt/format.h>

namespace house_sim {

const char* const fault_grammar =
    "DEVICE KIND [SECONDS]: modbus none|silence|error|nan, powerwall none|silence|error|unauthorized|rate_limited, "
    "tesla "
    "none|silence|error|unauthorized|rate_limited, line none|cut, noise none|on";

namespace {

constexpr double longest_s = 86400;

std::optional<int> two_digits(std::string_view text) {
    int value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    const bool is_number = error == std::errc{} && end == text.data() + text.size() && text.front() != '-';
    return is_number && text.size() == 2 ? std::optional(value) : std::nullopt;
}

bool is_known(const SetFault& fault) {
    if (fault.device == "line" || fault.device == "noise") {
        return fault.kind == "none" || fault.kind == (fault.device == "line" ? "cut" : "on");
    }
    const auto device = parse_device(fault.device);
    return device && parse_fault_kind(*device, fault.kind);
}

Sky read_sky(const config::Section& entry) {
    return parse_sky(entry.choice("sky", {"clear", "broken", "overcast"})).value_or(Sky::clear);
}

SetFault read_fault(const config::Section& entry) {
    auto fault = parse_fault(entry.text("fault"));
    if (!fault) {
        entry.report("fault", fmt::format("\"{}\" is not {}", entry.text("fault"), fault_grammar));
        return {};
    }
    fault->lasts_s = entry.number_or("for_s", fault->lasts_s, 0, longest_s);
    return *fault;
}

Action read_action(const config::Section& entry, const std::string& kind) {
    if (kind == "plug_in") {
        return PlugIn{.car = entry.text("plug_in"),
                      .unit = entry.text_or("unit", ""),
                      .soc_pct = entry.optional_number("soc", 0, 100)};
    }
    if (kind == "unplug") {
        return Unplug{entry.text("unplug")};
    }
    if (kind == "cloud") {
        return ForceCloud{.factor = entry.number("cloud", 0, 1.1),
                          .lasts_s = entry.number_or("for_s", 60, 1, longest_s)};
    }
    if (kind == "sky") {
        return SetSky{read_sky(entry)};
    }
    if (kind == "load_w") {
        return AddLoad{.watts = entry.number("load_w", 0, 50000),
                       .lasts_s = entry.number_or("for_s", 300, 1, longest_s)};
    }
    if (kind == "reset_unit") {
        return ResetUnit{entry.text("reset_unit")};
    }
    return read_fault(entry);
}

ScriptEvent read_event(const config::Section& entry) {
    ScriptEvent event;
    if (entry.has("at")) {
        event.second_of_day = parse_time_of_day(entry.text("at"));
        if (!event.second_of_day) {
            entry.report("at", fmt::format(R"("{}" is not a time of day like "10:30")", entry.text("at")));
        }
    }
    event.after_real_s = entry.optional_number("after_s", 0, 30 * longest_s);
    if (entry.has("at") == entry.has("after_s")) {
        entry.report("at", "exactly one of at and after_s is needed");
    }
    std::vector<std::string> found;
    for (const char* kind : {"plug_in", "unplug", "cloud", "sky", "load_w", "reset_unit", "fault"}) {
        if (entry.has(kind)) {
            found.emplace_back(kind);
        }
    }
    if (found.size() == 1) {
        event.action = read_action(entry, found.front());
    } else {
        entry.report("plug_in", "exactly one of plug_in, unplug, cloud, sky, load_w, reset_unit and fault is needed");
    }
    entry.reject_unknown_keys();
    return event;
}

}  // namespace

std::optional<double> parse_time_of_day(const std::string& text) {
    std::vector<int> parts;
    std::istringstream stream(text);
    for (std::string part; std::getline(stream, part, ':');) {
        const auto value = part.empty() ? std::nullopt : two_digits(part);
        if (!value) {
            return std::nullopt;
        }
        parts.push_back(*value);
    }
    if (parts.size() < 2 || parts.size() > 3 || text.ends_with(':')) {
        return std::nullopt;
    }
    parts.resize(3, 0);
    if (parts[0] > 23 || parts[1] > 59 || parts[2] > 59) {
        return std::nullopt;
    }
    return parts[0] * 3600.0 + parts[1] * 60.0 + parts[2];
}

std::optional<Device> parse_device(const std::string& name) {
    if (name == "modbus") {
        return Device::modbus;
    }
    if (name == "powerwall") {
        return Device::powerwall;
    }
    return name == "tesla" ? std::optional(Device::tesla) : std::nullopt;
}

std::optional<Fault> parse_fault_kind(Device device, const std::string& kind) {
    const bool is_modbus = device == Device::modbus;
    if (kind == "none") {
        return Fault::none;
    }
    if (kind == "silence") {
        return Fault::silence;
    }
    if (kind == "error") {
        return Fault::error;
    }
    if (kind == "nan" && is_modbus) {
        return Fault::not_a_number;
    }
    if (kind == "unauthorized" && !is_modbus) {
        return Fault::unauthorized;
    }
    return kind == "rate_limited" && !is_modbus ? std::optional(Fault::rate_limited) : std::nullopt;
}

std::optional<SetFault> parse_fault(const std::string& text) {
    std::istringstream stream(text);
    SetFault fault;
    std::string seconds;
    std::string rest;
    stream >> fault.device >> fault.kind >> seconds >> rest;
    if (fault.kind.empty() || !rest.empty()) {
        return std::nullopt;
    }
    if (!seconds.empty()) {
        const auto [end, error] = std::from_chars(seconds.data(), seconds.data() + seconds.size(), fault.lasts_s);
        if (error != std::errc{} || end != seconds.data() + seconds.size() ||
            !(fault.lasts_s >= 0 && fault.lasts_s <= longest_s)) {
            return std::nullopt;
        }
    }
    return is_known(fault) ? std::optional(fault) : std::nullopt;
}

std::optional<Sky> parse_sky(const std::string& text) {
    if (text == "clear") {
        return Sky::clear;
    }
    if (text == "broken") {
        return Sky::broken;
    }
    return text == "overcast" ? std::optional(Sky::overcast) : std::nullopt;
}

std::vector<ScriptEvent> read_script(const config::Section& root) {
    std::vector<ScriptEvent> script;
    for (const auto& entry : root.sections("script")) {
        script.push_back(read_event(entry));
    }
    return script;
}

}  // namespace house_sim
