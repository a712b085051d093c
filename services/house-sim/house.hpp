#pragma once

#include <array>
#include <optional>
#include <vector>

#include "house-sim/car.hpp"
#include "house-sim/household.hpp"
#include "house-sim/weather.hpp"

namespace house_sim {

struct BatteryConfig {
    double capacity_kwh = 0;  ///< 0: there is none.
    double max_charge_w = 5000;
    double max_discharge_w = 5000;
    double soc_pct = 50;
    double reserve_pct = 5;  ///< Not discharged below.
};

/// One moment of a recorded day.
struct TracePoint {
    double second_of_day = 0;
    double pv_w = 0;
    double load_w = 0;
};

struct HouseConfig {
    int phases = 1;
    double voltage_v = 230;
    double start_s = 11 * 3600.0;  ///< Second of the day at which the simulation begins.
    double peak_w = 8000;
    double sunrise_s = 5.5 * 3600;
    double sunset_s = 20.5 * 3600;
    Sky sky = Sky::broken;
    int inverter_phases = 1;
    double base_load_w = 280;
    bool appliances = true;
    BatteryConfig battery;
    std::vector<TracePoint> trace;  ///< A recorded day in place of the modelled sun and household.
};

using PerPhaseWatts = std::array<double, 3>;

/// The electrical truth of one instant. Signs as in the contract: grid + import, battery + discharge.
struct PowerFlow {
    double pv_w = 0;
    double load_w = 0;  ///< Without the chargers.
    double chargers_w = 0;
    double battery_w = 0;
    double grid_w = 0;  ///< = load + chargers − pv − battery
    PerPhaseWatts grid_phase_w{};
    PerPhaseWatts load_phase_w{};
    PerPhaseWatts pv_phase_w{};
    Voltages voltage_v{};
    double battery_soc_pct = 0;
};

/// Counters of a lifetime, Wh.
struct Energies {
    double pv_wh = 4'321'000;
    double import_wh = 3'456'000;
    double export_wh = 2'345'000;
    double battery_in_wh = 0;
    double battery_out_wh = 0;
    double load_wh = 7'654'000;  ///< chargers included
};

/// Sun, household, home battery and grid connection; cars come in as a load from outside.
class House {
public:
    House(HouseConfig config, std::uint64_t seed);

    /// Lets time pass with that much drawn by the chargers on each phase.
    void advance(const Step& step, const PerPhaseWatts& chargers_w);

    const HouseConfig& config() const { return config_; }
    const PowerFlow& flow() const { return flow_; }
    const Energies& energies() const { return energies_; }
    bool has_battery() const { return config_.battery.capacity_kwh > 0; }
    /// 0 to 86400, wraps at midnight.
    double second_of_day() const { return second_of_day_; }
    Clouds& clouds() { return clouds_; }
    const Clouds& clouds() const { return clouds_; }
    Household& household() { return household_; }

private:
    void follow_sun_and_household(const Step& step);
    void regulate_battery(const Step& step);
    void settle_phases(const PerPhaseWatts& chargers_w);
    void count(double day_s);
    TracePoint trace_now() const;

    HouseConfig config_;
    Random random_;
    Clouds clouds_;
    Household household_;
    double second_of_day_;
    double battery_lag_s_;
    double battery_kwh_;
    double voltage_drift_v_ = 0;
    PowerFlow flow_;
    Energies energies_;
};

}  // namespace house_sim
