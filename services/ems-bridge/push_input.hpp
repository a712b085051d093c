#pragma once

#include <string_view>

#include "ems-bridge/plausibility.hpp"
#include "ems-bridge/role.hpp"
#include "scheduling/scheduler.hpp"

namespace ems_bridge {

/// A value somebody pushed to `ems/input/<name>/set`.
struct PushedValue {
    Quantity quantity{};
    double value = 0;
    scheduling::Instant at;
};

struct PushRules {
    Roles roles;
    scheduling::Duration stale_after{};
    PlausibleLimits limits;
};

/// Reads `-1840`, `-1840 W` or `{"value":-1840,"ts":"2026-01-31T12:00:00+01:00"}`. `name`: grid_power, pv_power,
/// battery_power, battery_soc or house_power. Throws service::Rejected with what would be accepted.
PushedValue read_push(std::string_view name, std::string_view payload, const PushRules& rules, scheduling::Instant now,
                      contract::WallTime wall_now);

}  // namespace ems_bridge
