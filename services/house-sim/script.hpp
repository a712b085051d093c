#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "config/section.hpp"
#include "house-sim/weather.hpp"

namespace house_sim {

/// What is wrong with a device on the network, by choice.
enum class Fault {
    none,
    silence,       ///< It takes the question and never answers.
    error,         ///< Modbus exception 4, HTTP 500.
    not_a_number,  ///< Modbus: sentinels in place of values.
    unauthorized,  ///< HTTP 401 to everybody.
    rate_limited,  ///< HTTP 429.
};

/// The devices a fault can be put on.
enum class Device { modbus, powerwall, tesla };

std::optional<Device> parse_device(const std::string& name);
std::optional<Fault> parse_fault_kind(Device device, const std::string& kind);

struct PlugIn {
    std::string car;
    std::string unit;  ///< Empty: the first free one.
    std::optional<double> soc_pct;
};
struct Unplug {
    std::string car;
};
struct ForceCloud {
    double factor = 1;  ///< Of the clear-sky power.
    double lasts_s = 60;
};
struct SetSky {
    Sky sky = Sky::clear;
};
struct AddLoad {
    double watts = 0;
    double lasts_s = 300;
};
struct ResetUnit {
    std::string unit;
};
struct SetFault {
    std::string device;  ///< modbus, powerwall, tesla, line or noise
    std::string kind;
    double lasts_s = 0;  ///< 0: until cleared.
};
using Action = std::variant<PlugIn, Unplug, ForceCloud, SetSky, AddLoad, ResetUnit, SetFault>;

/// One line of the script.
struct ScriptEvent {
    std::optional<double> second_of_day;  ///< `at`: passes every simulated day, done once.
    std::optional<double> after_real_s;   ///< `after_s`: seconds after the start.
    Action action;
};

/// `root`'s list `script`; problems go to the section.
std::vector<ScriptEvent> read_script(const config::Section& root);

/// "10:30" or "10:30:15" as seconds of the day.
std::optional<double> parse_time_of_day(const std::string& text);

/// `modbus error 30` → device, kind, seconds. None when it is not what `fault_grammar` says.
std::optional<SetFault> parse_fault(const std::string& text);

extern const char* const fault_grammar;

std::optional<Sky> parse_sky(const std::string& text);

}  // namespace house_sim
