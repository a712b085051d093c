#pragma once

#include <chrono>
#include <optional>
#include <string_view>

/// What the clocks of the house show: the time zone of this process (`TZ`, or the system's). A time of day that a DST
/// night skips is the moment the clocks jump ahead to or beyond it; one that it shows twice is one of the two.
namespace clocks {

using WallTime = std::chrono::system_clock::time_point;

inline constexpr int minutes_per_day = 24 * 60;

struct CivilTime {
    int day = 0;      ///< Days since 1970-01-01, local.
    int weekday = 0;  ///< 0 Monday … 6 Sunday
    int minute = 0;   ///< Of the day.
    int second = 0;
};

CivilTime civil_time(WallTime time);

/// When clocks show this minute of the day, `days_later` days after the local day of `time`.
WallTime local_moment(WallTime time, int days_later, int minute_of_day);

/// The first instant of the local day that is `days_later` days after the one of `time`.
WallTime local_midnight(WallTime time, int days_later = 0);

/// The next moment after `now` at which clocks show this minute of the day.
WallTime next_local(WallTime now, int minute_of_day);

/// Minute of the day of `22:00` or `6:30`; `24:00` is the end of the day. None: not a time of day.
std::optional<int> parse_time_of_day(std::string_view text);

/// Local time without an offset, `2026-06-01 12:00:00`.
std::optional<WallTime> parse_local_time(std::string_view text);

}  // namespace clocks
