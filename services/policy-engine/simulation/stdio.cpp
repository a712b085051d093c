#include "policy-engine/simulation/stdio.hpp"

#include <algorithm>
#include <istream>
#include <ostream>

#include <fmt/format.h>

#include "contract/topics.hpp"
#include "policy-engine/decide.hpp"
#include "policy-engine/explain.hpp"
#include "policy-engine/override.hpp"
#include "policy-engine/schedule.hpp"

namespace policy_engine::simulation {

namespace {

using nlohmann::json;

/// A line of the input, in the words of the contract.
struct Line {
    double t = 0;
    std::optional<double> grid_w;
    std::optional<double> pv_w;
    std::optional<double> battery_w;
    std::optional<double> battery_soc_pct;
    std::optional<double> voltage_v;
    std::optional<int> phases;
    std::optional<PerPhase> grid_a;
};

struct ChargerLine {
    std::string id;
    std::optional<bool> online;
    std::optional<bool> plugged;
    std::optional<double> drawn_a;
    std::optional<double> limit_a;
    std::optional<double> max_a;
    std::optional<int> phases;
    std::optional<int> protocol;
    std::optional<double> voltage_v;
    std::optional<std::string> vin;
};

struct VehicleLine {
    std::string alias;
    std::optional<std::string> vin;
    std::optional<bool> plugged;
    std::optional<bool> at_home;
    std::optional<bool> can_command;
    std::optional<double> charge_amps;
    std::optional<std::string> charging_state;
};

}  // namespace

}  // namespace policy_engine::simulation

template <>
struct contract::Schema<policy_engine::simulation::Line> {
    static constexpr auto fields() {
        using M = policy_engine::simulation::Line;
        return std::tuple{Field{"t", &M::t}.in({0, 1e11}),
                          Field{"grid_w", &M::grid_w}.in(any_power_w),
                          Field{"pv_w", &M::pv_w}.in(any_power_w),
                          Field{"battery_w", &M::battery_w}.in(any_power_w),
                          Field{"battery_soc_pct", &M::battery_soc_pct}.in(percent),
                          Field{"voltage_v", &M::voltage_v}.in(any_voltage_v),
                          Field{"phases", &M::phases}.in({1, 3}),
                          Field{"grid_a", &M::grid_a}.in(any_current_a)};
    }
};

template <>
struct contract::Schema<policy_engine::simulation::ChargerLine> {
    static constexpr auto fields() {
        using M = policy_engine::simulation::ChargerLine;
        return std::tuple{Field{"id", &M::id},
                          Field{"online", &M::online},
                          Field{"plugged", &M::plugged},
                          Field{"drawn_a", &M::drawn_a}.in({0, 655.35}),
                          Field{"limit_a", &M::limit_a}.in({0, 655.35}),
                          Field{"max_a", &M::max_a}.in({0, 655.35}),
                          Field{"phases", &M::phases}.in({1, 3}),
                          Field{"protocol", &M::protocol}.in({1, 2}),
                          Field{"voltage_v", &M::voltage_v}.in(any_voltage_v),
                          Field{"vin", &M::vin}};
    }
};

template <>
struct contract::Schema<policy_engine::simulation::VehicleLine> {
    static constexpr auto fields() {
        using M = policy_engine::simulation::VehicleLine;
        return std::tuple{Field{"alias", &M::alias},
                          Field{"vin", &M::vin},
                          Field{"plugged", &M::plugged},
                          Field{"at_home", &M::at_home},
                          Field{"can_command", &M::can_command},
                          Field{"charge_amps", &M::charge_amps}.in({0, 200}),
                          Field{"charging_state", &M::charging_state}};
    }
};

namespace policy_engine::simulation {

namespace {

WallTime wall_time(double t) {
    constexpr double unix_times_from = 1e9;
    if (t >= unix_times_from) {
        return WallTime(std::chrono::duration_cast<WallTime::duration>(std::chrono::duration<double>(t)));
    }
    // Local midnight of Monday, 5 January 2026.
    const WallTime sunday_noon = std::chrono::sys_days(std::chrono::year(2026) / 1 / 4) + std::chrono::hours(12);
    return next_local(sunday_noon, 0) +
           std::chrono::duration_cast<WallTime::duration>(std::chrono::duration<double>(t));
}

// A site value that is missing on a line is unknown from then on; its last sample only grows older.
void take_site(Inputs& inputs, const Line& line) {
    if (!inputs.site) {
        inputs.site = Site{};
    }
    Site& site = *inputs.site;
    site.grid_w = line.grid_w;
    site.battery_w = line.battery_w;
    site.battery_soc_pct = line.battery_soc_pct;
    site.grid_a = line.grid_a.value_or(PerPhase{});
    site.voltage_v = {line.voltage_v, std::nullopt, std::nullopt};
    site.measured_at = inputs.now;
}

Charger charger_from(const json& item, const Line& line, Instant now) {
    auto said = contract::from_json<ChargerLine>(item);
    if (!contract::is_valid_id(said.id)) {
        throw contract::Invalid(fmt::format("chargers: \"{}\" is not an id of a-z, 0-9, _ and -", said.id));
    }
    return {.id = said.id,
            .received_at = now,
            .online = said.online.value_or(true),
            .plugged = said.plugged,
            .drawn_a = said.drawn_a,
            .offered_a = said.limit_a,
            .max_a = said.max_a,
            .phases = said.phases ? said.phases : line.phases,
            .protocol = said.protocol,
            .voltage_v = {said.voltage_v ? said.voltage_v : line.voltage_v, std::nullopt, std::nullopt},
            .vin = said.vin};
}

Vehicle vehicle_from(const json& item) {
    auto said = contract::from_json<VehicleLine>(item);
    return {.alias = said.alias,
            .can_command = said.can_command.value_or(true),
            .vin = said.vin,
            .plugged = said.plugged,
            .at_home = said.at_home,
            .charge_amps = said.charge_amps,
            .charging_state = said.charging_state};
}

const json& list_at(const json& object, const char* key) {
    static const json none = json::array();
    const auto found = object.find(key);
    if (found == object.end() || found->is_null()) {
        return none;
    }
    if (!found->is_array()) {
        throw contract::Invalid(fmt::format("{}: expected a list", key));
    }
    return *found;
}

template <class Item, class Key>
void sort_unique(std::vector<Item>& items, Key key, const char* what) {
    std::ranges::sort(items, {}, key);
    if (std::ranges::adjacent_find(items, {}, key) != items.end()) {
        throw contract::Invalid(fmt::format("{}: the same one twice", what));
    }
}

Inputs next_inputs(const Inputs& before, const json& object, bool begun) {
    const auto line = contract::from_json<Line>(object);
    Inputs inputs = before;
    inputs.now = Instant(from_seconds(line.t));
    if (begun && inputs.now < before.now) {
        throw contract::Invalid(fmt::format("t: {} lies before the last line", line.t));
    }
    if (!begun) {
        inputs.started_at = inputs.now;
    }
    inputs.wall = wall_time(line.t);
    inputs.local_day = civil_time(inputs.wall).day;
    take_site(inputs, line);
    inputs.chargers.clear();
    for (const auto& item : list_at(object, "chargers")) {
        inputs.chargers.push_back(charger_from(item, line, inputs.now));
    }
    inputs.vehicles.clear();
    for (const auto& item : list_at(object, "vehicles")) {
        inputs.vehicles.push_back(vehicle_from(item));
    }
    sort_unique(inputs.chargers, &Charger::id, "chargers");
    sort_unique(inputs.vehicles, &Vehicle::alias, "vehicles");
    return inputs;
}

json countdown_json(const std::optional<double>& countdown_s) {
    return countdown_s ? json(std::ceil(*countdown_s)) : json(nullptr);
}

json answer_json(const Settings& settings, const Decision& decision) {
    json answer{{"chargers", json::array()}, {"mode", name_of(settings.mode)}, {"binding_limit", nullptr}};
    for (const auto& charger : decision.chargers) {
        answer["chargers"].push_back({{"id", charger.id},
                                      {"limit_a", charger.target_a},
                                      {"reason", sentence(charger)},
                                      {"countdown_s", countdown_json(charger.countdown_s)}});
        if (answer["binding_limit"].is_null() && charger.binding != Limit::none) {
            answer["binding_limit"] = name_of(charger.binding);
        }
    }
    for (const auto& command : decision.commands) {
        answer["commands"].push_back({{"vehicle", command.alias}, {"command", command.command}});
    }
    return answer;
}

}  // namespace

std::string LineByLine::answer(const std::string& line) {
    try {
        inputs_ = next_inputs(inputs_, contract::parse_json(line), begun_);
        begun_ = true;
    } catch (const contract::Invalid& error) {
        return json{{"error", error.what()}}.dump(-1, ' ', false, json::error_handler_t::replace);
    }
    Decision decision = decide(config_.core, config_.defaults, inputs_, std::move(memory_));
    memory_ = std::move(decision.memory);
    return answer_json(config_.defaults, decision).dump();
}

void answer_all(std::istream& questions, std::ostream& answers, ServiceConfig config) {
    LineByLine dialogue(std::move(config));
    std::string line;
    while (std::getline(questions, line)) {
        if (line.find_first_not_of(" \t\r") != std::string::npos) {
            answers << dialogue.answer(line) << std::endl;  // NOLINT(performance-avoid-endl): a dialogue must not wait
        }
    }
}

}  // namespace policy_engine::simulation
