#include "ems-bridge/forecasts/forecast.hpp"

#include <algorithm>

#include "clocks/civil_time.hpp"

namespace ems_bridge {

namespace {

using contract::ForecastSlot;

}  // namespace

std::vector<ForecastSlot> sum_of(const std::vector<const std::vector<ForecastSlot>*>& lists) {
    std::vector<ForecastSlot> sums;
    const bool all_say_something =
        !lists.empty() && std::ranges::none_of(lists, [](const auto* list) { return list->empty(); });
    if (!all_say_something) {
        return sums;
    }
    WallTime from = WallTime::max();
    WallTime until = WallTime::min();
    for (const auto* const list : lists) {
        from = std::min(from, list->front().start);
        until = std::max(until, list->back().end);
    }
    const auto borders = borders_of(lists, from, until);
    for (std::size_t i = 0; i < borders.size(); ++i) {
        ForecastSlot sum{.start = borders[i], .end = i + 1 < borders.size() ? borders[i + 1] : until};
        const bool is_known = std::ranges::all_of(lists, [&](const auto* list) {
            const auto* const part = slot_at(*list, sum.start);
            sum.pv_w += part != nullptr ? part->pv_w : 0;
            return part != nullptr;
        });
        if (is_known) {
            sums.push_back(sum);
        }
    }
    return sums;
}

std::vector<ForecastSlot> sum_of(const std::vector<std::vector<ForecastSlot>>& lists) {
    std::vector<const std::vector<ForecastSlot>*> pointers;
    pointers.reserve(lists.size());
    for (const auto& list : lists) {
        pointers.push_back(&list);
    }
    return sum_of(pointers);
}

std::optional<double> energy_kwh(const std::vector<ForecastSlot>& slots, WallTime from, WallTime until) {
    constexpr double joules_a_kwh = 3.6e6;
    double joules = 0;
    WallTime known_until = from;
    for (const auto& slot : slots) {
        const WallTime begin = std::max(slot.start, from);
        const WallTime end = std::min(slot.end, until);
        if (end <= begin) {
            continue;
        }
        if (begin > known_until) {
            return std::nullopt;
        }
        joules += slot.pv_w * std::chrono::duration<double>(end - begin).count();
        known_until = end;
    }
    return known_until >= until ? std::optional(joules / joules_a_kwh) : std::nullopt;
}

contract::ForecastState combine_forecasts(const std::vector<ForecastView>& views, WallTime now) {
    contract::ForecastState state;
    std::vector<const std::vector<ForecastSlot>*> lists;
    std::size_t good = 0;
    for (const auto& view : views) {
        const bool covers_now = slot_at(view.slots, now) != nullptr;
        if (!covers_now) {
            state.missing.push_back(view.name);
        }
        good += covers_now && view.is_fresh ? 1U : 0U;
        if (!view.slots.empty()) {
            lists.push_back(&view.slots);
        }
    }
    state.slots = sum_of(lists);
    forget_before(state.slots, now);
    const WallTime tomorrow = clocks::local_midnight(now, 1);
    state.today_kwh = energy_kwh(state.slots, now, tomorrow);
    state.tomorrow_kwh = energy_kwh(state.slots, tomorrow, clocks::local_midnight(now, 2));
    state.slots.resize(std::min(state.slots.size(), max_slots));
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
