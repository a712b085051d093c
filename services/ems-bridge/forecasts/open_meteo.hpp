#pragma once

#include "ems-bridge/forecasts/forecast.hpp"

namespace ems_bridge {

/// Open-Meteo's irradiance on one plane, hourly.global_tilted_irradiance or minutely_15.…, in W/m² as the mean of the
/// hour or quarter *before* its time. Times are local without an offset; `utc_offset_seconds` is that of all of them.
/// 1000 W/m² make the panels' peak power, times `factor` for losses. Small negative values, which it has at dusk, are
/// 0; null is a gap. Throws SourceError.
Forecast parse_open_meteo(std::string_view body, double kwp, double factor);

/// Keys `factor` and `step` (hourly, minutely_15).
FetchForecast read_open_meteo(const config::Section& section, const WebAccess& access, const Roof& roof,
                              std::chrono::milliseconds interval);

}  // namespace ems_bridge
