#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace policy_engine {

struct Config;
struct Settings;
struct Inputs;
struct Memory;

/// Where facts are read from; `memory`: of the decision before.
struct Circumstances {
    const Config& config;
    const Settings& settings;
    const Inputs& inputs;
    const Memory& memory;
};

/// A number (a flag is 0 or 1) or a word.
using FactValue = std::variant<double, std::string>;

struct FactKind;

/// A named value of the world that the conditions of rules may ask for: `ems.grid_w`, `vehicle.blue.soc_pct`.
struct Fact {
    const FactKind* kind = nullptr;
    std::string subject;  ///< Vehicle, charger or setting; empty for others.
    bool operator==(const Fact&) const = default;
};

/// None: there is no such fact.
std::optional<Fact> fact_named(std::string_view name);

std::string name_of(const Fact& fact);

/// None: not known now.
std::optional<FactValue> read_fact(const Fact& fact, const Circumstances& circumstances);

/// The names of all facts; `*` stands for an id, an alias or a setting.
std::vector<std::string> fact_names();

}  // namespace policy_engine
