#include "ems-bridge/plausibility.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace ems_bridge {

namespace {

constexpr double standby_w = 50;       // what a sleeping inverter draws
constexpr double wrong_clamp_w = 500;  // more than that is a current clamp the wrong way round

}  // namespace

void PlausibilityFilter::check_powers(Reading& reading, std::vector<std::string>& problems) const {
    for (const Quantity quantity : {Quantity::grid_w, Quantity::pv_w, Quantity::house_w, Quantity::battery_w}) {
        auto& watts = value_of(reading, quantity);
        if (watts && !(std::abs(*watts) <= limits_.power_w)) {
            problems.push_back(
                fmt::format("{} {:.0f} W is beyond {:.0f} W", name_of(quantity), *watts, limits_.power_w));
            watts.reset();
        }
    }
    if (reading.pv_w && *reading.pv_w < -wrong_clamp_w) {
        problems.push_back(fmt::format("pv_w {:.0f} W is negative: is a sign or a clamp reversed?", *reading.pv_w));
        reading.pv_w.reset();
    } else if (reading.pv_w && *reading.pv_w < 0) {
        if (*reading.pv_w < -standby_w) {
            problems.push_back(fmt::format("pv_w {:.0f} W is negative, taken for 0", *reading.pv_w));
        }
        reading.pv_w = 0;
    }
}

void PlausibilityFilter::check_counter(Reading& reading, Quantity quantity, std::vector<std::string>& problems) {
    auto& value = value_of(reading, quantity);
    if (!value) {
        return;
    }
    if (!(*value >= 0 && *value <= contract::any_energy_kwh.max)) {
        problems.push_back(fmt::format("{} {:g} is impossible", name_of(quantity), *value));
        value.reset();
        return;
    }
    auto& counter = counters_[index_of(quantity)];
    constexpr double agreement_kwh = 1;
    const bool goes_on = !counter.accepted || *value >= *counter.accepted;
    const bool confirmed = counter.doubted && *value >= *counter.doubted && *value - *counter.doubted <= agreement_kwh;
    if (goes_on || confirmed) {
        counter = {.accepted = *value, .doubted = {}};
        return;
    }
    problems.push_back(fmt::format("{} went back from {:g} to {:g}", name_of(quantity), *counter.accepted, *value));
    counter.doubted = *value;
    value.reset();
}

Reading PlausibilityFilter::accept(Reading reading, std::vector<std::string>& problems) {
    check_powers(reading, problems);
    if (reading.battery_soc_pct && !(*reading.battery_soc_pct >= 0 && *reading.battery_soc_pct <= 100)) {
        problems.push_back(fmt::format("battery_soc_pct {:g} is outside 0 to 100", *reading.battery_soc_pct));
        reading.battery_soc_pct.reset();
    }
    for (std::size_t phase = 0; phase < reading.voltage_v.size(); ++phase) {
        auto& volts = reading.voltage_v[phase];
        if (volts && !(*volts >= 0 && *volts <= contract::any_voltage_v.max)) {
            problems.push_back(fmt::format("voltage_v {:g} is impossible", *volts));
            volts.reset();
        }
        auto& amps = reading.grid_a[phase];
        if (amps && !(std::abs(*amps) <= contract::any_current_a.max)) {
            problems.push_back(fmt::format("grid_a {:g} is impossible", *amps));
            amps.reset();
        }
    }
    for (const Quantity quantity : {Quantity::import_kwh, Quantity::export_kwh, Quantity::pv_kwh}) {
        check_counter(reading, quantity, problems);
    }
    return reading;
}

}  // namespace ems_bridge
