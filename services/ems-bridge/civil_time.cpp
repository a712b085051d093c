#include "ems-bridge/civil_time.hpp"

#include <charconv>
#include <ctime>
#include <string>

namespace ems_bridge {

namespace {

using namespace std::chrono_literals;

std::tm local_parts(WallTime time) {
    const std::time_t moment = std::chrono::system_clock::to_time_t(std::chrono::floor<std::chrono::seconds>(time));
    std::tm parts{};
    localtime_r(&moment, &parts);
    return parts;
}

}  // namespace

LocalClock local_clock(WallTime time) {
    constexpr int days_a_week = 7;
    constexpr int minutes_an_hour = 60;
    const std::tm parts = local_parts(time);
    return {.weekday = (parts.tm_wday + days_a_week - 1) % days_a_week,
            .minute = parts.tm_hour * minutes_an_hour + parts.tm_min};
}

WallTime local_moment(WallTime time, int days_later, int minute) {
    const std::tm today = local_parts(time);
    std::tm parts{};
    parts.tm_year = today.tm_year;
    parts.tm_mon = today.tm_mon;
    parts.tm_mday = today.tm_mday + days_later;
    parts.tm_min = minute;
    parts.tm_isdst = -1;
    return std::chrono::system_clock::from_time_t(std::mktime(&parts));
}

WallTime local_midnight(WallTime time, int days_later) {
    constexpr int noon = minutes_per_day / 2;
    constexpr auto longest_jump = 3h;
    const int day = local_parts(local_moment(time, days_later, noon)).tm_mday;
    WallTime midnight = local_moment(time, days_later, 0);
    // Some zones change their clocks at midnight, so that the day begins at one o'clock.
    for (const WallTime give_up = midnight + longest_jump;
         local_parts(midnight).tm_mday != day && midnight < give_up;) {
        midnight += 30min;
    }
    return midnight;
}

std::optional<WallTime> parse_local_time(std::string_view text) {
    constexpr std::string_view layout = "0000-00-00 00:00:00";
    constexpr std::size_t time_at = 11;
    if (text.size() != layout.size() || text[time_at - 1] != ' ') {
        return std::nullopt;
    }
    // The same checks as for a time stamp, with an offset that is taken away again.
    std::string utc_text(text);
    utc_text[time_at - 1] = 'T';
    const auto as_utc = contract::parse_timestamp(utc_text + "Z");
    if (!as_utc) {
        return std::nullopt;
    }
    const std::time_t seconds = std::chrono::system_clock::to_time_t(*as_utc);
    std::tm parts{};
    gmtime_r(&seconds, &parts);
    parts.tm_isdst = -1;
    return std::chrono::system_clock::from_time_t(std::mktime(&parts));
}

std::optional<int> parse_minute(std::string_view text) {
    constexpr std::size_t length = 5;
    constexpr std::size_t colon_at = 2;
    constexpr int minutes_an_hour = 60;
    if (text.size() != length || text[colon_at] != ':') {
        return std::nullopt;
    }
    int hour = 0;
    int minute = 0;
    const auto* const begin = text.data();
    const bool is_number = std::from_chars(begin, begin + colon_at, hour).ptr == begin + colon_at &&
                           std::from_chars(begin + colon_at + 1, begin + length, minute).ptr == begin + length;
    const int result = hour * minutes_an_hour + minute;
    if (!is_number || hour < 0 || minute < 0 || minute >= minutes_an_hour || result > minutes_per_day) {
        return std::nullopt;
    }
    return result;
}

}  // namespace ems_bridge
