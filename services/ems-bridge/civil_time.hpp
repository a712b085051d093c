#pragma once

#include <optional>
#include <string_view>

#include "contract/timestamp.hpp"

/// What the clocks of the house show: the time zone of this process (`TZ`, or the system's).
namespace ems_bridge {

using contract::WallTime;

inline constexpr int minutes_per_day = 24 * 60;

struct LocalClock {
    int weekday = 0;  ///< 0 is Monday.
    int minute = 0;   ///< Of the day.
};

LocalClock local_clock(WallTime time);

/// When clocks show this minute of the day, `days_later` days after the local day of `time`. A time that a DST night
/// skips is the moment the clocks jump ahead to or beyond it; one that it shows twice, one of the two.
WallTime local_moment(WallTime time, int days_later, int minute);

/// The first instant of the local day that is `days_later` days after the one of `time`.
WallTime local_midnight(WallTime time, int days_later = 0);

/// Local time without an offset, `2026-06-01 12:00:00`.
std::optional<WallTime> parse_local_time(std::string_view text);

/// Minute of the day of `06:30`, up to `24:00`.
std::optional<int> parse_minute(std::string_view text);

}  // namespace ems_bridge
