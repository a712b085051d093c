#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "scheduling/scheduler.hpp"
#include "twc-bus/protocol.hpp"

namespace twc_bus {

/// Hard limits, in hundredths of an amp per phase.
struct Limits {
    int wiring_ca = 0;       ///< For the sum of all chargers.
    int charger_max_ca = 0;  ///< For each charger.
    int charger_min_ca = 600;
    int failsafe_ca = 600;  ///< For each charger while no lease is in force.
};

/// One charger on the bus as the allocator sees it.
struct Demand {
    UnitId id = 0;
    int wish_ca = 0;
    int granted_ca = 0;   ///< The grant so far.
    int offered_ca = 0;   ///< The largest limit that may be in force in it (Claim).
    int may_draw_ca = 0;  ///< Never too low (Claim).
    int certain_ca = 0;   ///< Confirmed (Claim).
    int floor_ca = 0;     ///< What it may draw when granted nothing (Claim).
    bool heard = false;   ///< It has answered; until then it is granted nothing and counts with may_draw_ca.
    bool idle = false;    ///< No car, or it sleeps.
    bool frozen = false;  ///< Nothing may be raised now (another master, still listening who is there).
};

struct Grant {
    int ca = 0;
    std::string reason;  ///< Which limit binds; empty: the wish is granted in full.
};

/// Shares the wiring limit out.
///
/// At every instant the sum of what every charger may draw stays within the wiring limit as far as this side decides
/// it: a raise is granted only out of what all others' `may_draw_ca` leave, lowering is granted at once. When
/// something else breaks the sum (start-up, a car plugged into a unit that does not know 0, a unit that does not obey
/// for 5 s), the others are lowered at once, the biggest first. Nobody gets less than the minimum, except 0. When
/// there is not enough for everyone's minimum, chargers are served in order and take turns.
class Allocator {
public:
    explicit Allocator(Limits limits) : limits_(limits) {}

    /// By id; one for every demand.
    std::map<UnitId, Grant> allocate(const std::vector<Demand>& demands, scheduling::Instant now);

private:
    struct Memory {
        std::optional<scheduling::Instant> disobeys_since;
        std::optional<scheduling::Instant> raised_at;
    };

    std::map<UnitId, Grant> fair_shares(const std::vector<Demand>& demands, scheduling::Instant now);
    std::vector<const Demand*> served(const std::vector<Demand>& demands, std::vector<const Demand*> contenders,
                                      scheduling::Instant now);
    void remember(const std::vector<Demand>& demands, scheduling::Instant now);
    int held_regardless(const Demand& demand, scheduling::Instant now) const;
    int cap(const Demand& demand) const;
    Grant without_overload(const Demand& demand, const Grant& share, int available_ca, scheduling::Instant now);

    Limits limits_;
    std::map<UnitId, Memory> memory_;
    std::vector<UnitId> order_;
    std::optional<scheduling::Instant> turn_began_;
};

}  // namespace twc_bus
