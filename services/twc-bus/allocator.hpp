#pragma once

#include <array>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "scheduling/scheduler.hpp"
#include "twc-bus/protocol.hpp"

namespace twc_bus {

/// Which conductors of the supply a charger loads: L1 to L3.
using Lines = std::array<bool, 3>;
inline constexpr Lines every_line{true, true, true};

/// A limit that several chargers share.
struct SharedLimit {
    std::string name;  ///< As people read it: "the wiring limit".
    int ca = 0;
    std::optional<int> line;                  ///< On this conductor only: 0 to 2.
    std::optional<std::set<UnitId>> members;  ///< None: every charger.
};

/// Hard limits, in hundredths of an amp per phase.
struct Limits {
    int wiring_ca = 0;       ///< For the sum of all chargers, on each conductor.
    int charger_max_ca = 0;  ///< For each charger.
    int charger_min_ca = 600;
    int failsafe_ca = 600;                ///< For each charger while no lease is in force.
    bool reserve_for_idle = false;        ///< Keeps what an idle unit may give a car that comes (Claim).
    std::vector<SharedLimit> circuits{};  ///< Groups of chargers behind a smaller breaker.
    std::map<UnitId, int> own_max_ca{};   ///< Lower than `charger_max_ca`.
    std::map<UnitId, Lines> lines{};      ///< Where it is known which conductors a charger loads.

    /// The most this charger is ever told.
    int max_ca(UnitId id) const;
    /// All conductors where it is not known.
    Lines lines_of(UnitId id) const;
};

/// One charger on the bus as the allocator sees it.
struct Demand {
    UnitId id = 0;
    int wish_ca = 0;
    std::optional<int> briefly_ca{};  ///< Wished instead for seconds, in full or not at all (Spike).
    int granted_ca = 0;               ///< The grant so far.
    int offered_ca = 0;               ///< The largest limit that may be in force in it and be made use of.
    int may_draw_ca = 0;              ///< Never too low (Claim).
    int certain_ca = 0;               ///< Confirmed (Claim).
    int floor_ca = 0;                 ///< What it may draw when granted nothing (Claim).
    bool heard = false;   ///< It has answered; until then it is granted nothing and counts with may_draw_ca.
    bool idle = false;    ///< No car, or it sleeps.
    bool frozen = false;  ///< Nothing may be raised now (another master, still listening who is there).
    Lines lines = every_line;
};

struct Grant {
    int ca = 0;
    std::string reason;  ///< Which limit binds; empty: the wish is granted in full.
    /// Others do not leave what it would work to when told 0 (Demand::floor_ca).
    bool no_room_at_zero = false;
};

/// Shares the limits out.
///
/// At every instant the sum of what the chargers may draw stays within every limit they share, as far as this side
/// decides it: a raise is granted only out of what all others' `may_draw_ca` leave, lowering is granted at once. When
/// something else breaks the sum (start-up, a car plugged into a unit that does not know 0, a unit that does not obey
/// for 5 s), the others are lowered at once, the biggest first. Nobody gets less than the minimum, except 0. When
/// there is not enough for everyone's minimum, chargers are served in order and take turns.
class Allocator {
public:
    explicit Allocator(Limits limits);

    /// By id; one for every demand. `passing`: limits of this moment beside the configured ones (house fuse).
    std::map<UnitId, Grant> allocate(const std::vector<Demand>& demands, scheduling::Instant now,
                                     const std::vector<SharedLimit>& passing = {});

private:
    struct Memory {
        std::optional<scheduling::Instant> disobeys_since;
        std::optional<scheduling::Instant> raised_at;
    };

    using Contenders = std::vector<const Demand*>;

    std::map<UnitId, Grant> fair_shares(const std::vector<Demand>& demands, scheduling::Instant now);
    void refuse_overfull(const std::vector<Demand>& demands, Contenders& contenders, std::map<UnitId, Grant>& shares,
                         scheduling::Instant now) const;
    Contenders served(const std::vector<Demand>& demands, Contenders contenders, scheduling::Instant now);
    Contenders fitting(const std::vector<Demand>& demands, Contenders contenders, scheduling::Instant now) const;
    int total_at(const SharedLimit& limit, int level_ca, const std::vector<Demand>& demands, const Contenders& rising,
                 const std::map<UnitId, Grant>& shares, scheduling::Instant now) const;
    void fill(const std::vector<Demand>& demands, Contenders rising, std::map<UnitId, Grant>& shares,
              scheduling::Instant now) const;
    void remember(const std::vector<Demand>& demands, scheduling::Instant now);
    int held_regardless(const Demand& demand, scheduling::Instant now) const;
    std::vector<int> room_beside_held(const std::vector<Demand>& demands, scheduling::Instant now) const;
    int cap(const Demand& demand) const;
    int room_beside(const Demand& demand, const std::vector<Demand>& demands,
                    const std::map<UnitId, int>& claims) const;
    void add_brief_raises(const std::vector<Demand>& demands, std::map<UnitId, Grant>& grants,
                          std::map<UnitId, int>& claims) const;
    Grant without_overload(const Demand& demand, const Grant& share, int available_ca, scheduling::Instant now);

    Limits limits_;
    std::vector<SharedLimit> configured_;
    std::vector<SharedLimit> shared_;  ///< Those, and the passing ones of this allocation.
    std::map<UnitId, Memory> memory_;
    std::vector<UnitId> order_;
    std::optional<scheduling::Instant> turn_began_;
};

}  // namespace twc_bus
