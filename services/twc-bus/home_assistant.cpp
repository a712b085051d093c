#include "twc-bus/home_assistant.hpp"

#include <fmt/format.h>

#include "contract/messages.hpp"
#include "home_assistant/devices.hpp"

namespace twc_bus {

namespace {

using namespace std::chrono_literals;
using home_assistant::BinarySensor;
using home_assistant::Category;
using home_assistant::Device;
using home_assistant::Entity;
using home_assistant::Event;
using home_assistant::Sensor;
using home_assistant::Switch;
using home_assistant::value_of;

// As the states are repeated.
constexpr auto charger_period = 10s;
constexpr auto bus_period = 5s;

const Sensor current{.device_class = "current", .unit = "A", .state_class = "measurement", .decimals = 1};
const Sensor voltage{.device_class = "voltage", .unit = "V", .state_class = "measurement", .decimals = 0};

// state_word, and what the stopper adds; Home Assistant allows no option "unknown".
Sensor charger_states() {
    return {.device_class = "enum",
            .options = {"ready", "charging", "fault", "plugged", "waiting", "busy", "starting", "adjusting", "silenced",
                        "not_known"}};
}

std::vector<Entity> energy_counters(const std::string& topic) {
    const Sensor counter{.device_class = "energy", .unit = "kWh", .state_class = "total_increasing", .decimals = 2};
    Sensor session = counter;
    session.state_class = "total";
    session.last_reset_template = "{{ value_json.session_start | default('1970-01-01T00:00:00+00:00', true) }}";
    return {
        {.key = "energy_kwh",
         .name = "Energy",
         .kind = counter,
         .state_topic = topic,
         .value_template = value_of("energy_kwh")},
        {.key = "lifetime_kwh",
         .name = "Lifetime energy",
         .kind = counter,
         .state_topic = topic,
         .value_template = value_of("lifetime_kwh"),
         .category = Category::diagnostic},
        {.key = "session_kwh",
         .name = "Session energy",
         .kind = session,
         .state_topic = topic,
         .value_template = value_of("session_kwh")},
        {.key = "session_start",
         .name = "Session start",
         .kind = Sensor{.device_class = "timestamp"},
         .state_topic = topic,
         .value_template = value_of("session_start"),
         .repeated_every = charger_period,
         .category = Category::diagnostic,
         .enabled = false},  // Home Assistant 2024.3 logs a warning for each time that is null
    };
}

// A value of the charger's state that is repeated.
Entity reading(const std::string& topic, const char* key, const char* name, Sensor sensor) {
    return {.key = key,
            .name = name,
            .kind = std::move(sensor),
            .state_topic = topic,
            .value_template = value_of(key),
            .repeated_every = charger_period};
}

Entity hidden(Entity entity) {
    entity.category = Category::diagnostic;
    entity.enabled = false;
    return entity;
}

std::vector<Entity> plug_entities(const std::string& topic) {
    Entity state = reading(topic, "state", "State", charger_states());
    state.value_template = "{{ 'not_known' if value_json.state == 'unknown' else value_json.state }}";
    Entity plugged = reading(topic, "plugged", "Plug", {});
    plugged.kind = BinarySensor{"plug"};
    Entity charging = reading(topic, "charging", "Charging", {});
    charging.kind = BinarySensor{"battery_charging"};
    Entity fault = reading(topic, "fault", "Fault", {});
    fault.kind = BinarySensor{"problem"};
    fault.value_template = "{{ value_json.fault is not none }}";
    return {state, plugged, charging, fault};
}

}  // namespace

Device charger_device(const contract::Topics& topics, const std::string& id) {
    Device device = home_assistant::charger_device(id);
    device.availability_topics = {topics.charger_availability(id)};
    const std::string topic = topics.charger_state(id);
    auto& entities = device.entities;
    entities = plug_entities(topic);
    entities.push_back(reading(topic, "power_w", "Power",
                               {.device_class = "power", .unit = "W", .state_class = "measurement", .decimals = 0}));
    entities.push_back(reading(topic, "current_a", "Current", current));
    entities.push_back(reading(topic, "granted_a", "Granted current", current));
    for (auto& counter : energy_counters(topic)) {
        entities.push_back(std::move(counter));
    }
    entities.push_back(reading(topic, "limit_a", "Current limit", current));
    entities.back().category = Category::diagnostic;
    entities.push_back(reading(topic, "voltage_l1_v", "Voltage L1", voltage));
    entities.back().category = Category::diagnostic;
    entities.push_back(hidden(reading(topic, "voltage_l2_v", "Voltage L2", voltage)));
    entities.push_back(hidden(reading(topic, "voltage_l3_v", "Voltage L3", voltage)));
    entities.push_back(hidden(reading(topic, "max_a", "Rated current", current)));
    entities.back().key = "rating_a";
    for (const auto& [key, name] : {std::pair{"vin", "Vehicle identification"}, std::pair{"serial", "Serial number"},
                                    std::pair{"firmware", "Firmware"}}) {
        entities.push_back(hidden(reading(topic, key, name, {})));
        entities.back().value_template = home_assistant::text_of(key);
    }
    entities.push_back({.key = "event",
                        .name = "Event",
                        .kind = Event{{"plugged", "unplugged", "session_started", "session_ended", "fault", "limited"}},
                        .state_topic = topics.charger_event(id)});
    return device;
}

Device bus_device(const contract::Topics& topics, bool is_master) {
    Device device = home_assistant::bus_device();
    const std::string topic = topics.bus_state();
    const auto entity = [&](const char* key, const char* name, auto kind) {
        return Entity{.key = key,
                      .name = name,
                      .kind = std::move(kind),
                      .state_topic = topic,
                      .value_template = value_of(key),
                      .repeated_every = bus_period};
    };
    auto& entities = device.entities;
    if (is_master) {
        entities.push_back(
            entity("estop", "Emergency stop",
                   Switch{.command_topic = topics.bus_estop_set(), .payload_on = "stop", .payload_off = "release"}));
        entities.back().icon = "mdi:alert-octagon";
    }
    entities.push_back(entity("granted_a", "Granted current", current));
    entities.push_back(entity("drawn_a", "Drawn current", current));
    entities.push_back(entity("failsafe", "Fail-safe", BinarySensor{"problem"}));
    entities.push_back(entity("healthy", "Line", BinarySensor{"problem"}));
    entities.back().value_template = "{{ value_json.healthy == false }}";
    entities.push_back(
        entity("link", "Link",
               Sensor{.device_class = "enum", .options = {contract::bus_links.begin(), contract::bus_links.end()}}));
    entities.push_back(entity("limit_a", "Wiring limit", current));
    entities.push_back(entity("reason", "Reason", Sensor{}));
    entities.back().value_template = home_assistant::short_text_of("reason");
    for (auto& each : entities) {
        const bool is_daily = each.key == "estop" || each.key == "granted_a" || each.key == "drawn_a";
        each.category = is_daily ? Category::none : Category::diagnostic;
    }
    return device;
}

std::vector<Device> announced_devices(const contract::Topics& topics, const std::vector<std::string>& chargers,
                                      bool is_master) {
    std::vector<Device> devices{bus_device(topics, is_master)};
    for (const auto& id : chargers) {
        devices.push_back(charger_device(topics, id));
    }
    return devices;
}

}  // namespace twc_bus
