#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "contract/messages.hpp"
#include "ems-bridge/slots.hpp"
#include "ems-bridge/sun.hpp"
#include "ems-bridge/web_api.hpp"

namespace ems_bridge {

/// A roof or a part of it.
struct Plane {
    double tilt_deg = 0;     ///< 0 lies flat, 90 stands upright.
    double azimuth_deg = 0;  ///< 0 south, -90 east, 90 west, as both services count.
    double kwp = 0;
};

/// Where the panels are; all planes add up.
struct Roof {
    Place place;
    std::vector<Plane> planes;
};

/// An answer: mean power by slot, in order, without overlaps, gaps allowed.
struct Forecast {
    std::vector<contract::ForecastSlot> slots;
    /// The service allows no other question before that.
    std::optional<std::chrono::milliseconds> not_before;
};

/// Blocks; runs on a worker. Throws.
using FetchForecast = std::function<Forecast(http::HttpClient& client, WallTime now)>;

/// One entry of `forecasts`.
struct ForecastConfig {
    std::string name;
    FetchForecast fetch;
    http::TlsTrust trust;
    std::chrono::milliseconds interval{std::chrono::hours(1)};
};

/// What all lists together give; unknown where one of them has a gap.
std::vector<contract::ForecastSlot> sum_of(const std::vector<const std::vector<contract::ForecastSlot>*>& lists);
std::vector<contract::ForecastSlot> sum_of(const std::vector<std::vector<contract::ForecastSlot>>& lists);

/// The energy from `from` to `until` in kWh; none when a part of it is unknown.
std::optional<double> energy_kwh(const std::vector<contract::ForecastSlot>& slots, WallTime from, WallTime until);

/// What one entry says, for the combination.
struct ForecastView {
    std::string name;
    const std::vector<contract::ForecastSlot>& slots;
    bool is_fresh = false;  ///< Its source was heard lately.
};

/// The sum of all entries that know anything; unknown where one of these has a gap. At most max_slots, from the one we
/// are in on. `quality` and `missing` as in combine_tariffs: partial also means that the sum lacks somebody's part.
contract::ForecastState combine_forecasts(const std::vector<ForecastView>& views, WallTime now);

}  // namespace ems_bridge
