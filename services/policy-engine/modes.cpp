#include "policy-engine/modes.hpp"

#include <algorithm>

#include "policy-engine/override.hpp"
#include "policy-engine/schedule.hpp"

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
            break;
    }
    return {.kind = Wish::Kind::none, .reason = Reason::mode_off};
}

Wish scheduled_wish(const Settings& settings, WallTime now) {
    if (const auto open = open_window(settings.schedule, now)) {
        return {.kind = Wish::Kind::firm,
                .amps = open->window->amps,
                .reason = Reason::scheduled,
                .countdown_s = seconds_until(open->ends, now)};
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

template <class Item, class Key>
const Item* found(const std::vector<Item>& items, const std::string& wanted, Key key) {
    const auto place = std::ranges::find(items, wanted, key);
    return place == items.end() ? nullptr : &*place;
}

}  // namespace

Wish wish_for(const Settings& settings, const ChargerSettings* charger, WallTime now) {
    if (charger != nullptr && !charger->enabled) {
        return {.kind = Wish::Kind::none, .reason = Reason::disabled};
    }
    if (const Override* order = active_override(settings, charger, now)) {
        return wish_of(*order, now);
    }
    const Mode mode = charger != nullptr && charger->mode ? *charger->mode : settings.mode;
    return mode == Mode::scheduled ? scheduled_wish(settings, now) : wish_of(mode);
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

const VehicleConfig* vehicle_config_of(const Config& config, const std::string& alias) {
    return found(config.vehicles, alias, &VehicleConfig::alias);
}

}  // namespace policy_engine
