#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "policy-engine/config.hpp"
#include "policy-engine/simulation/capture.hpp"

/// The policy core, second by second, against a whole simulated site.
namespace policy_engine::simulation {

struct SiteDay {
    WallTime start{};                 ///< Of `seconds[0]`; a whole second.
    std::vector<SiteSecond> seconds;  ///< At least one; with a battery only where a recorded one is to be replayed.
    Tariff tariff;
    std::string currency;              ///< Empty: not known.
    std::vector<std::string> remarks;  ///< What a reader of the results must know of the day.
};

struct CarSetup {
    std::string name;
    std::optional<double> battery_kwh;  ///< None: it is never full.
    double soc_pct = 50;                ///< When it is plugged in first.
    double limit_pct = 80;              ///< It takes no more from here on.
    double max_a = 32;
    int phases = 3;                        ///< Of its onboard charger.
    std::optional<double> taper_from_pct;  ///< From here its current falls, to a tenth at 100 %.
    bool linked = false;                   ///< tesla-bridge knows it: its charge is seen, its charge can be stopped.
};

struct ChargerSetup {
    std::string id;
    int phases = 1;
    double max_a = 32;          ///< Rating of the unit.
    std::vector<Span> plugged;  ///< In order, without overlaps.
    CarSetup car;
};

/// A battery whose inverter keeps the grid meter at 0 as far as it can, the cars included.
struct BatterySetup {
    double capacity_kwh = 10;
    double soc_pct = 50;
    double reserve_pct = 10;  ///< It does not discharge below.
    double max_charge_w = 5000;
    double max_discharge_w = 5000;
    double efficiency_pct = 90;  ///< Of a round trip.
};

struct SiteSetup {
    std::vector<ChargerSetup> chargers;   ///< Sorted by id.
    std::optional<BatterySetup> battery;  ///< None: the recorded one is replayed as it was, if there was one.
};

/// A sum over energy, of which some may have no known price.
struct Tally {
    double sum = 0;
    double unknown_kwh = 0;  ///< Energy that is not in the sum.
    double known_kwh = 0;

    void add(double kwh, std::optional<double> per_kwh);
    Tally& operator+=(const Tally& other);
    /// None when there is energy, and no price for any of it.
    std::optional<double> value() const;
};

struct ReasonSpan {
    Span span;
    Reason reason = Reason::mode_off;
    bool operator==(const ReasonSpan&) const = default;
};

/// What charging took and did.
struct ChargeMetrics {
    double sun_kwh = 0;      ///< Straight from the sun.
    double battery_kwh = 0;  ///< From the home battery.
    double grid_kwh = 0;     ///< Imported because of it.
    Tally cost;              ///< Import at its price, the rest at the feed-in price that was given up.
    Tally co2_g;             ///< Of what was imported.
    int starts = 0;          ///< By measured current.
    int stops = 0;
    int set_point_changes = 0;
    double plugged_s = 0;
    double charging_s = 0;
    std::map<Limit, double> limited_s;  ///< How long each limit was the one that bound.

    double kwh() const { return sun_kwh + battery_kwh + grid_kwh; }
    ChargeMetrics& operator+=(const ChargeMetrics& other);
};

/// Means of `SiteRun::step_s` seconds.
using Series = std::vector<double>;
using OptionalSeries = std::vector<std::optional<double>>;

struct ChargerRun {
    std::string id;
    std::string car;
    ChargeMetrics metrics;
    std::optional<double> soc_begin_pct;  ///< None: its battery is not modelled.
    std::optional<double> soc_end_pct;
    std::vector<ReasonSpan> reasons;  ///< From the first second to the last, without gaps.
    Series power_w;
    Series offered_a;
    OptionalSeries soc_pct;  ///< While plugged in.
};

struct SiteRun {
    WallTime start{};
    std::size_t length_s = 0;
    std::size_t step_s = 60;
    std::string currency;
    std::vector<std::string> remarks;

    double pv_kwh = 0;
    double house_kwh = 0;  ///< Without the cars.
    double import_kwh = 0;
    double export_kwh = 0;
    bool has_battery = false;
    double charged_kwh = 0;     ///< Into the home battery.
    double discharged_kwh = 0;  ///< Out of it.
    std::optional<double> soc_begin_pct;
    std::optional<double> soc_end_pct;
    double peak_quarter_hour_w = 0;  ///< Highest mean import of a quarter of an hour of the clock.
    Tally bill;                      ///< Import less feed-in, at their prices.
    int seconds_over_limit = 0;      ///< Offered above a rating or the wiring limit, or the main fuse exceeded.
    std::vector<ChargerRun> chargers;

    Series pv_w;
    Series house_w;  ///< Without the cars.
    Series battery_w;
    Series grid_w;
    OptionalSeries soc_pct;
    OptionalSeries import_price;
    OptionalSeries export_price;

    /// Of all chargers together.
    ChargeMetrics cars() const;
    /// Part of the sun's energy that was not exported; none without sun.
    std::optional<double> self_consumption() const;
    /// Part of what house and cars used that was not imported.
    std::optional<double> self_sufficiency() const;
};

/// Runs the day. The meter is one second late. An offer reaches a car after 2 s; it begins to draw 10 s after, rises
/// by 1 A/s and falls by 3 A/s (control notes F4). The house's own power is spread evenly over the phases.
SiteRun run_site(const ServiceConfig& config, const SiteDay& day, const SiteSetup& setup);

}  // namespace policy_engine::simulation
