#include "policy-engine/schedule.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "service/service_host.hpp"

namespace policy_engine {

namespace {

constexpr unsigned every_day = 0x7F;
constexpr unsigned weekdays = 0x1F;
constexpr unsigned weekend = 0x60;
constexpr std::array<const char*, 7> day_names{"mon", "tue", "wed", "thu", "fri", "sat", "sun"};
constexpr const char* expected_schedule =
    R"(a list of windows like {"days":["mon","fri"],"start":"22:00","end":"06:00","amps":16})";
constexpr std::size_t most_windows = 50;

bool begins_on(const ScheduleWindow& window, int weekday) { return (window.days >> weekday & 1U) != 0; }

// Windows are compared by what the clock shows, so a night of 23 or 25 hours needs no special case.
bool contains(const ScheduleWindow& window, const CivilTime& time) {
    const bool over_midnight = window.end_min <= window.start_min;
    const int yesterday = (time.weekday + 6) % 7;
    if (!over_midnight) {
        return begins_on(window, time.weekday) && time.minute >= window.start_min && time.minute < window.end_min;
    }
    return (begins_on(window, time.weekday) && time.minute >= window.start_min) ||
           (begins_on(window, yesterday) && time.minute < window.end_min);
}

[[noreturn]] void refuse(const std::string& what) { throw service::Rejected(what, expected_schedule); }

unsigned days_named(const std::string& name) {
    if (name == "all" || name == "every day") {
        return every_day;
    }
    if (name == "weekdays") {
        return weekdays;
    }
    if (name == "weekend") {
        return weekend;
    }
    const auto found = std::ranges::find(day_names, name.substr(0, 3));
    if (found == day_names.end()) {
        refuse(fmt::format("days: \"{}\" is not a day", name));
    }
    return 1U << static_cast<unsigned>(found - day_names.begin());
}

int time_from_json(const nlohmann::json& window, const char* key) {
    const auto found = window.find(key);
    const auto minute = found != window.end() && found->is_string() ? parse_time_of_day(found->get<std::string>())
                                                                    : std::optional<int>();
    if (!minute) {
        refuse(fmt::format("{}: must be a time of day like \"22:00\"", key));
    }
    return *minute;
}

ScheduleWindow window_from_json(const nlohmann::json& json) {
    if (!json.is_object()) {
        refuse("a window must be an object");
    }
    for (const auto& [key, value] : json.items()) {
        if (key != "days" && key != "start" && key != "end" && key != "amps" && key != "flexible") {
            refuse(fmt::format("\"{}\" is not a key of a window", key));
        }
    }
    ScheduleWindow window{.start_min = time_from_json(json, "start") % clocks::minutes_per_day,
                          .end_min = time_from_json(json, "end") % clocks::minutes_per_day};
    if (const auto days = json.find("days"); days != json.end()) {
        window.days = days_from_json(*days);
    }
    if (const auto flexible = json.find("flexible"); flexible != json.end()) {
        if (!flexible->is_boolean()) {
            refuse("flexible: must be true or false");
        }
        window.flexible = flexible->get<bool>();
    }
    if (const auto amps = json.find("amps"); amps != json.end() && !amps->is_null()) {
        if (!amps->is_number() || amps->get<double>() < 5 || amps->get<double>() > contract::charge_current_a.max) {
            refuse("amps: must be a number from 5 to 80");
        }
        window.amps = amps->get<double>();
    }
    return window;
}

}  // namespace

std::optional<OpenWindow> open_window(const std::vector<ScheduleWindow>& windows, WallTime now) {
    if (windows.empty()) {
        return std::nullopt;
    }
    const CivilTime time = civil_time(now);
    for (const auto& window : windows) {
        if (contains(window, time)) {
            return OpenWindow{&window, next_local(now, window.end_min)};
        }
    }
    return std::nullopt;
}

std::optional<WallTime> next_opening(const std::vector<ScheduleWindow>& windows, WallTime now) {
    std::optional<WallTime> next;
    const int weekday = civil_time(now).weekday;
    for (const auto& window : windows) {
        for (int days_later = 0; days_later <= 7; ++days_later) {
            if (!begins_on(window, (weekday + days_later) % 7)) {
                continue;
            }
            const WallTime moment = clocks::local_moment(now, days_later, window.start_min);
            if (moment > now && (!next || moment < *next)) {
                next = moment;
            }
        }
    }
    return next;
}

unsigned days_from_json(const nlohmann::json& json) {
    const auto named = [](const nlohmann::json& item) {
        if (!item.is_string()) {
            refuse("days: must be names like \"mon\"");
        }
        std::string name = item.get<std::string>();
        std::ranges::transform(name, name.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? char(c + 32) : c; });
        return days_named(name);
    };
    if (!json.is_array()) {
        return named(json);
    }
    unsigned days = 0;
    for (const auto& item : json) {
        days |= named(item);
    }
    if (days == 0) {
        refuse("days: the list is empty");
    }
    return days;
}

nlohmann::json days_to_json(unsigned days) {
    auto names = nlohmann::json::array();
    for (std::size_t day = 0; day < day_names.size(); ++day) {
        if ((days >> day & 1U) != 0) {
            names.push_back(day_names[day]);
        }
    }
    return names;
}

std::vector<ScheduleWindow> schedule_from_json(const nlohmann::json& json) {
    const nlohmann::json* list = &json;
    if (json.is_object() && json.contains("windows") && json.size() == 1) {
        list = &json.at("windows");
    }
    if (!list->is_array()) {
        refuse("not a list of windows");
    }
    if (list->size() > most_windows) {
        refuse(fmt::format("{} windows, at most {} are kept", list->size(), most_windows));
    }
    std::vector<ScheduleWindow> windows;
    for (const auto& item : *list) {
        windows.push_back(window_from_json(item));
    }
    return windows;
}

nlohmann::json schedule_to_json(const std::vector<ScheduleWindow>& windows) {
    auto list = nlohmann::json::array();
    for (const auto& window : windows) {
        nlohmann::json item{
            {"start", fmt::format("{:02}:{:02}", window.start_min / 60, window.start_min % 60)},
            {"end", fmt::format("{:02}:{:02}", window.end_min / 60, window.end_min % 60)},
            {"days", days_to_json(window.days)},
        };
        if (window.amps) {
            item["amps"] = *window.amps;
        }
        if (window.flexible) {
            item["flexible"] = true;
        }
        list.push_back(std::move(item));
    }
    return list;
}

}  // namespace policy_engine
