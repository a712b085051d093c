#include "tesla-bridge/home_assistant.hpp"

#include <chrono>

#include "home_assistant/devices.hpp"

namespace tesla_bridge {

namespace {

using namespace std::chrono_literals;
using home_assistant::BinarySensor;
using home_assistant::Category;
using home_assistant::Device;
using home_assistant::Entity;
using home_assistant::Sensor;

constexpr auto state_period = 60s;
constexpr const char* not_known = "not_known";

}  // namespace

std::vector<Device> announced_devices(const contract::Topics& topics, const std::vector<std::string>& aliases) {
    std::vector<Device> devices;
    for (const auto& alias : aliases) {
        Device device = home_assistant::vehicle_device(alias);
        device.availability_topics = {topics.vehicle_availability(alias)};
        const auto add = [&](const char* key, const char* name, auto kind) -> Entity& {
            return device.entities.emplace_back(Entity{.key = key,
                                                       .name = name,
                                                       .kind = std::move(kind),
                                                       .state_topic = topics.vehicle_state(alias),
                                                       .value_template = home_assistant::value_of(key),
                                                       .repeated_every = state_period});
        };
        add("soc_pct", "Battery",
            Sensor{.device_class = "battery", .unit = "%", .state_class = "measurement", .decimals = 0});
        add("charge_limit_pct", "Charge limit", Sensor{.unit = "%", .decimals = 0}).icon = "mdi:battery-lock";
        add("charging_state", "Charging state",
            Sensor{.device_class = "enum",
                   .options = {"disconnected", "stopped", "starting", "charging", "complete", "no_power", not_known}})
            .value_template = home_assistant::text_of("charging_state", not_known);
        add("sleep_state", "Sleep state",
            Sensor{.device_class = "enum", .options = {"online", "asleep", "offline", not_known}})
            .value_template = home_assistant::text_of("sleep_state", not_known);
        add("charge_amps", "Charging current",
            Sensor{.device_class = "current", .unit = "A", .state_class = "measurement", .decimals = 0});
        add("range_km", "Range",
            Sensor{.device_class = "distance", .unit = "km", .state_class = "measurement", .decimals = 0});
        add("time_to_full_min", "Time to full", Sensor{.device_class = "duration", .unit = "min", .decimals = 0});
        add("plugged", "Plug", BinarySensor{"plug"});
        add("at_home", "At home", BinarySensor{"presence"});
        add("can_command", "Commands", BinarySensor{"connectivity"}).category = Category::diagnostic;
        add("updated", "Last heard", Sensor{.device_class = "timestamp"}).category = Category::diagnostic;
        Entity& error = add("last_error", "Last error", Sensor{});
        error.value_template = "{{ (value_json.last_error | default('', true))[:250] }}";
        error.category = Category::diagnostic;
        error.enabled = false;
        devices.push_back(std::move(device));
    }
    return devices;
}

}  // namespace tesla_bridge
