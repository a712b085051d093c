#pragma once

#include <array>
#include <vector>

#include "contract/messages.hpp"
#include "twc-bus/bus_master.hpp"
#include "twc-bus/session.hpp"

namespace twc_bus {

/// For units that do not report their volts (protocol 1).
struct Mains {
    double voltage_v = 230;
    int phases = 1;
};

/// Drawn now: volts × amps × phases; 0 below 1 A.
double power_w(const Charger& charger, const Mains& mains);

/// What the chargers draw on each conductor, in hundredths of an amp. Of one whose conductors are not known nothing
/// counts, unless there is only one.
std::array<int, 3> drawn_by_line(const std::vector<const Charger*>& chargers, const Limits& limits, const Mains& mains);

/// What is wrong with it, in words; none: nothing.
std::optional<std::string> fault_of(const Charger& charger, const Limits& limits);

/// `charger/<id>/state`, without `ts`.
contract::ChargerState describe(const Charger& charger, const EnergyTotals& totals, const Mains& mains,
                                const Limits& limits);

}  // namespace twc_bus
