#pragma once

#include <string>

#include <nlohmann/json.hpp>

#include "clocks/civil_time.hpp"
#include "policy-engine/types.hpp"

namespace policy_engine {

using clocks::civil_time;
using clocks::CivilTime;
using clocks::next_local;
using clocks::parse_time_of_day;

/// The window that `now` lies in (the earliest in the list); none outside all windows.
struct OpenWindow {
    const ScheduleWindow* window = nullptr;
    WallTime ends{};
};
std::optional<OpenWindow> open_window(const std::vector<ScheduleWindow>& windows, WallTime now);

/// When the next window opens; none without windows.
std::optional<WallTime> next_opening(const std::vector<ScheduleWindow>& windows, WallTime now);

/// `["mon","sat"]`, `"fri"`, `"all"`, `"weekdays"` or `"weekend"` as in ScheduleWindow::days; not empty. Throws
/// service::Rejected.
unsigned days_from_json(const nlohmann::json& json);
/// As a list of names.
nlohmann::json days_to_json(unsigned days);

/// `[{"days":["mon","tue"],"start":"22:00","end":"06:00","amps":16}]`, alone or under the key `windows`. `days`
/// defaults to every day and may be "all", "weekdays" or "weekend"; `amps` to what the limits allow. An empty list
/// clears the schedule. Throws service::Rejected.
std::vector<ScheduleWindow> schedule_from_json(const nlohmann::json& json);
nlohmann::json schedule_to_json(const std::vector<ScheduleWindow>& windows);

}  // namespace policy_engine
