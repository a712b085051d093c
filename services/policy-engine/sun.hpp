#pragma once

#include <optional>

#include "policy-engine/types.hpp"

namespace policy_engine {

/// When the sun comes up and goes down around one noon.
struct SunTimes {
    std::optional<WallTime> rise;  ///< None: up since before the midnight before that noon, or not up at all.
    std::optional<WallTime> set;   ///< None: up until after the midnight that follows, or not up at all.
    bool always_up = false;        ///< Midnight sun. Without it, neither `rise` nor `set` is polar night.
    bool operator==(const SunTimes&) const = default;
};

/// For the local civil day that `day` lies in: around the solar noon that is nearest to 12:00 on local clocks, so that
/// `rise` is always before `set`. Far north `set` may be after midnight. The upper edge of the sun on a level horizon
/// with ordinary refraction, as almanacs have it: the centre at −0.833°. Good to a minute from 1900 to 2100, between
/// the polar circles; closer to the poles the sun moves flat along the horizon and minutes grow.
SunTimes sun_times(const Place& place, WallTime day);

/// Elevation of the centre of the sun above the horizon, without refraction; good to 0.02°.
double sun_elevation_deg(const Place& place, WallTime time);

}  // namespace policy_engine
