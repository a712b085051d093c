#include "clocks/civil_time.hpp"

#include <charconv>
#include <string>

#include "clocks/zone.hpp"
#include "contract/timestamp.hpp"

namespace clocks {

namespace {

using namespace std::chrono;
using namespace std::chrono_literals;

constexpr int minutes_per_hour = 60;

local_days local_day(WallTime time) { return floor<days>(to_local(floor<seconds>(time)).time); }

}  // namespace

CivilTime civil_time(WallTime time) {
    const local_seconds local = to_local(floor<seconds>(time)).time;
    const auto day = floor<days>(local);
    const hh_mm_ss clock{local - day};
    return {.day = static_cast<int>(day.time_since_epoch().count()),
            .weekday = static_cast<int>(std::chrono::weekday(day).iso_encoding()) - 1,
            .minute = static_cast<int>(floor<minutes>(local - day).count()),
            .second = static_cast<int>(clock.seconds().count())};
}

WallTime local_moment(WallTime time, int days_later, int minute_of_day) {
    return from_local(local_day(time) + days(days_later) + minutes(minute_of_day));
}

WallTime local_midnight(WallTime time, int days_later) {
    constexpr auto longest_jump = 3h;
    const local_days day = local_day(time) + days(days_later);
    WallTime midnight = from_local(day);
    // Some zones change their clocks at midnight, so that the day begins at one o'clock.
    for (const WallTime give_up = midnight + longest_jump; local_day(midnight) != day && midnight < give_up;) {
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
    return from_local(local_seconds{floor<seconds>(*as_utc).time_since_epoch()});
}

}  // namespace clocks
