#include "policy-engine/low_current.hpp"

#include <algorithm>
#include <cmath>

namespace policy_engine {

namespace {

using namespace std::chrono_literals;

constexpr Duration between_lowerings = 10s;
constexpr Duration between_raises = 30s;

}  // namespace

std::optional<double> low_current(const Claim& claim, double surplus_w, Instant now, const ChargerMemory& memory) {
    const bool by_sun = claim.kind == Wish::Kind::solar && claim.target_a > 0;
    const bool is_low = by_sun && claim.target_a <= claim.minimum_a && surplus_w < claim.minimum_a * claim.ampere_w;
    // The whole amperes that the sun carries; what is left of one is not worth a command.
    const double wanted_a =
        is_low ? std::clamp(std::floor(surplus_w / claim.ampere_w), claim.low_a, claim.minimum_a) : claim.cap_a;
    if (memory.vehicle_a == 0 && wanted_a >= claim.minimum_a) {
        return std::nullopt;
    }
    const Duration since = now - memory.vehicle_a_at;
    if (wanted_a == memory.vehicle_a || (memory.vehicle_a > 0 && since < between_lowerings) ||
        (wanted_a > memory.vehicle_a && memory.vehicle_a > 0 && wanted_a < claim.minimum_a && since < between_raises)) {
        return std::nullopt;
    }
    return wanted_a;
}

}  // namespace policy_engine
