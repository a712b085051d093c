#pragma once

#include <optional>

#include "ems-bridge/forecasts/forecast.hpp"

namespace ems_bridge {

/// The section `forecasts`: a mapping from names of the user's choice to entries with a `kind` (forecast_solar,
/// open_meteo), `planes`, and `latitude` and `longitude` unless they are those of the site.
std::vector<ForecastConfig> read_forecasts(const config::Section& section, const std::optional<Place>& site);

}  // namespace ems_bridge
