#include "twc-bus/allocator.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

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

constexpr const char* by_wiring = "the wiring limit";
constexpr const char* waiting_for_turn = "waiting for its turn: not enough for everyone's minimum";
constexpr const char* waiting_for_others = "waiting until others have come down";

int floor_amps(int ca) { return ca - ca % whole_amp_ca; }

}  // namespace

int Allocator::cap(const Demand& demand) const {
    const int wish = std::min({demand.wish_ca, limits_.charger_max_ca, limits_.wiring_ca});
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

// Chargers whose minimum fits, in the order of their turn; those without a car come last and take no turns.
std::vector<const Demand*> Allocator::served(const std::vector<Demand>& demands, std::vector<const Demand*> contenders,
                                             Instant now) {
    const auto fit = [&] {
        std::ranges::sort(contenders, {}, [&](const Demand* demand) {
            return std::pair(demand->idle, std::ranges::find(order_, demand->id) - order_.begin());
        });
        int budget = limits_.wiring_ca;
        for (const auto& demand : demands) {
            budget -= held_regardless(demand, now);
        }
        std::vector<const Demand*> chosen;
        for (const auto* demand : contenders) {
            const int extra = std::max(0, limits_.charger_min_ca - held_regardless(*demand, now));
            if (extra <= budget) {
                budget -= extra;
                chosen.push_back(demand);
            }
        }
        return chosen;
    };
    auto chosen = fit();
    if (chosen.size() == contenders.size()) {
        turn_began_.reset();
    } else if (!turn_began_) {
        turn_began_ = now;
    } else if (now - *turn_began_ >= turn_length && !chosen.empty()) {
        const auto first = std::ranges::find(order_, chosen.front()->id);
        std::rotate(first, first + 1, order_.end());
        turn_began_ = now;
        chosen = fit();
    }
    return chosen;
}

// What everyone would have once all have settled.
std::map<UnitId, Grant> Allocator::fair_shares(const std::vector<Demand>& demands, Instant now) {
    std::map<UnitId, Grant> shares;
    std::vector<const Demand*> contenders;
    int regardless_ca = 0;
    for (const auto& demand : demands) {
        shares[demand.id] = {};
        regardless_ca += held_regardless(demand, now);
        if (cap(demand) > 0) {
            contenders.push_back(&demand);
            shares[demand.id].reason = waiting_for_turn;
        }
    }
    if (regardless_ca > limits_.wiring_ca) {
        for (const auto* demand : contenders) {
            shares[demand->id].reason = "chargers hold more than the wiring limit whatever they are told";
        }
        return shares;
    }
    const auto chosen = served(demands, contenders, now);
    const auto total_at = [&](int level_ca) {
        int total = regardless_ca;
        for (const auto* demand : chosen) {
            total += std::max(0, std::min(level_ca, cap(*demand)) - held_regardless(*demand, now));
        }
        return total;
    };
    // Highest level at which the sum fits: the biggest give way first.
    int level_ca = limits_.charger_max_ca;
    if (total_at(level_ca) > limits_.wiring_ca) {
        level_ca = std::max(floor_amps(level_ca), limits_.charger_min_ca);
        while (level_ca > limits_.charger_min_ca && total_at(level_ca) > limits_.wiring_ca) {
            level_ca = std::max(level_ca - whole_amp_ca, limits_.charger_min_ca);
        }
    }
    for (const auto* demand : chosen) {
        const int share = std::min(level_ca, cap(*demand));
        shares[demand->id] = {.ca = share, .reason = share < cap(*demand) ? by_wiring : ""};
    }
    return shares;
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

std::map<UnitId, Grant> Allocator::allocate(const std::vector<Demand>& demands, Instant now) {
    remember(demands, now);
    const auto shares = fair_shares(demands, now);
    std::map<UnitId, Grant> grants;
    std::map<UnitId, int> claims;
    for (const auto& demand : demands) {
        claims[demand.id] = demand.may_draw_ca;
    }
    for (const UnitId id : order_) {
        const auto& demand = *std::ranges::find(demands, id, &Demand::id);
        const int others_ca = std::accumulate(claims.begin(), claims.end(), 0, [&](int sum, const auto& claim) {
            return claim.first == id ? sum : sum + claim.second;
        });
        grants[id] = without_overload(demand, shares.at(id), limits_.wiring_ca - others_ca, now);
        claims[id] = std::max(claims[id], grants[id].ca);
    }
    return grants;
}

}  // namespace twc_bus
