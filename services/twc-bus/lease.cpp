#include "twc-bus/lease.hpp"

#include <cmath>

#include <fmt/format.h>

#include "service/service_host.hpp"

namespace twc_bus {

namespace {

// Rounding must not raise.
int rounded_down_ca(double amps) { return static_cast<int>(std::floor(amps * 100.0 + 1e-6)); }

}  // namespace

void Lease::accept(const contract::LimitSet& limits, scheduling::Instant now) {
    constexpr std::int64_t late_repetition = 3;
    if (in_force(now) && limits.seq < seq_ && seq_ - limits.seq <= late_repetition) {
        throw service::Rejected(fmt::format("seq {} is older than {}, which is in force", limits.seq, seq_),
                                "a seq that rises by one with every message");
    }
    seq_ = limits.seq;
    ends_ = now + std::chrono::duration_cast<scheduling::Duration>(std::chrono::duration<double>(limits.ttl_s));
    most_ca_ = limits.max_a ? std::optional(rounded_down_ca(*limits.max_a)) : std::nullopt;
    wishes_.clear();
    for (const auto& [name, amps] : limits.chargers) {
        if (const auto id = unit_id_from_text(name)) {
            wishes_[*id] = rounded_down_ca(amps);
        }
    }
}

int Lease::wish_ca(UnitId id) const {
    const auto found = wishes_.find(id);
    return found == wishes_.end() ? 0 : found->second;
}

}  // namespace twc_bus
