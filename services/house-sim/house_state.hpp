#pragma once

#include <optional>
#include <string>
#include <vector>

#include "contract/schema.hpp"
#include "house-sim/site.hpp"

/// The whole truth about the simulated place, as `house-sim/state` and GET /house.json show it. Signs as in the
/// contract: grid + import, battery + discharge.
namespace house_sim {

struct UnitState {
    std::string id;
    bool linked = false;  ///< It hears a master.
    int state_code = 0;
    double limit_a = 0;    ///< What it answers as its limit.
    double offered_a = 0;  ///< What it really offers the car.
    double drawn_a = 0;    ///< What the car really takes, per phase.
    std::optional<std::string> car;
    double lifetime_kwh = 0;
    bool contactor_tripped = false;
    std::int64_t trips = 0;
    bool wrecked = false;
};

struct CarState {
    std::string name;
    std::string charging_state;
    bool plugged = false;
    bool asleep = false;
    double soc_pct = 0;
    double charge_limit_pct = 0;
    double current_a = 0;
    double power_w = 0;
    int amps_request = 0;
    double session_kwh = 0;
};

struct HouseState {
    std::string time_of_day;  ///< Of the simulated day, "10:45:00".
    double pv_w = 0;
    double load_w = 0;
    double chargers_w = 0;
    double battery_w = 0;
    std::optional<double> battery_soc_pct;
    double grid_w = 0;
    double cloud_factor = 1;  ///< Of the clear-sky power.
    std::vector<double> voltage_v;
    std::vector<double> grid_phase_w;
    std::vector<UnitState> units;
    std::vector<CarState> cars;
};

HouseState describe(const Site& site);

}  // namespace house_sim

namespace contract {

template <>
struct Schema<house_sim::UnitState> {
    static constexpr auto fields() {
        using M = house_sim::UnitState;
        return std::tuple{Field{"id", &M::id},
                          Field{"linked", &M::linked},
                          Field{"state_code", &M::state_code},
                          Field{"limit_a", &M::limit_a}.decimals(2),
                          Field{"offered_a", &M::offered_a}.decimals(2),
                          Field{"drawn_a", &M::drawn_a}.decimals(2),
                          Field{"car", &M::car},
                          Field{"lifetime_kwh", &M::lifetime_kwh}.decimals(2),
                          Field{"contactor_tripped", &M::contactor_tripped},
                          Field{"trips", &M::trips},
                          Field{"wrecked", &M::wrecked}};
    }
};

template <>
struct Schema<house_sim::CarState> {
    static constexpr auto fields() {
        using M = house_sim::CarState;
        return std::tuple{Field{"name", &M::name},
                          Field{"charging_state", &M::charging_state},
                          Field{"plugged", &M::plugged},
                          Field{"asleep", &M::asleep},
                          Field{"soc_pct", &M::soc_pct}.decimals(2),
                          Field{"charge_limit_pct", &M::charge_limit_pct}.decimals(0),
                          Field{"current_a", &M::current_a}.decimals(2),
                          Field{"power_w", &M::power_w}.decimals(0),
                          Field{"amps_request", &M::amps_request},
                          Field{"session_kwh", &M::session_kwh}.decimals(3)};
    }
};

template <>
struct Schema<house_sim::HouseState> {
    static constexpr auto fields() {
        using M = house_sim::HouseState;
        return std::tuple{Field{"time_of_day", &M::time_of_day}.timing(),
                          Field{"pv_w", &M::pv_w}.dead_band(10).decimals(1),
                          Field{"load_w", &M::load_w}.dead_band(10).decimals(1),
                          Field{"chargers_w", &M::chargers_w}.dead_band(10).decimals(1),
                          Field{"battery_w", &M::battery_w}.dead_band(10).decimals(1),
                          Field{"battery_soc_pct", &M::battery_soc_pct}.dead_band(0.5).decimals(1),
                          Field{"grid_w", &M::grid_w}.dead_band(10).decimals(1),
                          Field{"cloud_factor", &M::cloud_factor}.dead_band(0.02).decimals(2),
                          Field{"voltage_v", &M::voltage_v}.dead_band(1).decimals(1),
                          Field{"grid_phase_w", &M::grid_phase_w}.dead_band(10).decimals(1),
                          Field{"units", &M::units},
                          Field{"cars", &M::cars}};
    }
};

}  // namespace contract
