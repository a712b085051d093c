#include "ems-bridge/push_input.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "ems-bridge/mqtt_feed.hpp"
#include "service/command_value.hpp"
#include "service/service_host.hpp"

namespace ems_bridge {

namespace {

using namespace std::chrono_literals;
using service::Rejected;

constexpr auto clock_tolerance = 60s;  // a sender's clock may be ahead by this much

struct Input {
    std::string_view name;
    Quantity quantity;
    Role role;
    const char* unit;
};

constexpr std::array inputs{Input{"grid_power", Quantity::grid_w, Role::grid, "W"},
                            Input{"pv_power", Quantity::pv_w, Role::pv, "W"},
                            Input{"battery_power", Quantity::battery_w, Role::battery, "W"},
                            Input{"battery_soc", Quantity::battery_soc_pct, Role::battery, "%"},
                            Input{"house_power", Quantity::house_w, Role::house, "W"}};

const Input& find_input(std::string_view name) {
    const auto* const found = std::ranges::find(inputs, name, &Input::name);
    if (found == inputs.end()) {
        throw Rejected("unknown input", "grid_power, pv_power, battery_power, battery_soc or house_power");
    }
    return *found;
}

contract::Range range_of(const Input& input, const PlausibleLimits& limits) {
    constexpr double standby_w = 50;  // a sleeping inverter draws a little
    switch (input.quantity) {
        case Quantity::battery_soc_pct:
            return contract::percent;
        case Quantity::pv_w:
            return {-standby_w, limits.power_w};
        case Quantity::house_w:
            return {0, limits.power_w};
        default:
            return {-limits.power_w, limits.power_w};
    }
}

scheduling::Instant time_in(const nlohmann::json& object, const PushRules& rules, scheduling::Instant now,
                            contract::WallTime wall_now) {
    const auto ts = object.find("ts");
    if (ts == object.end() || ts->is_null()) {
        return now;
    }
    const char* const expected = "ts as ISO 8601 with offset, such as 2026-01-31T12:00:00+01:00";
    const auto time = ts->is_string() ? contract::parse_timestamp(ts->get_ref<const std::string&>()) : std::nullopt;
    if (!time) {
        throw Rejected("ts is not a time with an offset", expected);
    }
    if (*time > wall_now + clock_tolerance) {
        throw Rejected("ts is in the future: do the clocks agree?", expected);
    }
    if (*time < wall_now - rules.stale_after) {
        throw Rejected(fmt::format("ts is older than {} s",
                                   std::chrono::duration_cast<std::chrono::seconds>(rules.stale_after).count()),
                       "a value that is younger");
    }
    return instant_of(*time, now, wall_now);
}

double checked(const nlohmann::json& value, contract::Range range, const char* unit) {
    if (value.is_string()) {
        return service::parse_number(value.get_ref<const std::string&>(), range, unit);
    }
    const std::string expected = fmt::format("a number from {:g} to {:g} {}", range.min, range.max, unit);
    if (!value.is_number()) {
        throw Rejected("value is not a number", expected);
    }
    const auto number = value.get<double>();
    if (!(number >= range.min && number <= range.max)) {
        throw Rejected(fmt::format("{:g} is outside the allowed range", number), expected);
    }
    return number;
}

}  // namespace

PushedValue read_push(std::string_view name, std::string_view payload, const PushRules& rules, scheduling::Instant now,
                      contract::WallTime wall_now) {
    const Input& input = find_input(name);
    if (!rules.roles.contains(input.role)) {
        throw Rejected(fmt::format("the push source does not have the role {}", name_of(input.role)),
                       fmt::format("roles: [{}] at the push source in the configuration", name_of(input.role)));
    }
    const contract::Range range = range_of(input, rules.limits);
    PushedValue result{.quantity = input.quantity, .value = 0, .at = now};
    if (service::normalised(payload).starts_with('{')) {
        const nlohmann::json object = contract::parse_json(payload);
        const auto value = object.find("value");
        if (value == object.end()) {
            throw Rejected("no value", R"({"value":-1840,"ts":"2026-01-31T12:00:00+01:00"}, ts may be left out)");
        }
        result.value = checked(*value, range, input.unit);
        result.at = time_in(object, rules, now, wall_now);
    } else {
        result.value = service::parse_number(payload, range, input.unit);
    }
    if (input.quantity == Quantity::pv_w) {
        result.value = std::max(0.0, result.value);
    }
    return result;
}

}  // namespace ems_bridge
