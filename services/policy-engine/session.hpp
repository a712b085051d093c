#pragma once

#include "policy-engine/tariff.hpp"
#include "policy-engine/types.hpp"

namespace policy_engine {

/// Adds what one charger took since the last decision. Import counts against the charger up to its own power.
void account(Session& session, double drawn_w, std::optional<double> grid_w, Duration elapsed,
             const TariffPrices& prices);

/// Share of the session's energy that was not imported; none before any.
std::optional<double> solar_pct(const Session& session);

}  // namespace policy_engine
