#include "policy-engine/config.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "contract/topics.hpp"
#include "policy-engine/read_rules.hpp"

namespace policy_engine {

namespace {

constexpr double max_charge_a = contract::charge_current_a.max;
constexpr int highest_priority = 10;

std::optional<Place> read_place(const config::Section& section) {
    if (section.has("latitude") != section.has("longitude")) {
        section.report("latitude", "latitude and longitude belong together");
    }
    const auto latitude_deg = section.optional_number("latitude", -90, 90);
    const auto longitude_deg = section.optional_number("longitude", -180, 180);
    return latitude_deg && longitude_deg ? std::optional(Place{*latitude_deg, *longitude_deg}) : std::nullopt;
}

SiteConfig read_site(const config::Section& section) {
    SiteConfig site{
        .phases = section.integer_or("phases", 1, 1, 3),
        .voltage_v = section.number_or("voltage_v", 230, 100, 260),
        .main_fuse_a = section.optional_number("main_fuse_a", 6, 400),
        .wiring_max_a = section.optional_number("wiring_max_a", 5, 400),
        .chargers_inside_meter = section.flag_or("chargers_inside_meter", true),
        .meter_delay = section.seconds_or("meter_delay_s", 0, 0, 60),
        .place = read_place(section),
        .assumed_house_w = section.optional_number("assumed_house_w", 0, 20000),
        .battery_max_w = section.optional_number("battery_max_w", 100, 100000),
    };
    section.reject_unknown_keys();
    return site;
}

std::optional<int> optional_integer(const config::Section& section, const std::string& key, int min, int max) {
    return section.has(key) ? std::optional(section.integer(key, min, max)) : std::nullopt;
}

std::vector<ChargerConfig> read_chargers(const config::Section& section) {
    std::vector<ChargerConfig> chargers;
    for (const auto& id : section.keys()) {
        const auto charger = section.section(id);
        if (!contract::is_valid_id(id)) {
            section.report(id, "an id is made of a-z, 0-9, _ and -");
        }
        chargers.push_back({.id = id,
                            .name = charger.text_or("name", id),
                            .phases = optional_integer(charger, "phases", 1, 3),
                            .first_line = optional_integer(charger, "line", 1, 3),
                            .max_a = charger.optional_number("max_a", 5, max_charge_a),
                            .priority = charger.integer_or("priority", 5, 0, highest_priority)});
        charger.reject_unknown_keys();
    }
    std::ranges::sort(chargers, {}, &ChargerConfig::id);
    return chargers;
}

std::vector<VehicleConfig> read_vehicles(const config::Section& section) {
    std::vector<VehicleConfig> vehicles;
    for (const auto& alias : section.keys()) {
        const auto vehicle = section.section(alias);
        if (!contract::is_valid_id(alias)) {
            section.report(alias, "an alias is made of a-z, 0-9, _ and -");
        }
        vehicles.push_back({.alias = alias,
                            .vin = vehicle.text_or("vin", ""),
                            .priority = optional_integer(vehicle, "priority", 0, highest_priority),
                            .max_a = vehicle.optional_number("max_a", 5, max_charge_a),
                            .phases = optional_integer(vehicle, "phases", 1, 3),
                            .group = vehicle.text_or("group", ""),
                            .battery_kwh = vehicle.optional_number("battery_kwh", 5, 300),
                            .low_a = vehicle.optional_number("low_a", 1, 5)});
        vehicle.reject_unknown_keys();
    }
    std::ranges::sort(vehicles, {}, &VehicleConfig::alias);
    return vehicles;
}

std::vector<VehicleGroup> read_groups(const config::Section& section, const config::Section& root,
                                      const std::vector<VehicleConfig>& vehicles) {
    std::vector<VehicleGroup> groups;
    for (const auto& name : section.keys()) {
        const auto group = section.section(name);
        groups.push_back({.name = name,
                          .priority = optional_integer(group, "priority", 0, highest_priority),
                          .max_a = group.optional_number("max_a", 5, max_charge_a),
                          .min_soc_pct = group.optional_number("min_soc_pct", 0, 100),
                          .allowed = group.flag_or("allowed", true)});
        group.reject_unknown_keys();
    }
    std::ranges::sort(groups, {}, &VehicleGroup::name);
    for (const auto& vehicle : vehicles) {
        if (!vehicle.group.empty() && std::ranges::find(groups, vehicle.group, &VehicleGroup::name) == groups.end()) {
            root.section("vehicles")
                .section(vehicle.alias)
                .report("group", fmt::format("there is no vehicle group \"{}\"", vehicle.group));
        }
    }
    return groups;
}

StaleLimits read_stale(const config::Section& section) {
    StaleLimits limits{.hold_after = section.seconds_or("hold_after_s", 15, 2, 3600),
                       .minimum_after = section.seconds_or("minimum_after_s", 90, 5, 3600),
                       .stop_after = section.seconds_or("stop_after_s", 300, 10, 7200)};
    if (limits.hold_after > limits.minimum_after || limits.minimum_after > limits.stop_after) {
        section.report("hold_after_s", "must not be longer than minimum_after_s, nor that than stop_after_s");
    }
    section.reject_unknown_keys();
    return limits;
}

Settings read_defaults(const config::Section& policy, const config::Section& prices) {
    Settings settings;
    settings.mode =
        *mode_named(policy.choice_or("mode", "solar", {"off", "solar", "min_solar", "fast", "scheduled", "rules"}));
    settings.outside_schedule =
        *mode_named(policy.choice_or("outside_schedule", "solar", {"off", "solar", "min_solar", "fast"}));
    settings.reserve_w = policy.number_or("reserve_w", 0, -20000, 20000);
    settings.min_a = policy.number_or("min_a", 6, 5, 32);
    settings.max_a = policy.optional_number("max_a", 5, max_charge_a);
    settings.import_cap_w = policy.optional_number("import_cap_w", 0, 100000);
    settings.battery_priority =
        policy.choice_or("battery_priority", "battery_first", {"battery_first", "car_first"}) == "car_first"
            ? BatteryPriority::car_first
            : BatteryPriority::battery_first;
    settings.battery_first_until_pct = policy.number_or("battery_first_until_pct", 100, 0, 100);
    settings.grid_weight = policy.optional_number("grid_weight", 0, 20);
    settings.min_on_s = policy.number_or("min_on_s", 300, 60, 7200);
    settings.min_off_s = policy.number_or("min_off_s", 180, 0, 7200);
    settings.max_starts_per_day = policy.integer_or("max_starts_per_day", 12, 1, 100);
    settings.rotation_s = policy.number_or("rotation_s", 1800, 300, 86400);
    settings.stop_by_vehicle = policy.flag_or("stop_by_vehicle", true);
    settings.top_up_a = policy.number_or("top_up_a", 0, 0, max_charge_a);
    settings.top_up_starts = policy.flag_or("top_up_starts", false);
    settings.hour_resume_solar = policy.number_or("hour_resume_solar", 0, 0, 24);
    settings.non_scheduled_a = policy.number_or("non_scheduled_a", 0, 0, max_charge_a);
    settings.quarter_hour_w = policy.optional_number("quarter_hour_w", 500, 200000);
    settings.grid_max_a = policy.optional_number("grid_max_a", 0, 400);
    settings.battery_buffer_pct = policy.optional_number("battery_buffer_pct", 0, 100);
    settings.battery_start_pct = policy.optional_number("battery_start_pct", 0, 100);
    settings.battery_protect = policy.flag_or("battery_protect", true);
    settings.guests = policy.flag_or("guests", true);
    const std::string action = policy.choice_or("non_scheduled_action", "fixed", {"fixed", "none", "solar"});
    settings.non_scheduled_action = action == "none"    ? NonScheduledAction::none
                                    : action == "solar" ? NonScheduledAction::solar
                                                        : NonScheduledAction::fixed;
    settings.cheap_price = prices.optional_number("cheap", contract::any_price.min, contract::any_price.max);
    settings.import_price = prices.optional_number("import", 0, 1000);
    settings.export_price = prices.optional_number("export", 0, 1000);
    return settings;
}

}  // namespace

ServiceConfig read_config(const config::Section& root) {
    ServiceConfig config;
    config.core.site = read_site(root.section("site"));
    config.core.chargers = read_chargers(root.section("chargers"));
    config.core.vehicles = read_vehicles(root.section("vehicles"));
    config.core.groups = read_groups(root.section("vehicle_groups"), root, config.core.vehicles);
    config.core.rules = read_rules(root.section("rules"));
    const auto policy = root.section("policy");
    const auto prices = root.section("prices");
    config.defaults = read_defaults(policy, prices);
    config.core.value = {.start_memory = policy.seconds_or("start_memory_s", 60, 5, 3600),
                         .stop_memory = policy.seconds_or("stop_memory_s", 480, 10, 7200),
                         .start_level = policy.number_or("start_level", 0.4, 0.01, 0.9)};
    config.core.raise_hold = policy.seconds_or("raise_hold_s", 3, 0, 60);
    config.lease = policy.seconds_or("lease_s", 20, 15, 30);
    config.core.stale = read_stale(policy.section("stale"));
    policy.reject_unknown_keys();
    prices.reject_unknown_keys();
    const auto twcmanager = root.section("twcmanager");
    config.twcmanager = {.enabled = twcmanager.flag_or("enabled", false),
                         .prefix = twcmanager.text_or("prefix", "TWC")};
    if (config.twcmanager.prefix.find_first_of("+#") != std::string::npos || config.twcmanager.prefix.empty()) {
        twcmanager.report("prefix", "must be a topic without + and #");
    }
    twcmanager.reject_unknown_keys();
    config.state_file = root.text_or("state_file", "/var/lib/twc-mqtt/policy-engine.json");
    return config;
}

}  // namespace policy_engine
