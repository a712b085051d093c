#include "policy-engine/home_assistant.hpp"

#include <chrono>
#include <string_view>

#include <fmt/format.h>

#include "contract/messages.hpp"
#include "home_assistant/devices.hpp"

namespace policy_engine {

namespace {

using namespace std::chrono_literals;
using home_assistant::BinarySensor;
using home_assistant::Button;
using home_assistant::Category;
using home_assistant::Device;
using home_assistant::Entity;
using home_assistant::Number;
using home_assistant::Select;
using home_assistant::Sensor;
using home_assistant::Switch;
using home_assistant::value_of;
using Shape = SettingView::Shape;

constexpr auto state_period = 60s;
constexpr contract::Range amps_range{5, contract::charge_current_a.max};
constexpr contract::Range priority_range{0, 10};
constexpr std::array<const char*, 4> modes_outside{"off", "solar", "min_solar", "fast"};
constexpr std::array<const char*, 2> battery_priorities{"battery_first", "car_first"};
constexpr std::array<const char*, 3> non_scheduled_actions{"fixed", "none", "solar"};

constexpr SettingView number(const char* name, const char* label, contract::Range range, double step,
                             const char* unit) {
    return {.name = name, .label = label, .shape = Shape::number, .range = range, .step = step, .unit = unit};
}

constexpr SettingView optional_number(const char* name, const char* label, contract::Range range, double step,
                                      const char* unit) {
    SettingView view = number(name, label, range, step, unit);
    view.may_be_unset = true;
    return view;
}

constexpr SettingView flag(const char* name, const char* label) {
    return {.name = name, .label = label, .shape = Shape::flag};
}

constexpr SettingView choice(const char* name, const char* label, std::span<const char* const> choices) {
    return {.name = name, .label = label, .shape = Shape::choice, .choices = choices};
}

constexpr std::array views{
    choice("mode", "Mode", contract::modes),
    choice("outside_schedule", "Outside the schedule", modes_outside),
    choice("battery_priority", "Battery priority", battery_priorities),
    choice("non_scheduled_action", "Rules outside the schedule", non_scheduled_actions),
    number("reserve_w", "Reserve for the grid", {-20000, 20000}, 10, "W"),
    number("min_a", "Minimum current", {5, 32}, 0.5, "A"),
    optional_number("max_a", "Maximum current", amps_range, 0.5, "A"),
    optional_number("import_cap_w", "Import limit", {0, 100000}, 100, "W"),
    optional_number("quarter_hour_w", "Quarter-hour import limit", {500, 200000}, 100, "W"),
    optional_number("grid_max_a", "Grid current limit", {0, 400}, 1, "A"),
    optional_number("dim_w", "Dimming by the grid operator", {0, 200000}, 100, "W"),
    number("battery_first_until_pct", "Battery first until", {0, 100}, 1, "%"),
    optional_number("battery_buffer_pct", "Battery keeps charging from", contract::percent, 1, "%"),
    optional_number("battery_start_pct", "Battery starts charging from", contract::percent, 1, "%"),
    optional_number("battery_boost_until_pct", "Battery boost until", contract::percent, 1, "%"),
    optional_number("import_price", "Import price", {0, 1000}, 0.001, ""),
    optional_number("export_price", "Export price", {0, 1000}, 0.001, ""),
    optional_number("cheap_price", "Cheap price", contract::any_price, 0.001, ""),
    optional_number("grid_weight", "Grid weight", {0, 20}, 0.1, ""),
    number("min_on_s", "Shortest charge", {60, 7200}, 10, "s"),
    number("min_off_s", "Shortest pause", {0, 7200}, 10, "s"),
    number("max_starts_per_day", "Starts per day", {1, 100}, 1, ""),
    number("rotation_s", "Turn of a charger", {300, 86400}, 60, "s"),
    number("top_up_a", "Top-up from the grid", contract::charge_current_a, 0.5, "A"),
    number("hour_resume_solar", "Solar from", {0, 24}, 0.25, "h"),
    number("non_scheduled_a", "Current outside the schedule", contract::charge_current_a, 0.5, "A"),
    flag("stop_by_vehicle", "Stop through the car"),
    flag("top_up_starts", "Top-up may start"),
    flag("battery_protect", "Hold the battery while charging from the grid"),
    flag("guests", "Guests may charge"),
};

const char* class_of_unit(std::string_view unit) {
    if (unit == "W") {
        return "power";
    }
    if (unit == "A") {
        return "current";
    }
    return unit == "s" || unit == "h" ? "duration" : "";
}

std::vector<std::string> words(std::span<const char* const> choices) { return {choices.begin(), choices.end()}; }

Number amps_number(std::string command_topic, contract::Range range) {
    return {.command_topic = std::move(command_topic),
            .min = range.min,
            .max = range.max,
            .unit = "A",
            .device_class = "current"};
}

// What is kept in policy/settings for one charger or vehicle; it has no entry before something was set.
std::string own_setting(const char* kind, const std::string& id, const char* name, const char* fallback = "none") {
    return fmt::format("{{{{ (value_json.{}['{}'] | default({{}})).{} | default({}) }}}}", kind, id, name, fallback);
}

Entity unset_button(const std::string& key, const std::string& name, const std::string& command_topic) {
    return {.key = key + "_unset",
            .name = name + ": none",
            .kind = Button{.command_topic = command_topic, .payload = "none"},
            .category = Category::config,
            .enabled = false};
}

// A number that is unset until somebody sets it, and the button that unsets it.
void add_own_number(std::vector<Entity>& entities, const char* kind, const std::string& id, const char* key,
                    const char* name, const Number& number, const contract::Topics& topics) {
    entities.push_back({.key = key,
                        .name = name,
                        .kind = number,
                        .state_topic = topics.policy_settings(),
                        .value_template = own_setting(kind, id, key),
                        .category = Category::config});
    entities.push_back(unset_button(key, name, number.command_topic));
}

void add_setting(std::vector<Entity>& entities, const contract::Topics& topics, const SettingView& view) {
    const std::string command_topic = topics.policy_set(view.name);
    Entity entity{.key = view.name,
                  .name = view.label,
                  .kind = Button{},
                  .state_topic = topics.policy_settings(),
                  .value_template = value_of(view.name),
                  .category = Category::config};
    switch (view.shape) {
        case Shape::number:
            entity.kind = Number{.command_topic = command_topic,
                                 .min = view.range.min,
                                 .max = view.range.max,
                                 .step = view.step,
                                 .unit = view.unit,
                                 .device_class = class_of_unit(view.unit)};
            break;
        case Shape::flag:
            entity.kind = Switch{.command_topic = command_topic};
            break;
        case Shape::choice:
            entity.kind = Select{.command_topic = command_topic, .options = words(view.choices)};
            break;
    }
    const std::string_view name = view.name;
    if (name == "mode") {
        entity.category = Category::none;
    } else if (name == "dim_w") {
        entity.value_template = "{{ (value_json.dim_w | default({}, true)).limit_w | default(none) }}";
    }
    entities.push_back(std::move(entity));
    if (view.may_be_unset) {
        entities.push_back(unset_button(view.name, view.label, command_topic));
    }
}

void add_buttons(std::vector<Entity>& entities, const std::string& command_topic) {
    entities.push_back({.key = "boost_1h",
                        .name = "Boost for an hour",
                        .kind = Button{.command_topic = command_topic, .payload = "max 1h"},
                        .icon = "mdi:rocket-launch"});
    entities.push_back({.key = "override_clear",
                        .name = "Clear override",
                        .kind = Button{.command_topic = command_topic, .payload = "clear"},
                        .icon = "mdi:autorenew"});
}

void add_override(std::vector<Entity>& entities, const contract::Topics& topics) {
    const std::string topic = topics.policy_override_state();
    add_buttons(entities, topics.policy_override_set());
    entities.push_back({.key = "override_a",
                        .name = "Override current",
                        .kind = amps_number(topics.policy_override_set(), contract::charge_current_a),
                        .state_topic = topic,
                        .value_template = value_of("amps")});
    entities.push_back({.key = "override_active",
                        .name = "Override",
                        .kind = BinarySensor{"running"},
                        .state_topic = topic,
                        .value_template = value_of("active")});
    entities.push_back({.key = "override_until",
                        .name = "Override until",
                        .kind = Sensor{.device_class = "timestamp"},
                        .state_topic = topic,
                        .value_template = value_of("until")});
}

Entity decision(const std::string& topic, const char* key, const char* name, Sensor sensor) {
    return {.key = key,
            .name = name,
            .kind = std::move(sensor),
            .state_topic = topic,
            .value_template = value_of(key),
            .repeated_every = state_period};
}

const Sensor current{.device_class = "current", .unit = "A", .state_class = "measurement", .decimals = 1};
const Sensor countdown{.device_class = "duration", .unit = "s", .decimals = 0};

Device controller(const contract::Topics& topics) {
    Device device = home_assistant::controller_device();
    auto& entities = device.entities;
    for (const auto& view : views) {
        add_setting(entities, topics, view);
    }
    add_override(entities, topics);
    const std::string topic = topics.policy_state();
    entities.push_back(decision(topic, "allocated_a", "Allocated current", current));
    entities.push_back(decision(topic, "surplus_w", "Surplus",
                                {.device_class = "power", .unit = "W", .state_class = "measurement", .decimals = 0}));
    entities.push_back(decision(topic, "countdown_s", "Countdown", countdown));
    entities.push_back(decision(topic, "reason", "Reason", {}));
    entities.back().value_template = home_assistant::short_text_of("reason");
    entities.push_back(decision(topic, "rule", "Active rule", {}));
    entities.back().value_template = home_assistant::text_of("rule");
    entities.push_back(decision(topic, "binding_limit", "Binding limit", {}));
    entities.back().value_template = home_assistant::text_of("binding_limit");
    entities.push_back(decision(topic, "battery_hold", "Hold the battery", {}));
    entities.back().kind = BinarySensor{};
    for (const char* key : {"reason", "rule", "binding_limit"}) {
        for (auto& entity : entities) {
            if (entity.key == key) {
                entity.category = Category::diagnostic;
            }
        }
    }
    return device;
}

void add_charger_settings(std::vector<Entity>& entities, const contract::Topics& topics, const std::string& id) {
    std::vector<std::string> modes = words(contract::modes);
    modes.insert(modes.begin(), "auto");
    entities.push_back({.key = "mode",
                        .name = "Mode",
                        .kind = Select{.command_topic = topics.policy_charger_set(id, "mode"), .options = modes},
                        .state_topic = topics.policy_settings(),
                        .value_template = own_setting("charger", id, "mode", "'auto', true")});
    add_own_number(entities, "charger", id, "max_a", "Maximum current",
                   amps_number(topics.policy_charger_set(id, "max_a"), amps_range), topics);
    add_own_number(entities, "charger", id, "priority", "Priority",
                   {.command_topic = topics.policy_charger_set(id, "priority"),
                    .min = priority_range.min,
                    .max = priority_range.max},
                   topics);
    entities.push_back({.key = "enabled",
                        .name = "Enabled",
                        .kind = Switch{.command_topic = topics.policy_charger_set(id, "enabled")},
                        .state_topic = topics.policy_charger_state(id),
                        .value_template = value_of("enabled"),
                        .category = Category::config});
}

Device charger(const contract::Topics& topics, const std::string& id) {
    Device device = home_assistant::charger_device(id);
    device.availability_topics = {topics.charger_availability(id)};
    auto& entities = device.entities;
    add_charger_settings(entities, topics, id);
    add_buttons(entities, topics.policy_override_set(id));
    const std::string topic = topics.policy_charger_state(id);
    entities.push_back(decision(topic, "target_a", "Target current", current));
    entities.push_back(decision(topic, "countdown_s", "Countdown", countdown));
    entities.push_back(decision(topic, "session_solar_pct", "Session solar share",
                                {.unit = "%", .state_class = "measurement", .decimals = 0}));
    entities.back().icon = "mdi:solar-power";
    entities.push_back(decision(topic, "session_cost", "Session cost", {.decimals = 2}));
    entities.back().icon = "mdi:cash";
    entities.push_back(decision(topic, "vehicle", "Vehicle", {}));
    entities.back().value_template = home_assistant::text_of("vehicle");
    entities.back().icon = "mdi:car-electric";
    entities.push_back(decision(topic, "reason", "Reason", {}));
    entities.back().value_template = home_assistant::short_text_of("reason");
    entities.back().category = Category::diagnostic;
    entities.push_back(decision(topic, "starts_today", "Starts today", {.state_class = "measurement"}));
    entities.back().category = Category::diagnostic;
    return device;
}

// Without the availability of the car: tesla-bridge may not know it, and settings hold while it is away.
Device vehicle(const contract::Topics& topics, const std::string& alias) {
    Device device = home_assistant::vehicle_device(alias);
    auto& entities = device.entities;
    add_own_number(entities, "vehicle", alias, "max_a", "Maximum current",
                   amps_number(topics.policy_vehicle_set(alias, "max_a"), amps_range), topics);
    add_own_number(entities, "vehicle", alias, "priority", "Priority",
                   {.command_topic = topics.policy_vehicle_set(alias, "priority"),
                    .min = priority_range.min,
                    .max = priority_range.max},
                   topics);
    add_own_number(entities, "vehicle", alias, "min_soc_pct", "Charge at once below",
                   {.command_topic = topics.policy_vehicle_set(alias, "min_soc_pct"),
                    .min = contract::percent.min,
                    .max = contract::percent.max,
                    .unit = "%"},
                   topics);
    entities.push_back({.key = "enabled",
                        .name = "May charge",
                        .kind = Switch{.command_topic = topics.policy_vehicle_set(alias, "enabled")},
                        .state_topic = topics.policy_settings(),
                        .value_template = own_setting("vehicle", alias, "enabled", "true"),
                        .category = Category::config});
    return device;
}

}  // namespace

std::span<const SettingView> setting_views() { return views; }

std::vector<Device> announced_devices(const contract::Topics& topics, const std::vector<std::string>& chargers,
                                      const std::vector<std::string>& vehicles) {
    std::vector<Device> devices{controller(topics)};
    for (const auto& id : chargers) {
        devices.push_back(charger(topics, id));
    }
    for (const auto& alias : vehicles) {
        devices.push_back(vehicle(topics, alias));
    }
    return devices;
}

}  // namespace policy_engine
