#pragma once

#include "policy-engine/tariff.hpp"
#include "policy-engine/types.hpp"

namespace policy_engine {

/// How a car's use of the grid is weighed against its use of the sun: 1 kWh imported costs as much as `weight` kWh
/// of surplus are worth. From the setting, else import over export price (control notes F5), else 1.
double grid_weight(const Settings& settings);
/// The same with the prices in force (tariff.hpp).
double grid_weight(const Settings& settings, const TariffPrices& prices);

/// The fraction of an ampere from which rounding up gains more than it costs: weight / (1 + weight).
double round_up_from(double weight);

/// What the chargers may draw so that nothing is imported: what they draw now, plus export, minus the reserve.
/// The home battery is neutral: what it discharges is never for the car; what it charges is the car's if the car
/// comes first. While it is emptied into the car (`battery_boost_until_pct`), all it can give is the car's. None while
/// the grid power is unknown, or the battery's after it was once known.
std::optional<double> available_w(const SiteConfig& config, const Settings& settings, const Site& site,
                                  double chargers_drawn_w, bool battery_expected);

/// Whether the home battery is being emptied into the car.
bool boosts(const SiteConfig& config, const Settings& settings, const Site& site);

/// The total to share out now. A fall counts at once; a rise only after it has lasted; and small moves around
/// `in_use_w` (what the present targets take) are left alone. `step_w` is the smallest step of any charger.
double usable_w(double now_w, std::optional<double> lasting_w, double in_use_w, double step_w, double weight);

/// Volts to neutral to reckon with: the charger's own where plausible, else the meter's, else the configured.
double volts(const SiteConfig& config, const std::optional<Site>& site, const Charger& charger);

}  // namespace policy_engine
