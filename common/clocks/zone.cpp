// On 32-bit ARM this file alone is compiled with a time_t of 64 bits, see common/CMakeLists.txt. So nothing here may
// hand a time_t to anyone else, not even to inline functions of the standard library such as to_time_t.
#include "clocks/zone.hpp"

#include <ctime>

namespace clocks {

namespace {

using namespace std::chrono;

constexpr int first_year = 1900;  // of std::tm
static_assert(sizeof(std::time_t) == 8, "times after 2038");

}  // namespace

Zoned to_local(sys_seconds time) {
    const std::time_t moment = time.time_since_epoch().count();
    std::tm parts{};
    localtime_r(&moment, &parts);
    const seconds offset{parts.tm_gmtoff};
    return {.time = local_seconds{time.time_since_epoch() + offset}, .utc_offset = offset};
}

sys_seconds from_local(local_seconds time) {
    const auto day = floor<days>(time);
    const year_month_day date{day};
    const hh_mm_ss clock{time - day};
    std::tm parts{};
    parts.tm_year = static_cast<int>(date.year()) - first_year;
    parts.tm_mon = static_cast<int>(static_cast<unsigned>(date.month())) - 1;
    parts.tm_mday = static_cast<int>(static_cast<unsigned>(date.day()));
    parts.tm_hour = static_cast<int>(clock.hours().count());
    parts.tm_min = static_cast<int>(clock.minutes().count());
    parts.tm_sec = static_cast<int>(clock.seconds().count());
    parts.tm_isdst = -1;
    return sys_seconds{seconds{std::mktime(&parts)}};
}

}  // namespace clocks
