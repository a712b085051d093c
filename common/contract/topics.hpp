#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace contract {

/// Every topic of the contract, under one base topic. Arguments may be `+` to form a subscription filter.
class Topics {
public:
    /// `base`: one or more levels of `[A-Za-z0-9_-]`, such as `twc` or `sites/garage/twc`.
    explicit Topics(std::string base) : base_(std::move(base)) {}

    const std::string& base() const { return base_; }

    std::string service_status(std::string_view service) const { return under("service", service, "status"); }
    std::string service_info(std::string_view service) const { return under("service", service, "info"); }
    std::string service_metrics(std::string_view service) const { return under("service", service, "metrics"); }
    std::string service_event(std::string_view service) const { return under("service", service, "event"); }

    std::string bus_state() const { return under("bus/state"); }
    std::string bus_limit_set() const { return under("bus/limit/set"); }
    std::string bus_estop_set() const { return under("bus/estop/set"); }
    std::string bus_raw_set() const { return under("bus/raw/set"); }

    std::string charger_availability(std::string_view id) const { return under("charger", id, "availability"); }
    std::string charger_state(std::string_view id) const { return under("charger", id, "state"); }
    std::string charger_event(std::string_view id) const { return under("charger", id, "event"); }

    std::string ems_state() const { return under("ems/state"); }
    std::string ems_tariff_state() const { return under("ems/tariff/state"); }
    std::string ems_forecast_state() const { return under("ems/forecast/state"); }
    std::string ems_source_state(std::string_view source) const { return under("ems/source", source, "state"); }
    std::string ems_input_set(std::string_view quantity) const { return under("ems/input", quantity, "set"); }

    std::string vehicle_availability(std::string_view alias) const { return under("vehicle", alias, "availability"); }
    std::string vehicle_state(std::string_view alias) const { return under("vehicle", alias, "state"); }
    std::string vehicle_event(std::string_view alias) const { return under("vehicle", alias, "event"); }
    std::string vehicle_command_set(std::string_view alias, std::string_view command) const {
        return under("vehicle", std::string(alias) + "/command", std::string(command) + "/set");
    }

    std::string policy_state() const { return under("policy/state"); }
    std::string policy_settings() const { return under("policy/settings"); }
    std::string policy_charger_state(std::string_view id) const { return under("policy/charger", id, "state"); }
    std::string policy_charger_set(std::string_view id, std::string_view setting) const {
        return under("policy/charger", id, std::string(setting) + "/set");
    }
    std::string policy_vehicle_set(std::string_view alias, std::string_view setting) const {
        return under("policy/vehicle", alias, std::string(setting) + "/set");
    }
    std::string policy_set(std::string_view setting) const { return under("policy", setting, "set"); }
    std::string policy_plan_state() const { return under("policy/plan/state"); }
    std::string policy_override_state() const { return under("policy/override/state"); }
    std::string policy_override_state(std::string_view charger) const {
        return under("policy/override", charger, "state");
    }
    std::string policy_override_set() const { return under("policy/override/set"); }
    std::string policy_override_set(std::string_view charger) const { return under("policy/override", charger, "set"); }

    /// The level of `topic` that stands where `filter` has its `index`-th `+` (from 0); none if they do not match.
    static std::optional<std::string> wildcard_level(std::string_view filter, std::string_view topic, int index = 0);

private:
    std::string under(std::string_view path) const { return base_ + "/" + std::string(path); }
    std::string under(std::string_view branch, std::string_view id, std::string_view leaf) const {
        return base_ + "/" + std::string(branch) + "/" + std::string(id) + "/" + std::string(leaf);
    }

    std::string base_;
};

/// A level of our own topics: lower-case letters, digits, `_` and `-`, at most 64 characters.
bool is_valid_id(std::string_view id);

}  // namespace contract
