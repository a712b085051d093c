#include "policy-engine/settings.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "policy-engine/override.hpp"
#include "policy-engine/plan_goal.hpp"
#include "policy-engine/schedule.hpp"
#include "service/command_value.hpp"
#include "service/service_host.hpp"

namespace policy_engine {

namespace {

using nlohmann::json;

constexpr contract::Range amps_range{5, contract::charge_current_a.max};
constexpr contract::Range priority_range{0, 10};
constexpr std::array<const char*, 4> modes_outside{"off", "solar", "min_solar", "fast"};
constexpr std::array<const char*, 2> battery_priorities{"battery_first", "car_first"};
constexpr std::array<const char*, 3> non_scheduled_actions{"fixed", "none", "solar"};

bool means_none(std::string_view payload) {
    const std::string text = service::normalised(payload);
    return text == "auto" || text == "none" || text == "clear";
}

std::optional<double> optional_number(std::string_view payload, contract::Range allowed, std::string_view unit) {
    return means_none(payload) ? std::nullopt : std::optional(service::parse_number(payload, allowed, unit));
}

int whole_number(std::string_view payload, contract::Range allowed) {
    const double number = service::parse_number(payload, allowed);
    if (number != std::floor(number)) {
        throw service::Rejected("not a whole number",
                                fmt::format("a whole number from {:g} to {:g}", allowed.min, allowed.max));
    }
    return static_cast<int>(number);
}

Mode parse_mode(std::string_view payload, std::span<const char* const> choices) {
    return *mode_named(service::parse_choice(payload, choices));
}

NonScheduledAction parse_non_scheduled(std::string_view payload) {
    const std::string name = service::parse_choice(payload, non_scheduled_actions);
    const auto* const found = std::ranges::find(non_scheduled_actions, name);
    return static_cast<NonScheduledAction>(found - non_scheduled_actions.begin());
}

// 0 is none; between 0 and 5 A no car charges.
double amps_or_none(std::string_view payload) {
    const double amps = service::parse_amps(payload, {0, contract::charge_current_a.max});
    if (amps > 0 && amps < amps_range.min) {
        throw service::Rejected("too little to charge a car", "0, or 5 to 80 A");
    }
    return amps;
}

json limit_json(const TimedLimit& limit) {
    json object{{"limit_w", limit.limit_w}};
    if (limit.until) {
        object["until"] = contract::format_timestamp(*limit.until);
    }
    return object;
}

// As limit_json wrote it; that its end has passed is no mistake here.
std::optional<TimedLimit> kept_limit(std::string_view payload) { return parse_timed_limit(payload, WallTime::min()); }

json optional_json(const std::optional<double>& value) { return value ? json(*value) : json(nullptr); }

/// One setting: its name on the topic and in the file, how it is read, how it is shown.
template <class Owner>
struct Setting {
    const char* name;
    void (*read)(Owner&, std::string_view payload);
    json (*show)(const Owner&);
};

constexpr std::array<Setting<Settings>, 32> site_settings{{
    {"mode", [](Settings& s, std::string_view p) { s.mode = parse_mode(p, contract::modes); },
     [](const Settings& s) { return json(name_of(s.mode)); }},
    {"outside_schedule", [](Settings& s, std::string_view p) { s.outside_schedule = parse_mode(p, modes_outside); },
     [](const Settings& s) { return json(name_of(s.outside_schedule)); }},
    {"reserve_w",
     [](Settings& s, std::string_view p) {
         s.reserve_w = service::parse_number(p, {-20000, 20000}, "W");
     },
     [](const Settings& s) { return json(s.reserve_w); }},
    {"min_a",
     [](Settings& s, std::string_view p) {
         s.min_a = service::parse_amps(p, {5, 32});
     },
     [](const Settings& s) { return json(s.min_a); }},
    {"max_a", [](Settings& s, std::string_view p) { s.max_a = optional_number(p, amps_range, "A"); },
     [](const Settings& s) { return optional_json(s.max_a); }},
    {"import_cap_w",
     [](Settings& s, std::string_view p) {
         s.import_cap_w = optional_number(p, {0, 100000}, "W");
     },
     [](const Settings& s) { return optional_json(s.import_cap_w); }},
    {"battery_priority",
     [](Settings& s, std::string_view p) {
         s.battery_priority = service::parse_choice(p, battery_priorities) == "car_first"
                                  ? BatteryPriority::car_first
                                  : BatteryPriority::battery_first;
     },
     [](const Settings& s) {
         return json(s.battery_priority == BatteryPriority::car_first ? "car_first" : "battery_first");
     }},
    {"battery_first_until_pct",
     [](Settings& s, std::string_view p) {
         s.battery_first_until_pct = service::parse_number(p, {0, 100}, "%");
     },
     [](const Settings& s) { return json(s.battery_first_until_pct); }},
    {"import_price",
     [](Settings& s, std::string_view p) {
         s.import_price = optional_number(p, {0, 1000}, "");
     },
     [](const Settings& s) { return optional_json(s.import_price); }},
    {"export_price",
     [](Settings& s, std::string_view p) {
         s.export_price = optional_number(p, {0, 1000}, "");
     },
     [](const Settings& s) { return optional_json(s.export_price); }},
    {"grid_weight",
     [](Settings& s, std::string_view p) {
         s.grid_weight = optional_number(p, {0, 20}, "");
     },
     [](const Settings& s) { return optional_json(s.grid_weight); }},
    {"min_on_s",
     [](Settings& s, std::string_view p) {
         s.min_on_s = service::parse_number(p, {60, 7200}, "s");
     },
     [](const Settings& s) { return json(s.min_on_s); }},
    {"min_off_s",
     [](Settings& s, std::string_view p) {
         s.min_off_s = service::parse_number(p, {0, 7200}, "s");
     },
     [](const Settings& s) { return json(s.min_off_s); }},
    {"max_starts_per_day",
     [](Settings& s, std::string_view p) {
         s.max_starts_per_day = whole_number(p, {1, 100});
     },
     [](const Settings& s) { return json(s.max_starts_per_day); }},
    {"rotation_s",
     [](Settings& s, std::string_view p) {
         s.rotation_s = service::parse_number(p, {300, 86400}, "s");
     },
     [](const Settings& s) { return json(s.rotation_s); }},
    {"stop_by_vehicle", [](Settings& s, std::string_view p) { s.stop_by_vehicle = service::parse_on_off(p); },
     [](const Settings& s) { return json(s.stop_by_vehicle); }},
    {"schedule",
     [](Settings& s, std::string_view p) {
         s.schedule = means_none(p) ? std::vector<ScheduleWindow>() : schedule_from_json(contract::parse_json(p));
     },
     [](const Settings& s) { return schedule_to_json(s.schedule); }},
    {"plans",
     [](Settings& s, std::string_view p) {
         s.plans = means_none(p) ? std::vector<PlanGoal>() : plans_from_json(contract::parse_json(p));
     },
     [](const Settings& s) { return plans_to_json(s.plans); }},
    {"top_up_a",
     [](Settings& s, std::string_view p) { s.top_up_a = service::parse_amps(p, contract::charge_current_a); },
     [](const Settings& s) { return json(s.top_up_a); }},
    {"top_up_starts", [](Settings& s, std::string_view p) { s.top_up_starts = service::parse_on_off(p); },
     [](const Settings& s) { return json(s.top_up_starts); }},
    {"hour_resume_solar",
     [](Settings& s, std::string_view p) {
         s.hour_resume_solar = service::parse_number(p, {0, 24}, "h");
     },
     [](const Settings& s) { return json(s.hour_resume_solar); }},
    {"non_scheduled_action", [](Settings& s, std::string_view p) { s.non_scheduled_action = parse_non_scheduled(p); },
     [](const Settings& s) {
         return json(non_scheduled_actions.at(static_cast<std::size_t>(s.non_scheduled_action)));
     }},
    {"non_scheduled_a", [](Settings& s, std::string_view p) { s.non_scheduled_a = amps_or_none(p); },
     [](const Settings& s) { return json(s.non_scheduled_a); }},
    {"cheap_price",
     [](Settings& s, std::string_view p) { s.cheap_price = optional_number(p, contract::any_price, ""); },
     [](const Settings& s) { return optional_json(s.cheap_price); }},
    {"quarter_hour_w",
     [](Settings& s, std::string_view p) {
         s.quarter_hour_w = optional_number(p, {500, 200000}, "W");
     },
     [](const Settings& s) { return optional_json(s.quarter_hour_w); }},
    {"grid_max_a",
     [](Settings& s, std::string_view p) {
         s.grid_max_a = optional_number(p, {0, 400}, "A");
     },
     [](const Settings& s) { return optional_json(s.grid_max_a); }},
    {"dim_w", [](Settings& s, std::string_view p) { s.dimming = means_none(p) ? std::nullopt : kept_limit(p); },
     [](const Settings& s) { return s.dimming ? limit_json(*s.dimming) : json(nullptr); }},
    {"battery_buffer_pct",
     [](Settings& s, std::string_view p) { s.battery_buffer_pct = optional_number(p, contract::percent, "%"); },
     [](const Settings& s) { return optional_json(s.battery_buffer_pct); }},
    {"battery_start_pct",
     [](Settings& s, std::string_view p) { s.battery_start_pct = optional_number(p, contract::percent, "%"); },
     [](const Settings& s) { return optional_json(s.battery_start_pct); }},
    {"battery_boost_until_pct",
     [](Settings& s, std::string_view p) { s.battery_boost_until_pct = optional_number(p, contract::percent, "%"); },
     [](const Settings& s) { return optional_json(s.battery_boost_until_pct); }},
    {"battery_protect", [](Settings& s, std::string_view p) { s.battery_protect = service::parse_on_off(p); },
     [](const Settings& s) { return json(s.battery_protect); }},
    {"guests", [](Settings& s, std::string_view p) { s.guests = service::parse_on_off(p); },
     [](const Settings& s) { return json(s.guests); }},
}};

constexpr std::array<Setting<ChargerSettings>, 4> charger_settings{{
    {"mode",
     [](ChargerSettings& s, std::string_view p) {
         s.mode = means_none(p) ? std::nullopt : std::optional(parse_mode(p, contract::modes));
     },
     [](const ChargerSettings& s) { return s.mode ? json(name_of(*s.mode)) : json(nullptr); }},
    {"max_a", [](ChargerSettings& s, std::string_view p) { s.max_a = optional_number(p, amps_range, "A"); },
     [](const ChargerSettings& s) { return optional_json(s.max_a); }},
    {"priority",
     [](ChargerSettings& s, std::string_view p) {
         s.priority = means_none(p) ? std::nullopt : std::optional(whole_number(p, priority_range));
     },
     [](const ChargerSettings& s) { return s.priority ? json(*s.priority) : json(nullptr); }},
    {"enabled", [](ChargerSettings& s, std::string_view p) { s.enabled = service::parse_on_off(p); },
     [](const ChargerSettings& s) { return json(s.enabled); }},
}};

constexpr std::array<Setting<VehicleSettings>, 4> vehicle_settings{{
    {"min_soc_pct",
     [](VehicleSettings& s, std::string_view p) { s.min_soc_pct = optional_number(p, contract::percent, "%"); },
     [](const VehicleSettings& s) { return optional_json(s.min_soc_pct); }},
    {"max_a", [](VehicleSettings& s, std::string_view p) { s.max_a = optional_number(p, amps_range, "A"); },
     [](const VehicleSettings& s) { return optional_json(s.max_a); }},
    {"priority",
     [](VehicleSettings& s, std::string_view p) {
         s.priority = means_none(p) ? std::nullopt : std::optional(whole_number(p, priority_range));
     },
     [](const VehicleSettings& s) { return s.priority ? json(*s.priority) : json(nullptr); }},
    {"enabled", [](VehicleSettings& s, std::string_view p) { s.enabled = service::parse_on_off(p); },
     [](const VehicleSettings& s) { return json(s.enabled); }},
}};

template <class Owner, std::size_t Count>
void change(const std::array<Setting<Owner>, Count>& table, Owner& owner, const std::string& name,
            std::string_view payload) {
    const auto setting = std::ranges::find_if(table, [&](const auto& s) { return name == s.name; });
    if (setting == table.end()) {
        std::vector<std::string> names;
        std::ranges::transform(table, std::back_inserter(names), [](const auto& s) { return s.name; });
        throw service::Rejected(fmt::format("there is no setting \"{}\"", name.substr(0, 40)),
                                fmt::format("one of {}", fmt::join(names, ", ")));
    }
    setting->read(owner, payload);
}

template <class Owner, std::size_t Count>
json show(const std::array<Setting<Owner>, Count>& table, const Owner& owner) {
    auto object = json::object();
    for (const auto& setting : table) {
        object[setting.name] = setting.show(owner);
    }
    return object;
}

// The entry of that id, made where it belongs in the sorted list.
template <class Item>
Item& entry(std::vector<Item>& items, std::string Item::*key, const std::string& id) {
    auto place = std::ranges::lower_bound(items, id, {}, key);
    if (place == items.end() || (*place).*key != id) {
        Item item;
        item.*key = id;
        place = items.insert(place, std::move(item));
    }
    return *place;
}

template <class Item>
void change_entry(std::vector<Item>& items, std::string Item::*key, const std::string& id, const auto& table,
                  const std::string& name, std::string_view payload) {
    auto changed = items;  // a refused value must not leave an empty entry behind
    change(table, entry(changed, key, id), name, payload);
    items = std::move(changed);
}

std::string as_payload(const json& value) {
    if (value.is_null()) {
        return "none";
    }
    return value.is_string() ? value.get<std::string>() : value.dump();
}

// Calls `set(name, payload)` for each key; what it refuses goes to the list.
template <class Set>
void apply_all(const json& object, const std::string& where, std::vector<std::string>& problems, const Set& set) {
    if (!object.is_object()) {
        problems.push_back(fmt::format("{}: not an object", where));
        return;
    }
    for (const auto& [key, value] : object.items()) {
        try {
            set(key, as_payload(value));
        } catch (const service::Rejected& error) {
            problems.push_back(fmt::format("{}.{}: {}; expected {}", where, key, error.what(), error.expected()));
        } catch (const contract::Invalid& error) {
            problems.push_back(fmt::format("{}.{}: {}", where, key, error.what()));
        }
    }
}

template <class Change>
void apply_entries(const json& object, const std::string& where, std::vector<std::string>& problems,
                   const Change& change_one) {
    if (!object.is_object()) {
        problems.push_back(fmt::format("{}: not an object", where));
        return;
    }
    for (const auto& [id, values] : object.items()) {
        if (!contract::is_valid_id(id)) {
            problems.push_back(fmt::format("{}: \"{}\" is not an id", where, id));
            continue;
        }
        apply_all(values, fmt::format("{}.{}", where, id), problems,
                  [&, id = id](const std::string& name, const std::string& payload) { change_one(id, name, payload); });
    }
}

Override override_from_json(const json& object, WallTime now) {
    // What has ended is dropped by the caller; it must not be refused here for lying in the past.
    json order = object;
    std::optional<WallTime> until;
    if (const auto end = order.find("until"); end != order.end() && end->is_string()) {
        until = contract::parse_timestamp(end->get<std::string>());
        if (!until) {
            throw service::Rejected("until is no time", "a time like 2026-01-31T22:00:00+01:00");
        }
        order.erase("until");
    }
    auto command = parse_override(order.dump(), now, "");
    if (!command.order) {
        throw service::Rejected("no order", "amps");
    }
    command.order->until = until;
    return *command.order;
}

}  // namespace

void change_setting(Settings& settings, const std::string& name, std::string_view payload) {
    change(site_settings, settings, name, payload);
}

bool is_setting(std::string_view name) {
    return std::ranges::any_of(site_settings, [&](const auto& setting) { return name == setting.name; });
}

json setting_value(const Settings& settings, std::string_view name) {
    const auto* const setting = std::ranges::find_if(site_settings, [&](const auto& s) { return name == s.name; });
    return setting == site_settings.end() ? json(nullptr) : setting->show(settings);
}

void change_charger_setting(Settings& settings, const std::string& charger, const std::string& name,
                            std::string_view payload) {
    change_entry(settings.chargers, &ChargerSettings::id, charger, charger_settings, name, payload);
}

void change_vehicle_setting(Settings& settings, const std::string& vehicle, const std::string& name,
                            std::string_view payload) {
    change_entry(settings.vehicles, &VehicleSettings::alias, vehicle, vehicle_settings, name, payload);
}

void change_override(Settings& settings, const std::optional<std::string>& charger, std::optional<Override> order) {
    if (charger) {
        entry(settings.chargers, &ChargerSettings::id, *charger).override_order = std::move(order);
        return;
    }
    if (!order) {
        for (auto& item : settings.chargers) {
            item.override_order.reset();
        }
    }
    settings.override_order = std::move(order);
}

json settings_to_json(const Settings& settings) {
    json object = show(site_settings, settings);
    object["charger"] = json::object();
    for (const auto& charger : settings.chargers) {
        object["charger"][charger.id] = show(charger_settings, charger);
    }
    object["vehicle"] = json::object();
    for (const auto& vehicle : settings.vehicles) {
        object["vehicle"][vehicle.alias] = show(vehicle_settings, vehicle);
    }
    return object;
}

std::vector<std::string> settings_from_json(Settings& settings, const json& kept) {
    std::vector<std::string> problems;
    json site = kept;
    if (site.is_object()) {
        apply_entries(site.value("charger", json::object()), "charger", problems,
                      [&](const auto&... change_args) { change_charger_setting(settings, change_args...); });
        apply_entries(site.value("vehicle", json::object()), "vehicle", problems,
                      [&](const auto&... change_args) { change_vehicle_setting(settings, change_args...); });
        site.erase("charger");
        site.erase("vehicle");
    }
    apply_all(site, "settings", problems,
              [&](const std::string& name, const std::string& payload) { change_setting(settings, name, payload); });
    return problems;
}

json override_to_json(const Override& order) {
    json object{{"amps", order.amps ? json(*order.amps) : json("max")}, {"source", order.source}};
    if (order.until) {
        object["until"] = contract::format_timestamp(*order.until);
    }
    return object;
}

json overrides_to_json(const Settings& settings) {
    auto object = json::object();
    if (settings.override_order) {
        object["all"] = override_to_json(*settings.override_order);
    }
    for (const auto& charger : settings.chargers) {
        if (charger.override_order) {
            object[charger.id] = override_to_json(*charger.override_order);
        }
    }
    return object;
}

std::vector<std::string> overrides_from_json(Settings& settings, const json& kept, WallTime now) {
    std::vector<std::string> problems;
    if (!kept.is_object()) {
        return {"overrides: not an object"};
    }
    for (const auto& [id, value] : kept.items()) {
        try {
            const auto charger = id == "all" ? std::nullopt : std::optional<std::string>(id);
            change_override(settings, charger, override_from_json(value, now));
        } catch (const std::exception& error) {
            problems.push_back(fmt::format("overrides.{}: {}", id, error.what()));
        }
    }
    drop_ended_overrides(settings, now);
    return problems;
}

}  // namespace policy_engine
