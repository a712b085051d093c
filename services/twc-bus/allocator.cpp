#include "twc-bus/allocator.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include <fmt/format.h>

#include "twc-bus/claim.hpp"

namespace twc_bus {

namespace {

using namespace std::chrono_literals;
using scheduling::Instant;

constexpr int whole_amp_ca = 100;
// IEC 61851 gives a car 5 s to follow a lowered limit.
constexpr auto obey_within = 5s;
constexpr auto turn_length = 15min;
// A raise that is not yet the whole share: rarely, because cars dislike a limit that creeps.
constexpr auto partial_raise_every = 5s;

constexpr const char* waiting_for_turn = "waiting for its turn: not enough for everyone's minimum";
constexpr const char* waiting_for_others = "waiting until others have come down";

int floor_amps(int ca) { return ca - ca % whole_amp_ca; }

bool concerns(const SharedLimit& limit, const Demand& demand) {
    const bool is_member = !limit.members || limit.members->contains(demand.id);
    return is_member && (!limit.line || demand.lines.at(static_cast<std::size_t>(*limit.line)));
}

// Where every charger loads every conductor, one sum says it all.
std::vector<SharedLimit> by_conductor(const SharedLimit& limit, bool lines_differ) {
    if (!lines_differ || limit.line) {
        return {limit};
    }
    std::vector<SharedLimit> limits;
    limits.reserve(every_line.size());
    for (int line = 0; line < 3; ++line) {
        limits.push_back({fmt::format("{} on L{}", limit.name, line + 1), limit.ca, line, limit.members});
    }
    return limits;
}

}  // namespace

int Limits::max_ca(UnitId id) const {
    const auto own = own_max_ca.find(id);
    return own == own_max_ca.end() ? charger_max_ca : std::min(own->second, charger_max_ca);
}

Lines Limits::lines_of(UnitId id) const {
    const auto known = lines.find(id);
    return known == lines.end() ? every_line : known->second;
}

Allocator::Allocator(Limits limits) : limits_(std::move(limits)) {
    const bool lines_differ =
        std::ranges::any_of(limits_.lines, [](const auto& known) { return known.second != every_line; });
    configured_ =
        by_conductor({.name = "the wiring limit", .ca = limits_.wiring_ca, .line = {}, .members = {}}, lines_differ);
    for (const auto& circuit : limits_.circuits) {
        std::ranges::move(by_conductor(circuit, lines_differ), std::back_inserter(configured_));
    }
}

int Allocator::cap(const Demand& demand) const {
    const int wish = std::min(demand.wish_ca, limits_.max_ca(demand.id));
    return demand.heard && wish >= limits_.charger_min_ca ? wish : 0;
}

// Obeying chargers hold what they are granted; others hold what they hold.
int Allocator::held_regardless(const Demand& demand, Instant now) const {
    const auto& since = memory_.at(demand.id).disobeys_since;
    const bool disobeys = since && now - *since >= obey_within;
    return disobeys ? std::max(demand.certain_ca, demand.floor_ca) : demand.floor_ca;
}

void Allocator::remember(const std::vector<Demand>& demands, Instant now) {
    std::erase_if(order_, [&](UnitId id) { return std::ranges::find(demands, id, &Demand::id) == demands.end(); });
    std::erase_if(memory_, [&](const auto& item) {
        return std::ranges::find(demands, item.first, &Demand::id) == demands.end();
    });
    for (const auto& demand : demands) {
        if (std::ranges::find(order_, demand.id) == order_.end()) {
            order_.push_back(demand.id);
        }
        auto& memory = memory_[demand.id];
        const int obedient_ca = std::max(demand.granted_ca, demand.floor_ca);
        if (!demand.heard || demand.certain_ca <= obedient_ca + meter_error_ca) {
            memory.disobeys_since.reset();
        } else if (!memory.disobeys_since) {
            memory.disobeys_since = now;
        }
    }
}

// What every shared limit leaves beside what is held whatever is granted; negative: nothing helps.
std::vector<int> Allocator::room_beside_held(const std::vector<Demand>& demands, Instant now) const {
    std::vector<int> rooms;
    for (const auto& limit : shared_) {
        int room = limit.ca;
        for (const auto& demand : demands) {
            room -= concerns(limit, demand) ? held_regardless(demand, now) : 0;
        }
        rooms.push_back(room);
    }
    return rooms;
}

// Chargers whose minimum fits, in the order of their turn; those without a car come last and take no turns.
Allocator::Contenders Allocator::fitting(const std::vector<Demand>& demands, Contenders contenders, Instant now) const {
    std::ranges::sort(contenders, {}, [&](const Demand* demand) {
        return std::pair(demand->idle, std::ranges::find(order_, demand->id) - order_.begin());
    });
    auto rooms = room_beside_held(demands, now);
    Contenders chosen;
    for (const auto* demand : contenders) {
        const int extra = std::max(0, limits_.charger_min_ca - held_regardless(*demand, now));
        const auto left = [&](std::size_t i) { return concerns(shared_[i], *demand) ? rooms[i] - extra : 0; };
        bool fits = true;
        for (std::size_t i = 0; i < shared_.size(); ++i) {
            fits = fits && left(i) >= 0;
        }
        if (!fits) {
            continue;
        }
        for (std::size_t i = 0; i < shared_.size(); ++i) {
            rooms[i] -= concerns(shared_[i], *demand) ? extra : 0;
        }
        chosen.push_back(demand);
    }
    return chosen;
}

Allocator::Contenders Allocator::served(const std::vector<Demand>& demands, Contenders contenders, Instant now) {
    auto chosen = fitting(demands, contenders, now);
    if (chosen.size() == contenders.size()) {
        turn_began_.reset();
    } else if (!turn_began_) {
        turn_began_ = now;
    } else if (now - *turn_began_ >= turn_length && !chosen.empty()) {
        const auto first = std::ranges::find(order_, chosen.front()->id);
        std::rotate(first, first + 1, order_.end());
        turn_began_ = now;
        chosen = fitting(demands, std::move(contenders), now);
    }
    return chosen;
}

// Where what is held regardless is too much already, nobody who shares that limit gets anything.
void Allocator::refuse_overfull(const std::vector<Demand>& demands, Contenders& contenders,
                                std::map<UnitId, Grant>& shares, Instant now) const {
    const auto rooms = room_beside_held(demands, now);
    for (std::size_t i = 0; i < shared_.size(); ++i) {
        std::erase_if(contenders, [&](const Demand* demand) {
            const bool refused = rooms[i] < 0 && concerns(shared_[i], *demand);
            if (refused) {
                shares[demand->id].reason =
                    fmt::format("chargers hold more than {} whatever they are told", shared_[i].name);
            }
            return refused;
        });
    }
}

// What the limit would carry were everyone in `rising` at this level.
int Allocator::total_at(const SharedLimit& limit, int level_ca, const std::vector<Demand>& demands,
                        const Contenders& rising, const std::map<UnitId, Grant>& shares, Instant now) const {
    int total = 0;
    for (const auto& demand : demands) {
        if (concerns(limit, demand)) {
            const bool rises = std::ranges::find(rising, &demand) != rising.end();
            const int share = rises ? std::min(level_ca, cap(demand)) : shares.at(demand.id).ca;
            total += std::max(share, held_regardless(demand, now));
        }
    }
    return total;
}

// Everyone's share rises by whole amps together; who meets a limit stays there. So the biggest give way first.
void Allocator::fill(const std::vector<Demand>& demands, Contenders rising, std::map<UnitId, Grant>& shares,
                     Instant now) const {
    const auto give = [&](int level_ca) {
        for (const auto* demand : rising) {
            shares[demand->id].ca = std::min(level_ca, cap(*demand));
        }
    };
    for (const auto* demand : rising) {
        shares[demand->id].reason.clear();
    }
    give(limits_.charger_min_ca);
    for (int level_ca = limits_.charger_min_ca; !rising.empty() && level_ca < limits_.charger_max_ca;) {
        level_ca = std::min(floor_amps(level_ca) + whole_amp_ca, limits_.charger_max_ca);
        for (const auto& limit : shared_) {
            if (total_at(limit, level_ca, demands, rising, shares, now) <= limit.ca) {
                continue;
            }
            std::erase_if(rising, [&](const Demand* demand) {
                const bool stays = concerns(limit, *demand) && shares.at(demand->id).ca < cap(*demand);
                if (stays) {
                    shares[demand->id].reason = limit.name;
                }
                return stays;
            });
        }
        give(level_ca);
    }
}

// What everyone would have once all have settled.
std::map<UnitId, Grant> Allocator::fair_shares(const std::vector<Demand>& demands, Instant now) {
    std::map<UnitId, Grant> shares;
    Contenders contenders;
    for (const auto& demand : demands) {
        shares[demand.id] = {};
        if (cap(demand) > 0) {
            contenders.push_back(&demand);
            shares[demand.id].reason = waiting_for_turn;
        }
    }
    refuse_overfull(demands, contenders, shares, now);
    fill(demands, served(demands, std::move(contenders), now), shares, now);
    return shares;
}

int Allocator::room_beside(const Demand& demand, const std::vector<Demand>& demands,
                           const std::map<UnitId, int>& claims) const {
    int room = limits_.charger_max_ca;
    for (const auto& limit : shared_) {
        if (!concerns(limit, demand)) {
            continue;
        }
        int others_ca = 0;
        for (const auto& other : demands) {
            others_ca += other.id != demand.id && concerns(limit, other) ? claims.at(other.id) : 0;
        }
        room = std::min(room, limit.ca - others_ca);
    }
    return room;
}

Grant Allocator::without_overload(const Demand& demand, const Grant& share, int available_ca, Instant now) {
    auto& memory = memory_.at(demand.id);
    // What it may have already can be granted to it again: that changes nothing for the others.
    const int harmless_ca = std::min(demand.offered_ca, share.ca);
    if (share.ca <= harmless_ca || (share.ca <= available_ca && !demand.frozen)) {
        if (share.ca > demand.granted_ca) {
            memory.raised_at = now;
        }
        return share;
    }
    const int possible_ca = demand.frozen ? 0 : std::min(floor_amps(available_ca), share.ca);
    const bool too_soon = memory.raised_at && now - *memory.raised_at < partial_raise_every;
    Grant grant{.ca = std::max(harmless_ca, possible_ca),
                .reason = demand.frozen ? "nothing is raised now" : waiting_for_others};
    if (grant.ca > demand.granted_ca && too_soon) {
        grant.ca = std::max(harmless_ca, std::min(demand.granted_ca, grant.ca));
    }
    if (grant.ca < limits_.charger_min_ca) {
        grant.ca = 0;
    }
    if (grant.ca > demand.granted_ca) {
        memory.raised_at = now;
    }
    return grant;
}

// Only out of what everybody else leaves even so.
void Allocator::add_brief_raises(const std::vector<Demand>& demands, std::map<UnitId, Grant>& grants,
                                 std::map<UnitId, int>& claims) const {
    for (const auto& demand : demands) {
        auto& grant = grants.at(demand.id);
        const bool is_free = demand.briefly_ca && !demand.frozen && grant.ca > 0 && *demand.briefly_ca > grant.ca &&
                             *demand.briefly_ca <= limits_.max_ca(demand.id) &&
                             *demand.briefly_ca <= room_beside(demand, demands, claims);
        if (is_free) {
            grant = {.ca = *demand.briefly_ca, .reason = "a high limit for seconds, to wake the car"};
            claims[demand.id] = std::max(claims[demand.id], grant.ca);
        }
    }
}

std::map<UnitId, Grant> Allocator::allocate(const std::vector<Demand>& demands, Instant now,
                                            const std::vector<SharedLimit>& passing) {
    shared_ = configured_;
    shared_.insert(shared_.end(), passing.begin(), passing.end());
    remember(demands, now);
    const auto shares = fair_shares(demands, now);
    std::map<UnitId, Grant> grants;
    std::map<UnitId, int> claims;
    for (const auto& demand : demands) {
        claims[demand.id] = demand.may_draw_ca;
    }
    for (const UnitId id : order_) {
        const auto& demand = *std::ranges::find(demands, id, &Demand::id);
        grants[id] = without_overload(demand, shares.at(id), room_beside(demand, demands, claims), now);
        claims[id] = std::max(claims[id], grants[id].ca);
    }
    add_brief_raises(demands, grants, claims);
    for (const auto& demand : demands) {
        auto& grant = grants.at(demand.id);
        grant.no_room_at_zero = grant.ca == 0 && demand.floor_ca > room_beside(demand, demands, claims);
    }
    return grants;
}

}  // namespace twc_bus
