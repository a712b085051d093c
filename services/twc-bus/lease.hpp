#pragma once

#include <map>
#include <optional>
#include <string>

#include "contract/messages.hpp"
#include "scheduling/scheduler.hpp"
#include "twc-bus/protocol.hpp"

namespace twc_bus {

/// The set-points from `bus/limit/set`, valid `ttl_s` after they arrived on the monotonic clock.
///
/// Sequence numbers: a message up to three behind the newest while its lease runs is a late repetition and is
/// refused; one further behind comes from a writer that was restarted and is accepted. The same number again
/// (QoS 1 may deliver twice) renews the lease.
class Lease {
public:
    /// Throws service::Rejected for a late repetition.
    void accept(const contract::LimitSet& limits, scheduling::Instant now);

    bool in_force(scheduling::Instant now) const { return ends_ && now < *ends_; }
    /// There was a lease, now or before.
    bool ever() const { return ends_.has_value(); }
    std::optional<scheduling::Instant> ends() const { return ends_; }
    /// In hundredths of an amp, not yet clamped; 0 for a charger that is not named.
    int wish_ca(UnitId id) const;
    /// What the newest message allows all chargers together at most, in hundredths of an amp. Outlives the lease.
    std::optional<int> most_ca() const { return most_ca_; }

private:
    std::map<UnitId, int> wishes_;
    std::optional<int> most_ca_;
    std::int64_t seq_ = 0;
    std::optional<scheduling::Instant> ends_;
};

}  // namespace twc_bus
