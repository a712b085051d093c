#include "policy-engine/simulation/scenario.hpp"

#include <algorithm>
#include <ctime>

#include <fmt/format.h>

#include "clocks/zone.hpp"
#include "contract/topics.hpp"
#include "policy-engine/schedule.hpp"

namespace policy_engine::simulation {

namespace {

using namespace std::chrono_literals;

constexpr double assumed_battery_kwh = 75;
constexpr double usual_max_a = 32;
constexpr int all_phases = 3;
constexpr double largest_battery_kwh = 1000;
constexpr double largest_battery_w = 100000;

// Reads as many as are there of "%Y-%m-%d" and "%Y-%m-%dT%H:%M"; local.
std::optional<WallTime> local_moment(const std::string& text) {
    constexpr int first_year = 1900;  // of std::tm
    for (const char* format : {"%Y-%m-%d", "%Y-%m-%dT%H:%M"}) {
        std::tm parts{};
        const char* const end = strptime(text.c_str(), format, &parts);
        if (end == nullptr || *end != '\0' || parts.tm_year < 70 || parts.tm_year > 300) {
            continue;
        }
        const std::chrono::year_month_day date{std::chrono::year(parts.tm_year + first_year),
                                               std::chrono::month(static_cast<unsigned>(parts.tm_mon + 1)),
                                               std::chrono::day(static_cast<unsigned>(parts.tm_mday))};
        return date.ok() ? std::optional<WallTime>(clocks::from_local(std::chrono::local_days(date) +
                                                                      std::chrono::hours(parts.tm_hour) +
                                                                      std::chrono::minutes(parts.tm_min)))
                         : std::nullopt;  // 31 April
    }
    return std::nullopt;
}

int time_of_day(const config::Section& section, const std::string& key, int fallback) {
    if (!section.has(key)) {
        return fallback;
    }
    const auto minute = parse_time_of_day(section.text(key));
    if (!minute) {
        section.report(key, "expected a time of day such as \"07:30\", in quotes");
    }
    return minute.value_or(fallback);
}

DailyWindow read_window(const config::Section& section) {
    const DailyWindow whole_day;
    return {.from_min = time_of_day(section, "from", whole_day.from_min),
            .to_min = time_of_day(section, "to", whole_day.to_min)};
}

CarSetup read_car(const config::Section& section, const std::string& charger) {
    CarSetup car{.name = section.text_or("name", charger),
                 .battery_kwh = section.optional_number("battery_kwh", 1, largest_battery_kwh),
                 .soc_pct = section.number_or("soc_pct", 50, 0, 100),
                 .limit_pct = section.number_or("limit_pct", 80, 1, 100),
                 .max_a = section.number_or("max_a", usual_max_a, 5, 80),
                 .phases = section.integer_or("phases", all_phases, 1, all_phases),
                 .taper_from_pct = section.optional_number("taper_from_pct", 1, 99),
                 .linked = section.flag_or("linked", false)};
    if (!contract::is_valid_id(car.name)) {
        section.report("name", "is made of a-z, 0-9, _ and -");
    }
    if (!car.battery_kwh) {
        for (const char* key : {"soc_pct", "limit_pct", "taper_from_pct"}) {
            if (section.has(key)) {
                section.report(key, "means nothing without battery_kwh: a car without it is never full");
            }
        }
    }
    section.reject_unknown_keys();
    return car;
}

ChargerSetup usual_charger(const ServiceConfig& config, const std::string& id) {
    ChargerSetup charger{.id = id, .phases = config.core.site.phases, .max_a = usual_max_a, .car = {.name = id}};
    const auto found = std::ranges::find(config.core.chargers, id, &ChargerConfig::id);
    if (found != config.core.chargers.end()) {
        charger.phases = found->phases.value_or(charger.phases);
        charger.max_a = found->max_a.value_or(charger.max_a);
    }
    return charger;
}

std::vector<ScenarioCharger> read_chargers(const config::Section& section, const ServiceConfig& config) {
    std::vector<ScenarioCharger> chargers;
    for (const auto& id : section.keys()) {
        const auto part = section.section(id);
        if (!contract::is_valid_id(id)) {
            section.report(id, "an id is made of a-z, 0-9, _ and -");
        }
        ScenarioCharger charger{.setup = usual_charger(config, id)};
        charger.setup.phases = part.integer_or("phases", charger.setup.phases, 1, all_phases);
        charger.setup.max_a = part.number_or("max_a", charger.setup.max_a, 5, contract::charge_current_a.max);
        for (const auto& window : part.sections("plugged")) {
            charger.plugged.push_back(read_window(window));
            window.reject_unknown_keys();
        }
        if (charger.plugged.empty()) {
            charger.plugged.push_back({});
        }
        charger.setup.car = read_car(part.section("car"), id);
        part.reject_unknown_keys();
        const auto same_name = [&](const ScenarioCharger& other) {
            return other.setup.car.name == charger.setup.car.name;
        };
        if (std::ranges::any_of(chargers, same_name)) {
            section.report(id, fmt::format("the car {} hangs on another charger already", charger.setup.car.name));
        }
        chargers.push_back(std::move(charger));
    }
    std::ranges::sort(chargers, {}, [](const ScenarioCharger& charger) { return charger.setup.id; });
    return chargers;
}

std::optional<BatterySetup> read_battery(const config::Section& root) {
    if (!root.has("battery")) {
        return std::nullopt;
    }
    const auto section = root.section("battery");
    const BatterySetup usual;
    BatterySetup battery{
        .capacity_kwh = section.number("capacity_kwh", 0.1, largest_battery_kwh),
        .soc_pct = section.number_or("soc_pct", usual.soc_pct, 0, 100),
        .reserve_pct = section.number_or("reserve_pct", usual.reserve_pct, 0, 100),
        .max_charge_w = section.number_or("max_charge_w", usual.max_charge_w, 0, largest_battery_w),
        .max_discharge_w = section.number_or("max_discharge_w", usual.max_discharge_w, 0, largest_battery_w),
        .efficiency_pct = section.number_or("efficiency_pct", usual.efficiency_pct, 10, 100)};
    section.reject_unknown_keys();
    return battery;
}

std::vector<DailyPrice> read_prices(const config::Section& section) {
    std::vector<DailyPrice> prices;
    for (const auto& part : section.sections("slots")) {
        prices.push_back(
            {.window = read_window(part),
             .import_price = part.optional_number("import_price", contract::any_price.min, contract::any_price.max),
             .export_price = part.optional_number("export_price", contract::any_price.min, contract::any_price.max),
             .co2_g_kwh = part.optional_number("co2_g_kwh", contract::any_co2_g_kwh.min, contract::any_co2_g_kwh.max)});
        part.reject_unknown_keys();
    }
    return prices;
}

int minute_of_day(WallTime time) { return civil_time(time).minute; }

std::vector<Span> spans_of(const std::vector<DailyWindow>& windows, const SiteDay& day) {
    constexpr std::size_t minute_s = 60;
    std::vector<Span> spans;
    const std::size_t length_s = day.seconds.size();
    for (std::size_t begin = 0; begin < length_s;) {
        const WallTime moment = day.start + std::chrono::seconds(begin);
        // Whole minutes of the clock, however the day begins.
        const std::size_t end =
            std::min(length_s, begin + minute_s - static_cast<std::size_t>(civil_time(moment).second));
        const int minute = minute_of_day(moment);
        if (std::ranges::any_of(windows, [&](const DailyWindow& window) { return window.holds(minute); })) {
            if (spans.empty() || spans.back().end != begin) {
                spans.push_back({begin, begin});
            }
            spans.back().end = end;
        }
        begin = end;
    }
    return spans;
}

// By VIN; else, with one of each, that one.
const std::pair<const std::string, RecordedVehicle>* vehicle_on(const Recording& recording,
                                                                const RecordedCharger& charger) {
    for (const auto& item : recording.vehicles) {
        if (charger.vin && item.second.vin == charger.vin) {
            return &item;
        }
    }
    const bool one_of_each = recording.chargers.size() == 1 && recording.vehicles.size() == 1;
    const bool may_be = one_of_each && !(charger.vin && recording.vehicles.begin()->second.vin);
    return may_be ? &*recording.vehicles.begin() : nullptr;
}

// The first charge known once it is plugged in; else the last one before.
std::optional<double> soc_when_plugged(const RecordedVehicle& vehicle, const RecordedCharger& charger) {
    std::optional<double> soc_pct;
    const std::size_t plugged_at = charger.plugged.empty() ? 0 : charger.plugged.front().begin;
    for (const auto& [second, value] : vehicle.soc_pct) {
        if (soc_pct && second > plugged_at) {
            break;
        }
        soc_pct = value;
    }
    return soc_pct;
}

}  // namespace

bool DailyWindow::holds(int minute) const {
    const bool over_midnight = to_min <= from_min;
    return over_midnight ? minute >= from_min || minute < to_min : minute >= from_min && minute < to_min;
}

WallTime usual_midnight() { return local_moment("2026-01-05").value(); }

std::optional<WallTime> parse_moment(const std::string& text) {
    const auto absolute = contract::parse_timestamp(text);
    return absolute ? absolute : local_moment(text);
}

Scenario read_scenario(const config::Section& root, const ServiceConfig& config, const std::filesystem::path& folder) {
    Scenario scenario{.midnight = usual_midnight()};
    const std::string day_file = root.text_or("day", "");
    scenario.day_file = day_file.empty() ? std::filesystem::path() : folder / day_file;
    if (root.has("date")) {
        const auto midnight = local_moment(root.text("date"));
        if (!midnight) {
            root.report("date", "expected a day such as 2026-06-15");
        }
        scenario.midnight = midnight.value_or(scenario.midnight);
    }
    scenario.chargers = read_chargers(root.section("chargers"), config);
    if (scenario.chargers.empty()) {
        root.report("chargers", "at least one is needed");
    }
    scenario.battery = read_battery(root);
    const auto tariff = root.section("tariff");
    scenario.currency = tariff.text_or("currency", "");
    scenario.prices = read_prices(tariff);
    tariff.reject_unknown_keys();
    return scenario;
}

SiteDay day_of(const std::vector<Second>& trace, WallTime midnight) {
    SiteDay day{.start = midnight};
    day.seconds.reserve(trace.size());
    for (const auto& second : trace) {
        day.seconds.push_back({.pv_w = second.pv_w, .load_w = second.load_w});
    }
    return day;
}

SiteDay day_of(const Recording& recording, const std::string& name) {
    SiteDay day{.start = recording.start,
                .seconds = recording.seconds,
                .tariff = recording.tariff,
                .currency = recording.currency,
                .remarks = recording.remarks};
    for (const auto& gap : recording.gaps) {
        day.remarks.push_back(fmt::format("{}: nothing usable for {:.0f} s from {} on: bridged by a straight line",
                                          name, gap.length_s, contract::format_timestamp(gap.from)));
    }
    if (recording.skipped_lines > 0) {
        day.remarks.push_back(fmt::format("{}: {} lines were skipped{}", name, recording.skipped_lines,
                                          recording.skipped_lines > recording.problems.size() ? ", the first:" : ":"));
        day.remarks.insert(day.remarks.end(), recording.problems.begin(), recording.problems.end());
    }
    for (const auto& [id, charger] : recording.chargers) {
        day.remarks.push_back(fmt::format("charger {} really took {:.2f} kWh that day", id, charger.drawn_kwh));
    }
    return day;
}

void set_tariff(SiteDay& day, const Scenario& scenario) {
    if (!scenario.currency.empty()) {
        day.currency = scenario.currency;
    }
    if (scenario.prices.empty()) {
        return;
    }
    day.tariff.clear();
    const WallTime begin = std::chrono::floor<std::chrono::minutes>(day.start);
    const WallTime end = day.start + std::chrono::seconds(day.seconds.size()) + 24h;
    const DailyPrice* last = nullptr;
    for (WallTime minute = begin; minute < end; minute += 1min) {
        const int now = minute_of_day(minute);
        const auto price = std::ranges::find_if(scenario.prices, [&](const auto& p) { return p.window.holds(now); });
        const DailyPrice* const in_force = price == scenario.prices.end() ? nullptr : &*price;
        if (in_force != nullptr && in_force != last) {
            day.tariff.push_back({.start = minute,
                                  .end = minute,
                                  .import_price = in_force->import_price,
                                  .export_price = in_force->export_price,
                                  .co2_g_kwh = in_force->co2_g_kwh});
        }
        if (in_force != nullptr) {
            day.tariff.back().end = minute + 1min;
        }
        last = in_force;
    }
}

SiteSetup setup_for(const Scenario& scenario, const SiteDay& day) {
    SiteSetup setup{.battery = scenario.battery};
    for (const auto& charger : scenario.chargers) {
        setup.chargers.push_back(charger.setup);
        setup.chargers.back().plugged = spans_of(charger.plugged, day);
    }
    return setup;
}

SiteSetup setup_for(const Recording& recording, const ServiceConfig& config, SiteDay& day) {
    if (recording.chargers.empty()) {
        day.remarks.emplace_back("no charger was recorded: those of the configuration, or one, stand in");
        return setup_for(config, day);
    }
    SiteSetup setup;
    for (const auto& [id, recorded] : recording.chargers) {
        ChargerSetup charger = usual_charger(config, id);
        charger.phases = recorded.phases.value_or(charger.phases);
        charger.max_a = std::min(charger.max_a, recorded.max_a.value_or(charger.max_a));
        charger.plugged = recorded.plugged;
        const auto* vehicle = vehicle_on(recording, recorded);
        const auto soc_pct = vehicle != nullptr ? soc_when_plugged(vehicle->second, recorded) : std::nullopt;
        if (soc_pct) {
            charger.car.name = vehicle->first;
            charger.car.battery_kwh = assumed_battery_kwh;
            charger.car.soc_pct = *soc_pct;
            charger.car.limit_pct = vehicle->second.charge_limit_pct.value_or(100);
            day.remarks.push_back(
                fmt::format("charger {}: the car {} begins at {:.0f} % and is taken to hold {:.0f} kWh", id,
                            charger.car.name, *soc_pct, assumed_battery_kwh));
        } else {
            day.remarks.push_back(fmt::format("charger {}: the charge of its car is not known: it is never full", id));
        }
        setup.chargers.push_back(std::move(charger));
    }
    return setup;
}

SiteSetup setup_for(const ServiceConfig& config, const SiteDay& day) {
    SiteSetup setup;
    for (const auto& configured : config.core.chargers) {
        setup.chargers.push_back(usual_charger(config, configured.id));
    }
    if (setup.chargers.empty()) {
        setup.chargers.push_back(usual_charger(config, "car"));
    }
    for (auto& charger : setup.chargers) {
        charger.plugged = {{0, day.seconds.size()}};
    }
    return setup;
}

}  // namespace policy_engine::simulation
