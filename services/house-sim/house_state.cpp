#include "house-sim/house_state.hpp"

#include <fmt/format.h>

namespace house_sim {

namespace {

std::string clock_text(double second_of_day) {
    const int seconds = static_cast<int>(second_of_day);
    return fmt::format("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
}

UnitState describe_unit(const Site& site, std::size_t index) {
    const auto& unit = site.line().units()[index];
    UnitState state{.id = id_text(unit.id()),
                    .linked = unit.linked(site.now()),
                    .state_code = unit.state(),
                    .limit_a = unit.limit_a(),
                    .offered_a = unit.pilot_a(),
                    .lifetime_kwh = unit.lifetime_kwh(),
                    .contactor_tripped = unit.contactor_tripped(),
                    .trips = static_cast<std::int64_t>(unit.trips()),
                    .wrecked = unit.wrecked()};
    if (const auto car = site.car_on(index)) {
        state.car = site.cars()[*car].config().name;
        state.drawn_a = site.cars()[*car].current_a();
    }
    return state;
}

CarState describe_car(const Car& car) {
    return {.name = car.config().name,
            .charging_state = to_text(car.charging()),
            .plugged = car.plugged(),
            .asleep = car.asleep(),
            .soc_pct = car.soc_pct(),
            .charge_limit_pct = car.charge_limit_pct(),
            .current_a = car.current_a(),
            .power_w = car.power_w(),
            .amps_request = car.amps_request(),
            .session_kwh = car.session_kwh()};
}

}  // namespace

HouseState describe(const Site& site) {
    const auto& house = site.house();
    const auto& flow = house.flow();
    HouseState state{.time_of_day = clock_text(house.second_of_day()),
                     .pv_w = flow.pv_w,
                     .load_w = flow.load_w,
                     .chargers_w = flow.chargers_w,
                     .battery_w = flow.battery_w,
                     .battery_soc_pct = std::nullopt,
                     .grid_w = flow.grid_w,
                     .cloud_factor = house.clouds().factor()};
    if (house.has_battery()) {
        state.battery_soc_pct = flow.battery_soc_pct;
    }
    const auto phases = static_cast<std::ptrdiff_t>(house.config().phases);
    state.voltage_v.assign(flow.voltage_v.begin(), flow.voltage_v.begin() + phases);
    state.grid_phase_w.assign(flow.grid_phase_w.begin(), flow.grid_phase_w.begin() + phases);
    for (std::size_t i = 0; i < site.line().units().size(); ++i) {
        state.units.push_back(describe_unit(site, i));
    }
    for (const auto& car : site.cars()) {
        state.cars.push_back(describe_car(car));
    }
    return state;
}

}  // namespace house_sim
