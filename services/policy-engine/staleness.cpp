#include "policy-engine/staleness.hpp"

#include <algorithm>

namespace policy_engine {

namespace {

using namespace std::chrono_literals;

// ems-bridge has said itself that it sees nothing: no need to wait for its once-a-minute repetition.
constexpr Duration minimum_after_announced_loss = 30s;
// A charger's state is repeated at least once a minute.
constexpr Duration charger_report_limit = 90s;
constexpr Duration expired_age = 24h;

}  // namespace

Freshness site_freshness(const StaleLimits& limits, const Inputs& inputs, std::optional<Instant> site_at) {
    const bool lost = inputs.site && inputs.site->lost;
    const Duration minimum_after =
        lost ? std::min(limits.minimum_after, minimum_after_announced_loss) : limits.minimum_after;
    // What was already old when we started is not our loss yet: a charge that is running is not cut by a restart.
    const Duration missed_for = inputs.now - std::max(site_at.value_or(inputs.started_at), inputs.started_at);
    if (missed_for >= limits.stop_after) {
        return Freshness::expired;
    }
    if (missed_for >= minimum_after) {
        return Freshness::stale;
    }
    return lost || !site_at || inputs.now - *site_at >= limits.hold_after ? Freshness::ageing : Freshness::fresh;
}

bool is_fresh(const StaleLimits& limits, const Charger& charger, Instant now) {
    return charger.drawn_a && now - charger.received_at < std::max(charger_report_limit, limits.hold_after);
}

Instant measured_at(Instant now, WallTime wall, bool retained, std::optional<WallTime> stamp,
                    std::optional<double> age_s) {
    Duration age = from_seconds(std::clamp(age_s.value_or(0), 0.0, seconds(expired_age)));
    if (retained) {
        const Duration stamped = stamp ? std::chrono::duration_cast<Duration>(wall - *stamp) : expired_age;
        age = std::clamp(std::max(age, stamped), Duration::zero(), expired_age);
    }
    return now - age;
}

}  // namespace policy_engine
