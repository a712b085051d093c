#pragma once

#include "contract/messages.hpp"
#include "scheduling/scheduler.hpp"
#include "twc-bus/allocator.hpp"
#include "twc-bus/lease.hpp"

namespace twc_bus {

/// What each charger is to have by the will of others: the emergency stop before the lease before the fail-safe. The
/// hard limits are not applied yet, but for each charger's own maximum.
class Setpoints {
public:
    Setpoints(Limits limits, bool estop, scheduling::Instant started)
        : limits_(std::move(limits)), started_(started), estop_(estop) {}

    /// `bus/limit/set`. Throws service::Rejected.
    void accept(const contract::LimitSet& limits, scheduling::Instant now) { lease_.accept(limits, now); }
    void set_estop(bool stop) { estop_ = stop; }

    bool estop() const { return estop_; }
    const Lease& lease() const { return lease_; }
    /// No lease is in force, and after a start none came in time: chargers are only ever lowered.
    bool failsafe(scheduling::Instant now) const;
    /// In hundredths of an amp. `granted_ca`: what it has now; `only_failsafe`: for another reason nothing above the
    /// fail-safe current may flow.
    int wish_ca(UnitId id, int granted_ca, bool only_failsafe, scheduling::Instant now) const;
    /// What the newest message of the lease allows all chargers together, on each conductor.
    std::vector<SharedLimit> limits() const;
    /// When the lease ends by itself.
    scheduling::Instant changes_at(scheduling::Instant now) const;

private:
    bool may_still_come(scheduling::Instant now) const;

    Limits limits_;
    scheduling::Instant started_;
    Lease lease_;
    bool estop_;
};

}  // namespace twc_bus
