#pragma once

#include <chrono>

/// The time zone of this process (`TZ`, or the system's), in the types of <chrono>. For the years that a time stamp can
/// say, also where the C library's own `time_t` ends in 2038 (Debian 12 on 32-bit ARM).
namespace clocks {

struct Zoned {
    std::chrono::local_seconds time{};  ///< What clocks show.
    std::chrono::seconds utc_offset{};  ///< East of Greenwich is positive.
};

Zoned to_local(std::chrono::sys_seconds time);

/// A time that a DST night skips is the moment the clocks jump ahead to or beyond it; one that it shows twice is one of
/// the two.
std::chrono::sys_seconds from_local(std::chrono::local_seconds time);

}  // namespace clocks
