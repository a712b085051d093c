#include "policy-engine/facts.hpp"

#include <algorithm>
#include <array>

#include <nlohmann/json.hpp>

#include "policy-engine/modes.hpp"
#include "policy-engine/override.hpp"
#include "policy-engine/schedule.hpp"
#include "policy-engine/settings.hpp"
#include "policy-engine/sun.hpp"
#include "policy-engine/tariff.hpp"

namespace policy_engine {

/// A fact, or a family of facts with `*` in the name.
struct FactKind {
    const char* name;
    std::optional<FactValue> (*read)(const Circumstances&, const std::string& subject);
};

namespace {

using Value = std::optional<FactValue>;

constexpr double seconds_per_hour = 3600;
// Where the site's place is not configured: the hours TWCManager falls back to (features notes 2.7).
constexpr double usual_rise_hour = 6;
constexpr double usual_set_hour = 20;

Value number(std::optional<double> value) { return value ? Value(*value) : std::nullopt; }
Value flag(std::optional<bool> value) { return value ? Value(*value ? 1.0 : 0.0) : std::nullopt; }
Value word(const std::optional<std::string>& value) { return value ? Value(*value) : std::nullopt; }

double hour_of(const CivilTime& time) { return time.minute / 60.0 + time.second / seconds_per_hour; }

std::chrono::year_month_day date_of(const CivilTime& time) {
    return std::chrono::sys_days(std::chrono::days(time.day));
}

// On the clock of that day; a sun that never rises or sets counts as rising at 0 or setting at 24 o'clock, or never.
Value sun_hour(const Circumstances& all, bool rise) {
    const auto& place = all.config.site.place;
    if (!place) {
        return rise ? usual_rise_hour : usual_set_hour;
    }
    const SunTimes times = sun_times(*place, all.inputs.wall);
    const auto& moment = rise ? times.rise : times.set;
    if (moment) {
        const CivilTime clock = civil_time(*moment);
        const int days = clock.day - civil_time(all.inputs.wall).day;
        return hour_of(clock) + 24.0 * days;
    }
    const bool is_up = times.always_up || times.rise || times.set;
    return is_up == rise ? 0.0 : 24.0;
}

TariffPrices prices_of(const Circumstances& all) { return prices_in_force(all.settings, all.inputs); }

const Vehicle* vehicle_of(const Circumstances& all, const std::string& alias) {
    const auto found = std::ranges::find(all.inputs.vehicles, alias, &Vehicle::alias);
    return found == all.inputs.vehicles.end() ? nullptr : &*found;
}

const Charger* charger_of(const Circumstances& all, const std::string& id) {
    const auto found = std::ranges::find(all.inputs.chargers, id, &Charger::id);
    return found == all.inputs.chargers.end() ? nullptr : &*found;
}

template <class Member>
auto of_site(const Circumstances& all, Member member) -> std::optional<double> {
    return all.inputs.site ? (*all.inputs.site).*member : std::nullopt;
}

template <class Item, class Member>
auto of(const Item* item, Member member) -> std::remove_cvref_t<decltype(item->*member)> {
    return item == nullptr ? std::remove_cvref_t<decltype(item->*member)>{} : item->*member;
}

double count_if(const Circumstances& all, bool (*counts)(const Charger&)) {
    return static_cast<double>(std::ranges::count_if(all.inputs.chargers, counts));
}

Value setting_fact(const Circumstances& all, const std::string& name) {
    const auto value = setting_value(all.settings, name);
    if (value.is_boolean()) {
        return value.get<bool>() ? 1.0 : 0.0;
    }
    if (value.is_number()) {
        return value.get<double>();
    }
    return value.is_string() ? Value(value.get<std::string>()) : std::nullopt;
}

using All = Circumstances;
using Text = std::string;

constexpr std::array<FactKind, 39> kinds{{
    {"time.hour", [](const All& a, const Text&) { return number(hour_of(civil_time(a.inputs.wall))); }},
    {"time.minute", [](const All& a, const Text&) { return number(civil_time(a.inputs.wall).minute % 60); }},
    {"time.weekday", [](const All& a, const Text&) { return number(civil_time(a.inputs.wall).weekday); }},
    {"time.day", [](const All& a, const Text&) { return number(unsigned(date_of(civil_time(a.inputs.wall)).day())); }},
    {"time.month",
     [](const All& a, const Text&) { return number(unsigned(date_of(civil_time(a.inputs.wall)).month())); }},
    {"sun.rise_hour", [](const All& a, const Text&) { return sun_hour(a, true); }},
    {"sun.set_hour", [](const All& a, const Text&) { return sun_hour(a, false); }},
    {"sun.elevation_deg",
     [](const All& a, const Text&) {
         const auto& place = a.config.site.place;
         return place ? Value(sun_elevation_deg(*place, a.inputs.wall)) : std::nullopt;
     }},
    {"ems.grid_w", [](const All& a, const Text&) { return number(of_site(a, &Site::grid_w)); }},
    {"ems.pv_w", [](const All& a, const Text&) { return number(of_site(a, &Site::pv_w)); }},
    {"ems.house_w", [](const All& a, const Text&) { return number(of_site(a, &Site::house_w)); }},
    {"ems.battery_w", [](const All& a, const Text&) { return number(of_site(a, &Site::battery_w)); }},
    {"ems.battery_soc_pct", [](const All& a, const Text&) { return number(of_site(a, &Site::battery_soc_pct)); }},
    {"ems.surplus_w",
     [](const All& a, const Text&) { return a.memory.site_at ? Value(a.memory.available_w) : Value(); }},
    {"ems.lost", [](const All& a, const Text&) { return Value(a.inputs.site && !a.inputs.site->lost ? 0.0 : 1.0); }},
    {"tariff.import_price", [](const All& a, const Text&) { return number(prices_of(a).import_price); }},
    {"tariff.export_price", [](const All& a, const Text&) { return number(prices_of(a).export_price); }},
    {"tariff.co2_g_kwh", [](const All& a, const Text&) { return number(prices_of(a).co2_g_kwh); }},
    {"tariff.mean_import_price",
     [](const All& a, const Text&) { return number(mean_import_price(a.inputs.tariff, a.inputs.wall)); }},
    {"forecast.today_kwh",
     [](const All& a, const Text&) {
         return number(forecast_kwh(a.inputs.forecast, a.inputs.wall, next_local(a.inputs.wall, 0)));
     }},
    {"schedule.open",
     [](const All& a, const Text&) { return flag(open_window(a.settings.schedule, a.inputs.wall).has_value()); }},
    {"schedule.other_a",
     [](const All& a, const Text&) {
         const bool none = a.settings.non_scheduled_action == NonScheduledAction::none;
         return number(none ? 0 : a.settings.non_scheduled_a);
     }},
    {"override.active",
     [](const All& a, const Text&) { return flag(active_override(a.settings, nullptr, a.inputs.wall) != nullptr); }},
    {"chargers.plugged",
     [](const All& a, const Text&) {
         return number(count_if(a, [](const Charger& c) { return c.plugged.value_or(false); }));
     }},
    {"chargers.drawing",
     [](const All& a, const Text&) {
         return number(count_if(a, [](const Charger& c) { return c.drawn_a.value_or(0) >= drawing_a; }));
     }},
    {"bus.wiring_max_a", [](const All& a, const Text&) { return number(a.inputs.bus.wiring_max_a); }},
    {"settings.*", &setting_fact},
    {"charger.*.online",
     [](const All& a, const Text& id) {
         const auto* charger = charger_of(a, id);
         return charger == nullptr ? Value() : flag(charger->online);
     }},
    {"charger.*.plugged", [](const All& a, const Text& id) { return flag(of(charger_of(a, id), &Charger::plugged)); }},
    {"charger.*.drawn_a",
     [](const All& a, const Text& id) { return number(of(charger_of(a, id), &Charger::drawn_a)); }},
    {"charger.*.vin", [](const All& a, const Text& id) { return word(of(charger_of(a, id), &Charger::vin)); }},
    {"vehicle.*.soc_pct", [](const All& a, const Text& v) { return number(of(vehicle_of(a, v), &Vehicle::soc_pct)); }},
    {"vehicle.*.charge_limit_pct",
     [](const All& a, const Text& v) { return number(of(vehicle_of(a, v), &Vehicle::charge_limit_pct)); }},
    {"vehicle.*.plugged", [](const All& a, const Text& v) { return flag(of(vehicle_of(a, v), &Vehicle::plugged)); }},
    {"vehicle.*.at_home", [](const All& a, const Text& v) { return flag(of(vehicle_of(a, v), &Vehicle::at_home)); }},
    {"vehicle.*.charge_a",
     [](const All& a, const Text& v) { return number(of(vehicle_of(a, v), &Vehicle::charge_amps)); }},
    {"vehicle.*.charging_state",
     [](const All& a, const Text& v) { return word(of(vehicle_of(a, v), &Vehicle::charging_state)); }},
    {"vehicle.*.can_command",
     [](const All& a, const Text& v) {
         const auto* vehicle = vehicle_of(a, v);
         return vehicle == nullptr ? Value() : flag(vehicle->can_command);
     }},
    {"vehicle.*.connected",
     [](const All& a, const Text& v) {
         return flag(std::ranges::any_of(a.memory.chargers, [&](const ChargerMemory& c) { return c.vehicle == v; }));
     }},
}};

// The part of `name` that the star stands for; none if it does not fit.
std::optional<std::string> subject_in(std::string_view pattern, std::string_view name) {
    const auto star = pattern.find('*');
    if (star == std::string_view::npos) {
        return pattern == name ? std::optional<std::string>("") : std::nullopt;
    }
    const auto head = pattern.substr(0, star);
    const auto tail = pattern.substr(star + 1);
    if (name.size() <= head.size() + tail.size() || !name.starts_with(head) || !name.ends_with(tail)) {
        return std::nullopt;
    }
    const auto subject = name.substr(star, name.size() - head.size() - tail.size());
    return subject.find('.') == std::string_view::npos ? std::optional<std::string>(subject) : std::nullopt;
}

}  // namespace

std::optional<Fact> fact_named(std::string_view name) {
    for (const auto& kind : kinds) {
        auto subject = subject_in(kind.name, name);
        if (subject && (kind.read != &setting_fact || is_setting(*subject))) {
            return Fact{&kind, *std::move(subject)};
        }
    }
    return std::nullopt;
}

std::string name_of(const Fact& fact) {
    std::string name = fact.kind->name;
    if (const auto star = name.find('*'); star != std::string::npos) {
        name.replace(star, 1, fact.subject);
    }
    return name;
}

std::optional<FactValue> read_fact(const Fact& fact, const Circumstances& circumstances) {
    return fact.kind->read(circumstances, fact.subject);
}

std::vector<std::string> fact_names() {
    std::vector<std::string> names;
    std::ranges::transform(kinds, std::back_inserter(names), &FactKind::name);
    return names;
}

}  // namespace policy_engine
