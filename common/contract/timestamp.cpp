#include "contract/timestamp.hpp"

#include <array>
#include <charconv>
#include <cstdlib>

#include <fmt/format.h>

#include "clocks/zone.hpp"

namespace contract {

namespace {

using namespace std::chrono;

// Consumes exactly `width` digits.
std::optional<int> digits(std::string_view& rest, std::size_t width) {
    if (rest.size() < width) {
        return std::nullopt;
    }
    int value = 0;
    const char* const end = rest.data() + width;
    if (rest[0] == '-' || std::from_chars(rest.data(), end, value).ptr != end) {
        return std::nullopt;
    }
    rest.remove_prefix(width);
    return value;
}

bool literal(std::string_view& rest, char expected) {
    if (rest.empty() || rest.front() != expected) {
        return false;
    }
    rest.remove_prefix(1);
    return true;
}

struct Layout {
    std::size_t width;
    char follows;  // '\0': nothing
    int max;
};

std::optional<milliseconds> fraction(std::string_view& rest) {
    if (!literal(rest, '.')) {
        return milliseconds(0);
    }
    int value = 0;
    int places = 0;
    while (!rest.empty() && rest.front() >= '0' && rest.front() <= '9') {
        if (places < 3) {
            value = value * 10 + (rest.front() - '0');
            ++places;
        }
        rest.remove_prefix(1);
    }
    if (places == 0) {
        return std::nullopt;
    }
    for (; places < 3; ++places) {
        value *= 10;
    }
    return milliseconds(value);
}

std::optional<minutes> utc_offset(std::string_view& rest) {
    if (literal(rest, 'Z')) {
        return minutes(0);
    }
    const bool west = !rest.empty() && rest.front() == '-';
    if (!literal(rest, west ? '-' : '+')) {
        return std::nullopt;
    }
    const auto hour = digits(rest, 2);
    const bool separated = hour && literal(rest, ':');
    const auto minute = separated ? digits(rest, 2) : std::nullopt;
    if (!minute || *hour > 14 || *minute > 59) {
        return std::nullopt;
    }
    const minutes offset = hours(*hour) + minutes(*minute);
    return west ? -offset : offset;
}

}  // namespace

std::string format_timestamp(WallTime time) {
    const auto whole = floor<seconds>(time);
    const auto [local, utc_offset] = clocks::to_local(whole);
    const auto day = floor<days>(local);
    const year_month_day date{day};
    const hh_mm_ss clock{local - day};
    const auto offset_minutes = duration_cast<minutes>(utc_offset).count();
    return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}{}{:02}:{:02}", static_cast<int>(date.year()),
                       static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()), clock.hours().count(),
                       clock.minutes().count(), clock.seconds().count(), floor<milliseconds>(time - whole).count(),
                       offset_minutes < 0 ? '-' : '+', std::abs(offset_minutes) / 60, std::abs(offset_minutes) % 60);
}

std::optional<WallTime> parse_timestamp(std::string_view text) {
    // Outside of these years nanoseconds in 64 bits would overflow; "0001-01-01" is how some programs say "never".
    constexpr int first_year = 1970;
    constexpr int last_year = 2261;
    constexpr std::array<Layout, 6> layout{
        {{4, '-', last_year}, {2, '-', 12}, {2, 'T', 31}, {2, ':', 23}, {2, ':', 59}, {2, '\0', 60}}};
    std::array<int, 6> parts{};
    for (std::size_t i = 0; i < layout.size(); ++i) {
        const auto value = digits(text, layout[i].width);
        if (!value || *value > layout[i].max || (layout[i].follows != '\0' && !literal(text, layout[i].follows))) {
            return std::nullopt;
        }
        parts[i] = *value;
    }
    const auto millis = fraction(text);
    const auto offset = millis ? utc_offset(text) : std::nullopt;
    const year_month_day date{year(parts[0]), month(static_cast<unsigned>(parts[1])),
                              day(static_cast<unsigned>(parts[2]))};
    if (!offset || !text.empty() || !date.ok() || parts[0] < first_year) {
        return std::nullopt;
    }
    return sys_days(date) + hours(parts[3]) + minutes(parts[4]) + seconds(parts[5]) + *millis - *offset;
}

}  // namespace contract
