#pragma once

#include <array>
#include <optional>
#include <string_view>

#include "contract/messages.hpp"

namespace ems_bridge {

/// Everything a source can tell, one entry per scalar. Names and signs are those of contract::SitePower.
enum class Quantity {
    grid_w,
    pv_w,
    house_w,
    battery_w,
    battery_soc_pct,
    grid_l1_a,
    grid_l2_a,
    grid_l3_a,
    voltage_l1_v,
    voltage_l2_v,
    voltage_l3_v,
    import_kwh,
    export_kwh,
    pv_kwh,
};
inline constexpr std::size_t quantity_count = 14;

/// All of them, in order.
const std::array<Quantity, quantity_count>& all_quantities();
std::string_view name_of(Quantity quantity);
constexpr std::size_t index_of(Quantity quantity) { return static_cast<std::size_t>(quantity); }

/// What one read gave. Unknown is nullopt: a meter that does not answer never becomes 0 W.
struct Reading {
    std::optional<double> grid_w;           ///< + import, − export
    std::optional<double> pv_w;             ///< ≥ 0
    std::optional<double> house_w;          ///< Consumption behind the meter.
    std::optional<double> battery_w;        ///< + discharge, − charge
    std::optional<double> battery_soc_pct;  ///< 0 to 100
    contract::PerPhase grid_a{};            ///< + import, − export
    contract::PerPhase voltage_v{};         ///< Line to neutral.
    std::optional<double> import_kwh;
    std::optional<double> export_kwh;
    std::optional<double> pv_kwh;

    /// When the device says it measured; none: it does not say.
    std::optional<contract::WallTime> measured_at;
    /// The inverter answered, but with "not available", as it does at night: `pv_w` is 0 by inference only, and
    /// counts only where something else shows that the site is alive.
    bool pv_asleep = false;

    bool operator==(const Reading&) const = default;
};

std::optional<double>& value_of(Reading& reading, Quantity quantity);
const std::optional<double>& value_of(const Reading& reading, Quantity quantity);

}  // namespace ems_bridge
