#pragma once

#include <algorithm>
#include <vector>

#include "contract/timestamp.hpp"

/// Lists of slots: things with a `start` and an `end` (exclusive), in order and without overlaps, gaps allowed.
namespace ems_bridge {

using contract::WallTime;

/// No state and no answer of a service has more: four days in quarters of an hour.
inline constexpr std::size_t max_slots = 400;

/// The slot we are in at that time; none in a gap.
template <class Slot>
const Slot* slot_at(const std::vector<Slot>& slots, WallTime time) {
    const auto after = std::ranges::upper_bound(slots, time, {}, &Slot::start);
    if (after == slots.begin()) {
        return nullptr;
    }
    const Slot& slot = *std::prev(after);
    return time < slot.end ? &slot : nullptr;
}

/// Makes an order of what has none: empty slots go, and where two overlap, the one that begins later counts; of two
/// that begin together, the later one of the list.
template <class Slot>
std::vector<Slot> in_order(std::vector<Slot> slots) {
    std::erase_if(slots, [](const Slot& slot) { return slot.end <= slot.start; });
    std::ranges::stable_sort(slots, {}, &Slot::start);
    std::vector<Slot> ordered;
    ordered.reserve(slots.size());
    for (const Slot& slot : slots) {
        if (!ordered.empty() && ordered.back().start == slot.start) {
            ordered.pop_back();
        } else if (!ordered.empty()) {
            ordered.back().end = std::min(ordered.back().end, slot.start);
        }
        ordered.push_back(slot);
    }
    return ordered;
}

/// What is known after news: the news, and what was known before where the news say nothing.
template <class Slot>
std::vector<Slot> overlaid(const std::vector<Slot>& known, const std::vector<Slot>& news) {
    std::vector<Slot> result = news;
    for (Slot rest : known) {
        for (const Slot& fresh : news) {
            if (fresh.end <= rest.start || rest.start >= rest.end) {
                continue;
            }
            if (fresh.start >= rest.end) {
                break;
            }
            if (fresh.start > rest.start) {
                Slot before = rest;
                before.end = fresh.start;
                result.push_back(before);
            }
            rest.start = fresh.end;
        }
        if (rest.start < rest.end) {
            result.push_back(rest);
        }
    }
    std::ranges::sort(result, {}, &Slot::start);
    return result;
}

/// Drops what is over.
template <class Slot>
void forget_before(std::vector<Slot>& slots, WallTime now) {
    std::erase_if(slots, [&](const Slot& slot) { return slot.end <= now; });
}

/// Every instant from `from` (which is one) to before `until` at which one of the lists has a border, in order.
template <class Slot>
std::vector<WallTime> borders_of(const std::vector<const std::vector<Slot>*>& lists, WallTime from, WallTime until) {
    std::vector<WallTime> borders{from};
    const auto add = [&](WallTime border) {
        if (border > from && border < until) {
            borders.push_back(border);
        }
    };
    for (const auto* const list : lists) {
        for (const Slot& slot : *list) {
            add(slot.start);
            add(slot.end);
        }
    }
    std::ranges::sort(borders);
    borders.erase(std::unique(borders.begin(), borders.end()), borders.end());
    return borders;
}

}  // namespace ems_bridge
