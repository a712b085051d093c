#pragma once

#include "contract/timestamp.hpp"

namespace ems_bridge {

struct Place {
    double latitude_deg = 0;   ///< + north
    double longitude_deg = 0;  ///< + east
};

/// Height of the sun above the horizon, good to about a degree (low-precision solar position of the Astronomical
/// Almanac, without refraction).
double sun_elevation_deg(const Place& place, contract::WallTime time);

/// So far below the horizon that no panel gives anything, whatever the small errors of clock and place.
bool sun_is_down(const Place& place, contract::WallTime time);

}  // namespace ems_bridge
