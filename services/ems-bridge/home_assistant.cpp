#include "ems-bridge/home_assistant.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "contract/messages.hpp"
#include "home_assistant/devices.hpp"

namespace ems_bridge {

namespace {

using namespace std::chrono_literals;
using home_assistant::BinarySensor;
using home_assistant::Category;
using home_assistant::Device;
using home_assistant::Entity;
using home_assistant::Sensor;
using home_assistant::value_of;

// The site is published every 2 s; a meter that Home Assistant shows as unavailable at each hiccup helps nobody.
constexpr auto site_period = 20s;
constexpr auto desk_period = 60s;

const Sensor power{.device_class = "power", .unit = "W", .state_class = "measurement", .decimals = 0};
const Sensor counter{.device_class = "energy", .unit = "kWh", .state_class = "total_increasing", .decimals = 2};
const Sensor current{.device_class = "current", .unit = "A", .state_class = "measurement", .decimals = 1};
const Sensor voltage{.device_class = "voltage", .unit = "V", .state_class = "measurement", .decimals = 0};

bool has_battery(const Config& config) {
    return std::ranges::any_of(config.sources,
                               [](const SourceConfig& source) { return source.member.roles.contains(Role::battery); });
}

std::vector<Entity> site_entities(const std::string& topic, bool with_battery) {
    const auto reading = [&](const char* key, const char* name, Sensor sensor) {
        return Entity{.key = key,
                      .name = name,
                      .kind = std::move(sensor),
                      .state_topic = topic,
                      .value_template = value_of(key),
                      .repeated_every = site_period};
    };
    std::vector<Entity> entities{reading("grid_w", "Grid power", power), reading("pv_w", "Solar power", power),
                                 reading("house_w", "House power", power)};
    if (with_battery) {
        entities.push_back(reading("battery_w", "Battery power", power));
        entities.push_back(
            reading("battery_soc_pct", "Battery charge",
                    {.device_class = "battery", .unit = "%", .state_class = "measurement", .decimals = 0}));
    }
    for (const auto& [key, name] : {std::pair{"import_kwh", "Grid import"}, std::pair{"export_kwh", "Grid export"},
                                    std::pair{"pv_kwh", "Solar energy"}}) {
        entities.push_back(reading(key, name, counter));
        entities.back().repeated_every.reset();  // a counter keeps its truth while it is silent
    }
    entities.push_back(
        reading("quality", "Data quality",
                {.device_class = "enum", .options = {contract::qualities.begin(), contract::qualities.end()}}));
    entities.back().category = Category::diagnostic;
    entities.push_back(reading("age_s", "Data age",
                               {.device_class = "duration", .unit = "s", .state_class = "measurement", .decimals = 0}));
    entities.back().category = Category::diagnostic;
    entities.push_back(reading("stale", "Data", {}));
    entities.back().kind = BinarySensor{"problem"};
    entities.back().value_template = "{{ value_json.quality in ['stale', 'error'] }}";
    return entities;
}

// For those who look for a fault on one phase.
std::vector<Entity> phase_entities(const std::string& topic) {
    std::vector<Entity> entities;
    for (int line = 1; line <= 3; ++line) {
        for (const auto& [key, name, sensor] :
             {std::tuple{"grid_a", "Grid current", &current}, std::tuple{"voltage_v", "Voltage", &voltage}}) {
            entities.push_back({.key = fmt::format("{}_l{}", key, line),
                                .name = fmt::format("{} L{}", name, line),
                                .kind = *sensor,
                                .state_topic = topic,
                                .value_template = value_of(fmt::format("{}[{}]", key, line - 1)),
                                .repeated_every = site_period,
                                .category = Category::diagnostic,
                                .enabled = false});
        }
    }
    return entities;
}

// The currency is known only once a source has answered, so prices have no unit.
void add_prices(std::vector<Entity>& entities, const std::string& topic) {
    for (const auto& [key, name] :
         {std::pair{"import_price", "Import price"}, std::pair{"export_price", "Export price"}}) {
        entities.push_back({.key = key,
                            .name = name,
                            .kind = Sensor{.state_class = "measurement", .decimals = 3},
                            .state_topic = topic,
                            .value_template = value_of(key),
                            .repeated_every = desk_period,
                            .icon = "mdi:cash"});
    }
}

void add_forecast(std::vector<Entity>& entities, const std::string& topic) {
    for (const auto& [key, name] : {std::pair{"today_kwh", "Solar forecast for the rest of today"},
                                    std::pair{"tomorrow_kwh", "Solar forecast for tomorrow"}}) {
        entities.push_back({.key = key,
                            .name = name,
                            .kind = Sensor{.device_class = "energy", .unit = "kWh", .decimals = 1},
                            .state_topic = topic,
                            .value_template = value_of(key),
                            .repeated_every = desk_period});
    }
}

}  // namespace

std::vector<Device> announced_devices(const contract::Topics& topics, const Config& config) {
    Device meter = home_assistant::energy_meter_device();
    meter.entities = site_entities(topics.ems_state(), has_battery(config));
    for (auto& entity : phase_entities(topics.ems_state())) {
        meter.entities.push_back(std::move(entity));
    }
    if (!config.tariffs.empty()) {
        add_prices(meter.entities, topics.ems_tariff_state());
    }
    if (!config.forecasts.empty()) {
        add_forecast(meter.entities, topics.ems_forecast_state());
    }
    return {meter};
}

}  // namespace ems_bridge
