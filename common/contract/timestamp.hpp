#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace contract {

using WallTime = std::chrono::system_clock::time_point;

/// ISO 8601 with milliseconds and the local UTC offset: 2026-01-31T12:00:00.250+01:00.
std::string format_timestamp(WallTime time);

/// Accepts what `format_timestamp` writes, with or without a fraction, and `Z`, from 1970 to 2261. Nothing without an
/// offset: two hosts need not share a time zone.
std::optional<WallTime> parse_timestamp(std::string_view text);

}  // namespace contract
