#pragma once

#include "policy-engine/types.hpp"

namespace policy_engine {

/// What data of some age still allows.
enum class Freshness {
    fresh,    ///< Everything.
    ageing,   ///< Go on as before, never more.
    stale,    ///< Step down to the fail-safe minimum.
    expired,  ///< Stop.
};

/// Of the grid power. `site_at`: when the newest known grid power was true; never: counts from `inputs.started_at`.
/// A loss that its sender announced is believed at once and gets a shorter way to the minimum.
Freshness site_freshness(const StaleLimits& limits, const Inputs& inputs, std::optional<Instant> site_at);

/// Of a charger's own report; none at all is ageing.
bool is_fresh(const StaleLimits& limits, const Charger& charger, Instant now);

/// When a message that has just arrived was true, by our clock. `age_s`: as its sender says. A message that the broker
/// had stored may be old: then its time stamp counts too, and without one it is as good as expired. For a live one the
/// stamp is ignored, because two hosts' clocks need not agree.
Instant measured_at(Instant now, WallTime wall, bool retained, std::optional<WallTime> stamp,
                    std::optional<double> age_s);

}  // namespace policy_engine
