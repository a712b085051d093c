#include "policy-engine/modes.hpp"

#include <algorithm>

#include "policy-engine/override.hpp"
#include "policy-engine/schedule.hpp"
#include "policy-engine/tariff.hpp"
#include "policy-engine/vehicle_match.hpp"

namespace policy_engine {

namespace {

double seconds_until(WallTime then, WallTime now) { return std::chrono::duration<double>(then - now).count(); }

Wish wish_of(Mode mode) {
    switch (mode) {
        case Mode::solar:
            return {.kind = Wish::Kind::solar, .reason = Reason::surplus};
        case Mode::min_solar:
            return {.kind = Wish::Kind::floored, .reason = Reason::surplus};
        case Mode::fast:
            return {.kind = Wish::Kind::firm, .reason = Reason::fast};
        case Mode::off:
        case Mode::scheduled:
        case Mode::rules:
            break;
    }
    return {.kind = Wish::Kind::none, .reason = Reason::mode_off};
}

// When a flexible window must open so that the car is ready at its end; none: as soon as the window does. The hours and
// what is added to them are TWCManager's (features notes 2.6).
std::optional<WallTime> late_opening(const OpenWindow& open, const Situation& situation) {
    constexpr double usual_a = 16;
    constexpr double spare_h = 0.25;
    constexpr double balancing_h = 0.5;  // the last percents are slow
    constexpr double nearly_full_pct = 98;
    const auto& guest = situation.guest;
    const bool known = guest.vehicle != nullptr && guest.vehicle->soc_pct && guest.vehicle->charge_limit_pct &&
                       guest.config != nullptr && guest.config->battery_kwh;
    if (!open.window->flexible || !known) {
        return std::nullopt;
    }
    const double limit_pct = *guest.vehicle->charge_limit_pct;
    const double missing_kwh = *guest.config->battery_kwh * std::max(0.0, limit_pct - *guest.vehicle->soc_pct) / 100;
    const double power_kw = open.window->amps.value_or(usual_a) * situation.ampere_w / 1000;
    const double hours = missing_kwh / power_kw + spare_h + (limit_pct >= nearly_full_pct ? balancing_h : 0);
    return open.ends - std::chrono::duration_cast<WallTime::duration>(std::chrono::duration<double>(hours * 3600));
}

// None: outside all windows.
std::optional<Wish> window_wish(const Situation& situation) {
    const WallTime now = situation.all.inputs.wall;
    const auto open = open_window(situation.all.settings.schedule, now);
    if (!open) {
        return std::nullopt;
    }
    const auto opening = late_opening(*open, situation);
    if (opening && now < *opening) {
        return std::nullopt;
    }
    return Wish{.kind = Wish::Kind::firm,
                .amps = open->window->amps,
                .reason = Reason::scheduled,
                .countdown_s = seconds_until(open->ends, now)};
}

Wish scheduled_wish(const Situation& situation) {
    const auto& settings = situation.all.settings;
    const WallTime now = situation.all.inputs.wall;
    if (auto wish = window_wish(situation)) {
        return *wish;
    }
    if (settings.outside_schedule != Mode::off) {
        return wish_of(settings.outside_schedule);
    }
    Wish wish{.kind = Wish::Kind::none, .reason = Reason::outside_schedule};
    if (const auto opening = next_opening(settings.schedule, now)) {
        wish.countdown_s = seconds_until(*opening, now);
    }
    return wish;
}

Wish wish_of(const Override& order, WallTime now) {
    Wish wish{.kind = Wish::Kind::firm, .amps = order.amps, .reason = Reason::override_amps};
    if (!order.amps) {
        wish.reason = Reason::override_max;
    } else if (*order.amps == 0) {
        wish = {.kind = Wish::Kind::none, .reason = Reason::override_off};
    }
    if (order.until) {
        wish.countdown_s = seconds_until(*order.until, now);
    }
    return wish;
}

Wish wish_of_action(const RuleAction& action, const Situation& situation) {
    // Below 5 A no Gen 2 unit keeps a car charging reliably (TWC protocol notes 6.1).
    constexpr double lowest_a = 5;
    const auto& all = situation.all;
    switch (action.kind) {
        case RuleAction::Kind::order:
            if (const Override* order = active_override(all.settings, nullptr, all.inputs.wall)) {
                return wish_of(*order, all.inputs.wall);
            }
            break;
        case RuleAction::Kind::schedule:
            return window_wish(situation).value_or(wish_of(all.settings.outside_schedule));
        case RuleAction::Kind::solar:
            return wish_of(Mode::solar);
        case RuleAction::Kind::min_solar:
            return wish_of(Mode::min_solar);
        case RuleAction::Kind::fast:
            return {.kind = Wish::Kind::firm, .reason = Reason::rule_max};
        case RuleAction::Kind::amps:
            if (const auto amps = number_of(action.amps, all); amps && *amps >= lowest_a) {
                return {.kind = Wish::Kind::firm, .amps = amps, .reason = Reason::rule_amps};
            }
            break;
        case RuleAction::Kind::off:
            break;
    }
    return {.kind = Wish::Kind::none, .reason = Reason::rule_off};
}

Wish rule_wish(const Situation& situation) {
    if (situation.rule == nullptr) {
        return {.kind = Wish::Kind::none, .reason = Reason::no_rule};
    }
    Wish wish = wish_of_action(situation.rule->action, situation);
    wish.rule = situation.rule;
    return wish;
}

// A charge that may not wait for the sun.
std::optional<Wish> urgent_wish(const Situation& situation) {
    const auto& settings = situation.all.settings;
    const auto& guest = situation.guest;
    const auto least_pct = guest.settings != nullptr && guest.settings->min_soc_pct ? guest.settings->min_soc_pct
                           : guest.group != nullptr                                 ? guest.group->min_soc_pct
                                                                                    : std::nullopt;
    if (least_pct && guest.vehicle != nullptr && guest.vehicle->soc_pct.value_or(100) < *least_pct) {
        return Wish{.kind = Wish::Kind::firm, .reason = Reason::minimum_charge};
    }
    if (situation.plan != nullptr && situation.plan->plan.charge_now) {
        const Plan& plan = situation.plan->plan;
        const bool late = plan.state == PlanState::late || plan.state == PlanState::overrun;
        Wish wish{.kind = Wish::Kind::firm, .reason = late ? Reason::plan_late : Reason::plan};
        if (plan.next_change) {
            wish.countdown_s = seconds_until(*plan.next_change, situation.all.inputs.wall);
        }
        return wish;
    }
    if (settings.cheap_price && !situation.all.inputs.tariff.empty()) {
        const auto price = prices_now(situation.all.inputs.tariff, situation.all.inputs.wall).import_price;
        if (price && *price <= *settings.cheap_price) {
            return Wish{.kind = Wish::Kind::firm, .reason = Reason::cheap};
        }
    }
    return std::nullopt;
}

// None: it may.
std::optional<Reason> why_not_here(const Situation& situation) {
    const auto& guest = situation.guest;
    if ((situation.chosen != nullptr && !situation.chosen->enabled) ||
        (guest.settings != nullptr && !guest.settings->enabled)) {
        return Reason::disabled;
    }
    const bool barred = guest.group != nullptr && !guest.group->allowed;
    return barred || (guest.is_stranger && !situation.all.settings.guests) ? std::optional(Reason::not_allowed)
                                                                           : std::nullopt;
}

// In a list sorted by that key.
template <class Item, class Key>
const Item* found(const std::vector<Item>& items, const std::string& wanted, Key key) {
    const auto place = std::ranges::lower_bound(items, wanted, {}, key);
    return place == items.end() || std::invoke(key, *place) != wanted ? nullptr : &*place;
}

}  // namespace

bool uses_rules(const Settings& settings) {
    return settings.mode == Mode::rules ||
           std::ranges::any_of(settings.chargers, [](const auto& charger) { return charger.mode == Mode::rules; });
}

Wish wish_for(const Situation& situation) {
    const auto& settings = situation.all.settings;
    if (const auto reason = why_not_here(situation)) {
        return {.kind = Wish::Kind::none, .reason = *reason};
    }
    if (situation.is_emergency) {
        return rule_wish(situation);
    }
    if (const Override* order = active_override(settings, situation.chosen, situation.all.inputs.wall)) {
        Wish wish = wish_of(*order, situation.all.inputs.wall);
        wish.rule = situation.rule != nullptr && situation.rule->action.kind == RuleAction::Kind::order ? situation.rule
                                                                                                        : nullptr;
        return wish;
    }
    const Mode mode = situation.chosen != nullptr && situation.chosen->mode ? *situation.chosen->mode : settings.mode;
    if (mode != Mode::off) {
        if (auto wish = urgent_wish(situation)) {
            return *wish;
        }
    }
    switch (mode) {
        case Mode::scheduled:
            return scheduled_wish(situation);
        case Mode::rules:
            return rule_wish(situation);
        default:
            return wish_of(mode);
    }
}

Guest guest_on(const Config& config, const Settings& settings, const Inputs& inputs, const Charger& charger,
               const ChargerMemory& memory) {
    Guest guest;
    if (memory.vehicle.empty()) {
        // The bus names the car although tesla-bridge does not know it.
        const auto known = std::ranges::find_if(config.vehicles, [&](const VehicleConfig& vehicle) {
            return charger.vin && same_vin(*charger.vin, vehicle.vin);
        });
        guest.config = known == config.vehicles.end() ? nullptr : &*known;
        guest.is_stranger = guest.config == nullptr && is_vin(charger.vin.value_or(""));
    } else if (memory.vehicle_confidence >= confident) {
        guest.vehicle = vehicle_of(inputs, memory.vehicle);
        guest.config = vehicle_config_of(config, memory.vehicle);
    }
    if (guest.config == nullptr && guest.vehicle == nullptr) {
        return guest;
    }
    guest.settings =
        vehicle_settings_of(settings, guest.config != nullptr ? guest.config->alias : guest.vehicle->alias);
    guest.group = guest.config != nullptr ? found(config.groups, guest.config->group, &VehicleGroup::name) : nullptr;
    return guest;
}

std::optional<int> priority_of(const Guest& guest) {
    if (guest.settings != nullptr && guest.settings->priority) {
        return guest.settings->priority;
    }
    if (guest.config != nullptr && guest.config->priority) {
        return guest.config->priority;
    }
    return guest.group != nullptr ? guest.group->priority : std::nullopt;
}

std::optional<double> max_a_of(const Guest& guest) {
    std::optional<double> lowest;
    const auto lower_to = [&](const std::optional<double>& amps) {
        lowest = amps && (!lowest || *amps < *lowest) ? amps : lowest;
    };
    lower_to(guest.settings != nullptr ? guest.settings->max_a : std::nullopt);
    const bool own = guest.config != nullptr && guest.config->max_a;
    lower_to(own ? guest.config->max_a : guest.group != nullptr ? guest.group->max_a : std::nullopt);
    return lowest;
}

const ChargerSettings* settings_of(const Settings& settings, const std::string& charger) {
    return found(settings.chargers, charger, &ChargerSettings::id);
}

const VehicleSettings* vehicle_settings_of(const Settings& settings, const std::string& alias) {
    return found(settings.vehicles, alias, &VehicleSettings::alias);
}

const ChargerConfig* config_of(const Config& config, const std::string& charger) {
    return found(config.chargers, charger, &ChargerConfig::id);
}

const Vehicle* vehicle_of(const Inputs& inputs, const std::string& alias) {
    return found(inputs.vehicles, alias, &Vehicle::alias);
}

const VehicleConfig* vehicle_config_of(const Config& config, const std::string& alias) {
    return found(config.vehicles, alias, &VehicleConfig::alias);
}

}  // namespace policy_engine
