#include "policy-engine/share.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <queue>

namespace policy_engine {

namespace {

constexpr double tolerance = 1e-9;

// What more of a line it takes to rise by this; less than nothing while it is below what it draws on an unknown one.
double line_a(const Claim& claim, double amps) {
    return claim.line_drawn_a > 0 ? claim.target_a + amps - claim.line_drawn_a : amps;
}

bool is_fed_by_sun(const Claim& claim) { return claim.kind == Wish::Kind::solar || claim.kind == Wish::Kind::floored; }

bool raise(Claim& claim, Budget& budget, double step) {
    if (claim.target_a + step > claim.cap_a + tolerance) {
        claim.binding = claim.cap_name;
        return false;
    }
    if (const Limit missing = shortage(budget, claim, step); missing != Limit::none) {
        claim.binding = missing;
        return false;
    }
    take(budget, claim, step);
    claim.target_a += step;
    return true;
}

// Whole amperes only: cars settle badly on fractions (twc-protocol 6.2).
double floor_a(double amps) { return std::floor(amps + tolerance); }

void give_minimum(Claim& claim, Budget& budget) {
    claim.target_a = 0;
    claim.binding = Limit::none;
    if (claim.kind == Wish::Kind::none || !claim.on) {
        return;
    }
    raise(claim, budget, claim.minimum_a);
}

// One ampere to whoever has least, until nobody can take more; among equals in the order of `members`. `may_raise`
// decides and pays.
template <class MayRaise>
void level_up(std::vector<Claim>& claims, const std::vector<std::size_t>& members, const MayRaise& may_raise) {
    using Level = std::pair<double, std::size_t>;  // amps, place in `members`
    std::vector<Level> levels;
    levels.reserve(members.size());
    for (std::size_t place = 0; place < members.size(); ++place) {
        levels.emplace_back(claims[members[place]].target_a, place);
    }
    std::priority_queue least(std::greater<>{}, std::move(levels));
    while (!least.empty()) {
        const std::size_t place = least.top().second;
        least.pop();
        Claim& claim = claims[members[place]];
        if (may_raise(claim)) {
            least.emplace(claim.target_a, place);
        }
    }
}

template <class Wanted, class MayRaise>
void level_up_by_priority(std::vector<Claim>& claims, const std::vector<std::size_t>& order, const Wanted& wanted,
                          const MayRaise& may_raise) {
    std::vector<std::size_t> members;
    for (std::size_t i = 0; i < order.size(); ++i) {
        if (claims[order[i]].target_a > 0 && wanted(claims[order[i]])) {
            members.push_back(order[i]);
        }
        const bool class_ends = i + 1 == order.size() || claims[order[i + 1]].priority != claims[order[i]].priority;
        if (class_ends) {
            level_up(claims, members, may_raise);
            members.clear();
        }
    }
}

// A single charger needs no turns: the same result without the loop, for the common case and for long simulations.
void give_rest_to_one(Claim& claim, Budget& budget, double surplus_w, double round_up_from) {
    if (claim.target_a <= 0) {
        return;
    }
    double extra = floor_a(claim.cap_a - claim.target_a);
    claim.binding = claim.cap_name;
    if (is_fed_by_sun(claim)) {
        const double left_w = surplus_w - used_w(claim, claim.target_a);
        const double by_sun = std::max(0.0, std::floor(left_w / claim.ampere_w + 1 - round_up_from + tolerance));
        if (by_sun < extra) {
            extra = by_sun;
            claim.binding = Limit::none;
        }
    }
    if (extra > 0 && shortage(budget, claim, extra) == Limit::none) {
        take(budget, claim, extra);
        claim.target_a += extra;
        return;
    }
    const Limit wanted = claim.binding;
    bool raised = true;
    for (; extra > 0 && raised; extra -= 1) {
        raised = raise(claim, budget, 1);
    }
    if (raised) {
        claim.binding = wanted;
    }
}

}  // namespace

double used_w(const Claim& claim, double amps) {
    return std::max(0.0, std::min(amps - claim.gap_a, claim.most_used_a)) * claim.ampere_w;
}

bool uses_line(const Claim& claim, int line) {
    if (claim.phases >= 3 || claim.first_line < 0) {
        return true;
    }
    return line == claim.first_line || (claim.phases == 2 && line == (claim.first_line + 1) % 3);
}

Limit shortage(const Budget& budget, const Claim& claim, double amps) {
    if (amps > budget.wiring_a + tolerance) {
        return Limit::wiring;
    }
    constexpr std::array<Limit, 3> names{Limit::house_l1, Limit::house_l2, Limit::house_l3};
    for (int line = 0; line < 3; ++line) {
        const auto index = static_cast<std::size_t>(line);
        if (uses_line(claim, line) && line_a(claim, amps) > budget.line_a[index] + tolerance) {
            return names[index];
        }
    }
    if (budget.line_unknown && claim.target_a + amps > claim.minimum_a + tolerance) {
        return Limit::house_unknown;
    }
    const double watts = amps * claim.ampere_w;
    if (watts > budget.import_w + tolerance) {
        return budget.import_name;
    }
    if (watts > budget.total_w + tolerance) {
        return Limit::dimming;
    }
    return claim.kind == Wish::Kind::firm && watts > budget.firm_w + tolerance ? Limit::grid_maximum : Limit::none;
}

void take(Budget& budget, const Claim& claim, double amps) {
    budget.wiring_a -= amps;
    for (int line = 0; line < 3; ++line) {
        if (uses_line(claim, line)) {
            const double before_a = std::max(0.0, line_a(claim, 0));
            const double more_a = claim.line_drawn_a > 0 ? std::max(0.0, line_a(claim, amps)) - before_a : amps;
            budget.line_a[static_cast<std::size_t>(line)] -= more_a;
        }
    }
    budget.import_w -= amps * claim.ampere_w;
    budget.total_w -= amps * claim.ampere_w;
    budget.firm_w -= amps * claim.ampere_w;
}

std::vector<std::size_t> serving_order(const std::vector<Claim>& claims) {
    std::vector<std::size_t> order(claims.size());
    std::iota(order.begin(), order.end(), 0);
    std::ranges::sort(order, [&](std::size_t a, std::size_t b) {
        return std::tuple(-claims[a].priority, claims[a].turn, a) < std::tuple(-claims[b].priority, claims[b].turn, b);
    });
    return order;
}

void share_out(std::vector<Claim>& claims, Budget budget, double surplus_w, double round_up_from) {
    if (claims.size() == 1) {
        give_minimum(claims.front(), budget);
        give_rest_to_one(claims.front(), budget, surplus_w, round_up_from);
        return;
    }
    const auto order = serving_order(claims);
    for (const Wish::Kind kind : {Wish::Kind::firm, Wish::Kind::floored, Wish::Kind::solar}) {
        for (const std::size_t index : order) {
            if (claims[index].kind == kind) {
                give_minimum(claims[index], budget);
            } else if (claims[index].kind == Wish::Kind::none) {
                claims[index].target_a = 0;
            }
        }
    }
    level_up_by_priority(
        claims, order, [](const Claim& claim) { return claim.kind == Wish::Kind::firm; },
        [&](Claim& claim) { return raise(claim, budget, 1); });

    double left_w = surplus_w;
    for (const auto& claim : claims) {
        left_w -= used_w(claim, claim.target_a);
    }
    level_up_by_priority(claims, order, is_fed_by_sun, [&](Claim& claim) {
        const double step_w = used_w(claim, claim.target_a + 1) - used_w(claim, claim.target_a);
        if (left_w < round_up_from * claim.ampere_w - tolerance || !raise(claim, budget, 1)) {
            return false;
        }
        left_w -= step_w;
        return true;
    });
}

}  // namespace policy_engine
