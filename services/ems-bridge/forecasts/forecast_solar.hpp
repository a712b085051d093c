#pragma once

#include "ems-bridge/forecasts/forecast.hpp"

namespace ems_bridge {

/// forecast.solar's estimate of one plane. `result.watts` holds the power at instants from sunrise to sunset,
/// `result.watt_hours_period` the energy since the instant before; where the latter is missing, the power is taken to
/// change evenly between two instants. A night between two of their days is a slot of 0 W, and so are the hours between
/// midnight and the first sunrise, and between the last sunset and midnight.
///
/// Times carry their offset, or are local time. `not_before`: when message.ratelimit.remaining is 0, its period.
/// Throws SourceError.
Forecast parse_forecast_solar(std::string_view body);

/// Key `api_key_file`, optional: without it the service answers a dozen questions an hour.
FetchForecast read_forecast_solar(const config::Section& section, const WebAccess& access, const Roof& roof,
                                  std::chrono::milliseconds interval);

}  // namespace ems_bridge
