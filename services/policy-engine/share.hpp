#pragma once

#include <limits>

#include "policy-engine/modes.hpp"
#include "policy-engine/types.hpp"

namespace policy_engine {

inline constexpr double unlimited = std::numeric_limits<double>::infinity();

/// What is left to hand out.
struct Budget {
    double wiring_a = unlimited;                                    ///< Sum over chargers, amps per phase.
    std::array<double, 3> line_a{unlimited, unlimited, unlimited};  ///< Per house phase.
    bool line_unknown = false;                                      ///< The fuse cannot be checked now.
    double import_w = unlimited;                                    ///< Power, sun and import together.
    Limit import_name = Limit::import_cap;                          ///< Which limit that is.
    double total_w = unlimited;                                     ///< Power of all chargers.
    double firm_w = unlimited;                                      ///< As import_w, for what does not follow the sun.
};

/// One charger on its way through a decision.
struct Claim {
    Wish::Kind kind = Wish::Kind::none;
    bool on = false;   ///< Solar: by its start and stop rule. Others: wanted.
    int priority = 0;  ///< Larger first.
    int turn = 0;      ///< Order inside a priority; smaller first.
    double minimum_a = 6;
    double low_a = 0;  ///< The car itself can be told to take less than the minimum, down to this; 0: it cannot.
    double cap_a = 0;  ///< Of its own limits, and of what was ordered.
    Limit cap_name = Limit::none;
    double ampere_w = 230;  ///< Watts per ampere: phases × volts.
    int phases = 1;
    int first_line = 0;       ///< House phase of its L1: 0..2; -1 unknown, then it counts on every phase.
    double line_drawn_a = 0;  ///< Where that is unknown: what the currents of the lines hold of its draw already.
    double gap_a = 0;         ///< The car draws less than it is offered by this.
    double most_used_a = unlimited;  ///< A car that leaves much of its offer unused claims no more than this.

    double target_a = 0;  ///< Result.
    Limit binding = Limit::none;
};

/// True if the charger loads this house phase.
bool uses_line(const Claim& claim, int line);

/// Watts out of the surplus that this charger takes at this target.
double used_w(const Claim& claim, double amps);

/// What may be missing from `budget` for one charger to get `amps`; none: nothing.
Limit shortage(const Budget& budget, const Claim& claim, double amps);
void take(Budget& budget, const Claim& claim, double amps);

/// Order in which claims are served.
std::vector<std::size_t> serving_order(const std::vector<Claim>& claims);

/// Hands out whole amperes: first everyone's minimum (firm before sun, higher priority before lower, then by turn),
/// then what is left, one ampere at a time to whoever of the highest priority has least. `surplus_w` feeds only what
/// firm chargers leave of it; the last ampere may be taken when more than `round_up_from` of it is covered.
/// Whoever's minimum does not fit gets 0. No budget is ever overdrawn.
void share_out(std::vector<Claim>& claims, Budget budget, double surplus_w, double round_up_from);

}  // namespace policy_engine
