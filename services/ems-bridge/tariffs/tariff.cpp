#include "ems-bridge/tariffs/tariff.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "clocks/civil_time.hpp"

namespace ems_bridge {

namespace {

using namespace std::chrono_literals;
using contract::TariffSlot;
using std::chrono::milliseconds;

bool is_open(const FixedWindow& window, const clocks::CivilTime& clock) {
    constexpr int days_a_week = 7;
    const auto begins_on = [&](int weekday) { return (window.days >> static_cast<unsigned>(weekday) & 1U) != 0; };
    const bool is_late = clock.minute >= window.from_min;
    const bool is_early = clock.minute < window.to_min;
    if (window.from_min < window.to_min) {
        return is_late && is_early && begins_on(clock.weekday);
    }
    const int yesterday = (clock.weekday + days_a_week - 1) % days_a_week;
    return (is_late && begins_on(clock.weekday)) || (is_early && begins_on(yesterday));
}

void take(std::optional<double>& known, const std::optional<double>& said) {
    if (!known) {
        known = said;
    }
}

// What the slot does not know yet, from anything with the same three prices.
template <class Priced>
void complete(TariffSlot& slot, const Priced& said) {
    take(slot.import_price, said.import_price);
    take(slot.export_price, said.export_price);
    take(slot.co2_g_kwh, said.co2_g_kwh);
}

// Start and end are the caller's.
TariffSlot prices_at(const FixedTariff& tariff, const clocks::CivilTime& clock) {
    TariffSlot slot;
    for (const auto& window : tariff.windows) {
        if (is_open(window, clock)) {
            complete(slot, window);
        }
    }
    complete(slot, tariff);
    return slot;
}

bool same_prices(const TariffSlot& a, const TariffSlot& b) {
    return a.import_price == b.import_price && a.export_price == b.export_price && a.co2_g_kwh == b.co2_g_kwh;
}

bool says_something(const TariffSlot& slot) { return slot.import_price || slot.export_price || slot.co2_g_kwh; }

// A tariff without an end stands for as long as the others may; in whole days, so that it changes once a day.
WallTime first_shown(WallTime now) { return std::chrono::floor<std::chrono::days>(now) - 24h; }
WallTime last_shown(WallTime now) { return std::chrono::floor<std::chrono::days>(now) + 96h; }

std::vector<TariffSlot> merged(const std::vector<const std::vector<TariffSlot>*>& lists, WallTime from,
                               WallTime until) {
    std::vector<TariffSlot> slots;
    const auto borders = borders_of(lists, from, until);
    for (std::size_t i = 0; i < borders.size(); ++i) {
        TariffSlot slot{.start = borders[i], .end = i + 1 < borders.size() ? borders[i + 1] : until};
        for (const auto* const list : lists) {
            if (const auto* const said = slot_at(*list, slot.start)) {
                complete(slot, *said);
            }
        }
        if (says_something(slot)) {
            slots.push_back(slot);
        }
    }
    return slots;
}

}  // namespace

Tariff tariff_of(const Prices& prices, const PriceFormula& formula) {
    if (prices.slots.empty()) {
        throw SourceError(ErrorKind::device, "an answer without prices");
    }
    Tariff tariff{.currency = prices.currency};
    tariff.slots.reserve(prices.slots.size());
    for (const auto& [start, end, price] : prices.slots) {
        const double paid = (price + formula.surcharge) * formula.factor;
        if (!(std::abs(paid) <= contract::any_price.max)) {
            throw SourceError(ErrorKind::malformed,
                              fmt::format("a price of {} per kWh from {}: expected at most {}", paid,
                                          contract::format_timestamp(start), contract::any_price.max));
        }
        const bool is_import = formula.direction == Direction::bought;
        tariff.slots.push_back({.start = start,
                                .end = end,
                                .import_price = is_import ? std::optional(paid) : std::nullopt,
                                .export_price = is_import ? formula.export_price : std::optional(paid)});
    }
    return tariff;
}

Tariff joined(const std::vector<Tariff>& tariffs) {
    Tariff result;
    std::vector<const std::vector<TariffSlot>*> lists;
    for (const auto& tariff : tariffs) {
        result.currency = result.currency ? result.currency : tariff.currency;
        lists.push_back(&tariff.slots);
    }
    result.slots = merged(lists, WallTime::min(), WallTime::max());
    return result;
}

std::vector<TariffSlot> slots_of(const FixedTariff& tariff, WallTime now) {
    constexpr int days_ahead = 3;
    const WallTime end = clocks::local_midnight(now, days_ahead);
    std::vector<TariffSlot> slots;
    // A minute at a time: whatever the clocks do, a slot is what they show.
    for (WallTime minute = clocks::local_midnight(now); minute < end; minute += 1min) {
        TariffSlot slot = prices_at(tariff, clocks::civil_time(minute));
        slot.start = minute;
        slot.end = minute + 1min;
        const bool goes_on = !slots.empty() && slots.back().end == minute && same_prices(slots.back(), slot);
        if (goes_on) {
            slots.back().end = slot.end;
        } else if (says_something(slot)) {
            slots.push_back(slot);
        }
    }
    return slots;
}

milliseconds pause_until_news(const WebTariff& tariff, WallTime known_until, WallTime now) {
    constexpr milliseconds soon = 15min;
    // Markets count their days in Central European Time, which may end an hour or two before ours.
    constexpr auto other_zones = 2h;
    if (known_until >= clocks::local_midnight(now, 2) - other_zones) {
        return tariff.interval;
    }
    const WallTime announced = clocks::local_moment(now, 0, tariff.announced_min);
    if (now >= announced) {
        return std::min(tariff.interval, soon);
    }
    return std::min(tariff.interval, std::chrono::duration_cast<milliseconds>(announced - now) + 1min);
}

contract::TariffState combine_tariffs(const std::vector<TariffView>& views, WallTime now) {
    contract::TariffState state;
    std::vector<const std::vector<TariffSlot>*> lists;
    std::size_t good = 0;
    for (const auto& view : views) {
        const bool is_foreign = state.currency && view.currency && view.currency != state.currency;
        const bool covers_now = !is_foreign && slot_at(view.slots, now) != nullptr;
        if (!covers_now) {
            state.missing.push_back(view.name);
        }
        good += covers_now && view.is_fresh ? 1U : 0U;
        if (!is_foreign) {
            state.currency = state.currency ? state.currency : view.currency;
            lists.push_back(&view.slots);
        }
    }
    state.slots = merged(lists, first_shown(now), last_shown(now));
    forget_before(state.slots, now);
    state.slots.resize(std::min(state.slots.size(), max_slots));
    if (const auto* const slot = slot_at(state.slots, now)) {
        state.import_price = slot->import_price;
        state.export_price = slot->export_price;
        state.co2_g_kwh = slot->co2_g_kwh;
    }
    if (state.slots.empty()) {
        state.quality = "error";
    } else if (good == 0) {
        state.quality = "stale";
    } else {
        state.quality = good == views.size() ? "ok" : "partial";
    }
    return state;
}

}  // namespace ems_bridge
