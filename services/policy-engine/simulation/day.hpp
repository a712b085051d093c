#pragma once

#include <array>
#include <functional>
#include <iosfwd>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "policy-engine/config.hpp"

/// A day of sun and load, a car, a meter, and a law between them.
namespace policy_engine::simulation {

/// One second of the world without the car.
struct Second {
    double pv_w = 0;
    double load_w = 0;
};

/// Reads `t_s,pv_w,load_w` with a header line. Coarser samples hold until the next one; `t_s` must rise. Throws
/// std::runtime_error naming file, line and what is wrong.
std::vector<Second> read_trace(std::istream& text, const std::string& name);

/// A home battery that keeps the grid power at 0 on its own, a second or two behind. It loses nothing.
struct HomeBattery {
    double capacity_kwh = 10;
    double max_power_w = 5000;  ///< Charging and discharging.
    double soc_pct = 50;        ///< At the beginning of the day.
};

struct DayOptions {
    int phases = 1;
    double voltage_v = 230;
    double min_a = 6;
    double max_a = 32;
    double grid_weight = 1;        ///< For `net_kwh`.
    double start_cost_kwh = 0.02;  ///< What a start costs, for `net_kwh`: wear and a car that tires of them.
    double import_price = 0;
    double export_price = 0;
    std::optional<double> main_fuse_a;
    std::optional<HomeBattery> battery;
};

/// What the law is told each second: a meter that is one second late, and the charger's own report.
struct Observation {
    double t_s = 0;
    double grid_w = 0;  ///< As it was one second ago.
    double pv_w = 0;
    double drawn_a = 0;
    std::optional<double> battery_w;        ///< + discharge; with the grid power. None: there is no battery.
    std::optional<double> battery_soc_pct;  ///< In whole percent, as batteries report it.
};

/// Answers with the current to offer; 0: none.
using Law = std::function<double(const Observation&)>;

/// Metrics of one day (control notes F2, numbers in brackets). What the car takes is judged by what it changes: against
/// the same day, with the same battery, without the car. What it makes the house import, and what is missing from the
/// battery at the end, is from the grid; the rest would have been exported.
struct Metrics {
    double surplus_kwh = 0;   ///< What the house would have exported without the car.
    double solar_kwh = 0;     ///< Of the sun, into the car.
    double grid_kwh = 0;      ///< Imported for the car, at once or later [3].
    double exported_kwh = 0;  ///< Exported although the car could take it [4].
    int starts = 0;           ///< [5]
    int stops = 0;
    int set_point_changes = 0;  ///< [6]
    double rmse_w = 0;          ///< Of the grid power against 0 while charging [7].
    double mae_w = 0;
    int seconds_over_limit = 0;  ///< Offered above the maximum, or main fuse exceeded [8].
    double ampere_seconds_over_fuse = 0;
    double peak_quarter_hour_w = 0;  ///< Highest mean import of a quarter of an hour.
    double bound_relaxed_kwh = 0;    ///< Upper bound with any current down to 0 [F3 a].
    double bound_no_import_kwh = 0;  ///< Upper bound from the minimum current on, without import [F3 b]; no battery.
    double battery_lag_kwh = 0;      ///< Imported without the car because the battery comes late.
    double net_kwh = 0;              ///< solar − weight × grid − start cost × starts [11].
    double cost = 0;                 ///< Import at its price plus lost feed-in.
};

/// The car: an offer reaches it after 2 s; it begins to draw 10 s after an offer, rises by 1 A/s, falls by 3 A/s, is
/// never full and settles at the whole amperes of what it is offered (control notes A1, F4).
class EndlessCar {
public:
    explicit EndlessCar(double min_a) : min_a_(min_a) {}

    /// One second passes under this offer; gives the current drawn at its end.
    double step(double offered_a);

private:
    static constexpr int transport_s = 2;

    double min_a_;
    std::array<double, transport_s> on_its_way_{};
    std::size_t place_ = 0;
    int powered_s_ = 0;
    double drawn_a_ = 0;
};

Metrics run_day(const std::vector<Second>& day, const DayOptions& options, const Law& law);

nlohmann::json to_json(const Metrics& metrics);

/// The policy core as a law, for one charger.
Law engine_law(const ServiceConfig& config, const DayOptions& options);

/// The options that follow from a configuration: its first charger, its prices, its site.
DayOptions options_for(const ServiceConfig& config);

}  // namespace policy_engine::simulation
