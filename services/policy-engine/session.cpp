#include "policy-engine/session.hpp"

#include <algorithm>

namespace policy_engine {

void account(Session& session, double drawn_w, std::optional<double> grid_w, Duration elapsed,
             const TariffPrices& prices) {
    if (drawn_w <= 0) {
        return;
    }
    constexpr double watt_seconds_per_kwh = 3.6e6;
    const double energy_kwh = drawn_w * seconds(elapsed) / watt_seconds_per_kwh;
    // Unknown grid power is booked as import: solar shares are never flattered.
    const double imported = grid_w ? std::clamp(*grid_w / drawn_w, 0.0, 1.0) : 1.0;
    session.grid_kwh += energy_kwh * imported;
    session.solar_kwh += energy_kwh * (1 - imported);
    session.cost +=
        energy_kwh * (imported * prices.import_price.value_or(0) + (1 - imported) * prices.export_price.value_or(0));
}

std::optional<double> solar_pct(const Session& session) {
    const double total_kwh = session.solar_kwh + session.grid_kwh;
    return total_kwh > 0 ? std::optional(100 * session.solar_kwh / total_kwh) : std::nullopt;
}

}  // namespace policy_engine
