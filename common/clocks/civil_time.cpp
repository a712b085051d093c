#include "clocks/civil_time.hpp"

#include <charconv>
#include <ctime>
#include <string>

#include "contract/timestamp.hpp"

namespace clocks {

namespace {

using namespace std::chrono_literals;

constexpr int minutes_per_hour = 60;
constexpr int days_per_week = 7;

std::tm local_parts(WallTime time) {
    const std::time_t moment = std::chrono::system_clock::to_time_t(std::chrono::floor<std::chrono::seconds>(time));
    std::tm parts{};
    localtime_r(&moment, &parts);
    return parts;
}

}  // namespace

CivilTime civil_time(WallTime time) {
    constexpr int first_year = 1900;  // of std::tm
    const std::tm parts = local_parts(time);
    const std::chrono::year_month_day date{std::chrono::year(parts.tm_year + first_year),
                                           std::chrono::month(static_cast<unsigned>(parts.tm_mon + 1)),
                                           std::chrono::day(static_cast<unsigned>(parts.tm_mday))};
    return {.day = static_cast<int>(std::chrono::sys_days(date).time_since_epoch().count()),
            .weekday = (parts.tm_wday + days_per_week - 1) % days_per_week,
            .minute = parts.tm_hour * minutes_per_hour + parts.tm_min,
            .second = parts.tm_sec};
}

WallTime local_moment(WallTime time, int days_later, int minute_of_day) {
    const std::tm today = local_parts(time);
    std::tm parts{};
    parts.tm_year = today.tm_year;
    parts.tm_mon = today.tm_mon;
    parts.tm_mday = today.tm_mday + days_later;
    parts.tm_hour = minute_of_day / minutes_per_hour;
    parts.tm_min = minute_of_day % minutes_per_hour;
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

WallTime next_local(WallTime now, int minute_of_day) {
    for (int days_later = 0; days_later < 2; ++days_later) {
        if (const WallTime moment = local_moment(now, days_later, minute_of_day); moment > now) {
            return moment;
        }
    }
    return local_moment(now, 2, minute_of_day);
}

std::optional<int> parse_time_of_day(std::string_view text) {
    const auto colon = text.find(':');
    if (colon == std::string_view::npos || colon == 0 || colon > 2 || text.size() != colon + 3) {
        return std::nullopt;
    }
    int hour = 0;
    int minute = 0;
    const auto whole = [](std::string_view digits, int& value) {
        const char* const end = digits.data() + digits.size();
        return digits.front() != '-' && std::from_chars(digits.data(), end, value).ptr == end;
    };
    if (!whole(text.substr(0, colon), hour) || !whole(text.substr(colon + 1), minute) || minute >= minutes_per_hour ||
        hour * minutes_per_hour + minute > minutes_per_day) {
        return std::nullopt;
    }
    return hour * minutes_per_hour + minute;
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

}  // namespace clocks
