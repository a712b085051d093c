#pragma once

#include <array>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "contract/schema.hpp"

/// Every payload of the contract. Member names are the JSON keys, units included. Signs: `grid_w` + import,
/// − export; `battery_w` + discharge, − charge; `pv_w` ≥ 0; `house_w` includes the chargers.
namespace contract {

inline constexpr int schema_number = 1;

/// One value per phase L1..L3; unknown or absent phases are nullopt.
using PerPhase = std::array<std::optional<double>, 3>;

/// `service/<svc>/info`
struct ServiceInfo {
    std::string version;
    int schema = schema_number;
    WallTime started;
    std::string host;
    bool operator==(const ServiceInfo&) const = default;
};

/// `bus/limit/set`: what policy-engine allows each charger to offer, in amps per phase. A lease: it lapses `ttl_s`
/// after it arrived. A linked charger that is not named keeps no claim and counts as 0. `max_a` lowers the wiring
/// limit for the sum of all chargers, on each conductor; it holds beyond the lease until the next message.
struct LimitSet {
    double ttl_s = 30;
    std::int64_t seq = 0;
    std::map<std::string, double> chargers;
    std::optional<double> max_a;
    bool operator==(const LimitSet&) const = default;
};

/// One of several RS-485 lines that one twc-bus serves.
struct BusLine {
    std::string link = "opening";  ///< As in BusState.
    std::string role = "master";   ///< As in BusState.
    std::vector<std::string> chargers;
    std::optional<bool> healthy;
    std::optional<std::string> health;
    bool operator==(const BusLine&) const = default;
};

/// `bus/state`
struct BusState {
    std::optional<WallTime> ts;
    /// opening, ok, no_answer (port open, nobody answers), down (no port). Of several lines: the best.
    std::string link = "opening";
    /// master (takes limits), other master heard (takes limits, but raises nothing beside it), listen (only looks at
    /// the bus of another master), slave (is a unit of another master); the last two refuse limits.
    std::string role = "master";
    std::optional<std::string> master;  ///< Roles listen and slave: the ID of the one who decides, if there is one.
    std::vector<std::string> chargers;  ///< linked, sorted
    double granted_a = 0;  ///< Sum that the chargers may draw at this instant. Role slave: this unit alone.
    double drawn_a = 0;    ///< Sum of what they say they draw. Role slave: this unit alone.
    double limit_a = 0;    ///< Wiring limit for the sum; role slave: this unit's rating; 0: not known.
    std::optional<double> charger_min_a;  ///< From twc-bus's own config, for policy-engine to plan with.
    std::optional<double> charger_max_a;
    std::optional<double> failsafe_a;
    std::optional<double> lease_s;  ///< What is left of the lease; null without one.
    bool failsafe = false;          ///< No lease: the fail-safe current is in force.
    bool estop = false;
    std::string reason;  ///< What keeps chargers from more now.
    std::optional<bool> healthy;
    std::optional<std::string> health;  ///< Whether the line works as it should, and if not, what to look at.
    std::optional<std::map<std::string, BusLine>> lines;  ///< By name, when there are several.
    bool operator==(const BusState&) const = default;
};

/// `charger/<id>/state`
struct ChargerState {
    std::optional<WallTime> ts;
    /// ready, charging, fault, plugged, waiting, busy, starting, adjusting, silenced (gets no heartbeats, so that it
    /// stops), unknown
    std::string state = "unknown";
    std::optional<int> state_code;  ///< As sent by the unit (twc-protocol 5).
    std::optional<bool> plugged;
    std::optional<bool> charging;     ///< Draws at least 1 A (twc-protocol 5: the state alone is unreliable).
    std::optional<double> limit_a;    ///< What the unit says it works to.
    std::optional<double> granted_a;  ///< What twc-bus grants; on the bus of another master: what that one told last.
    std::optional<int> order_code;    ///< On the bus of another master: its newest command (twc-protocol 4).
    std::optional<double> current_a;  ///< Drawn now, per phase.
    std::optional<double> power_w;
    std::optional<double> voltage_l1_v;
    std::optional<double> voltage_l2_v;
    std::optional<double> voltage_l3_v;
    std::optional<int> phases;
    std::optional<double> energy_kwh;    ///< Counted by us; never decreases.
    std::optional<double> lifetime_kwh;  ///< The unit's own counter.
    std::optional<double> session_kwh;
    std::optional<WallTime> session_start;
    std::optional<std::string> vin;
    std::optional<std::string> serial;
    std::optional<std::string> firmware;
    std::optional<int> protocol;
    std::optional<double> max_a;  ///< The unit's hardware rating.
    std::optional<std::string> fault;
    bool operator==(const ChargerState&) const = default;
};

/// `ems/state`, and the readings of `ems/source/<name>/state`.
struct SitePower {
    std::optional<WallTime> ts;
    std::optional<double> grid_w;
    std::optional<double> pv_w;
    std::optional<double> house_w;
    std::optional<double> battery_w;
    std::optional<double> battery_soc_pct;
    PerPhase grid_a{};     ///< + import, − export
    PerPhase voltage_v{};  ///< Line to neutral.
    std::optional<double> import_kwh;
    std::optional<double> export_kwh;
    std::optional<double> pv_kwh;
    std::string quality = "error";     ///< ok, partial, estimated, stale, error
    std::optional<double> age_s;       ///< Of the oldest value that is shown; null when nothing is.
    std::optional<double> grid_age_s;  ///< Of grid_w alone: a slow PV source must not make it look old.
    std::vector<std::string> missing;  ///< Sources that give nothing now.
    bool operator==(const SitePower&) const = default;
};

/// `ems/source/<name>/state`
struct SourceState {
    std::string type;
    bool ok = false;
    std::optional<std::string> error;
    std::optional<WallTime> ts;
    std::optional<double> age_s;
    std::optional<double> grid_w;
    std::optional<double> pv_w;
    std::optional<double> house_w;
    std::optional<double> battery_w;
    std::optional<double> battery_soc_pct;
    PerPhase grid_a{};
    PerPhase voltage_v{};
    std::optional<double> import_kwh;
    std::optional<double> export_kwh;
    std::optional<double> pv_kwh;
    bool operator==(const SourceState&) const = default;
};

/// What a kilowatt-hour costs for a stretch of time; unknown prices are nullopt. Negative ones exist.
struct TariffSlot {
    WallTime start;
    WallTime end;                        ///< Exclusive; after `start`.
    std::optional<double> import_price;  ///< Per kWh, all taxes and fees included.
    std::optional<double> export_price;  ///< Per kWh fed in.
    std::optional<double> co2_g_kwh;     ///< Of what comes from the grid.
    bool operator==(const TariffSlot&) const = default;
};

/// `ems/tariff/state`
struct TariffState {
    std::optional<WallTime> ts;
    std::optional<std::string> currency;  ///< ISO 4217, such as EUR.
    std::optional<double> import_price;   ///< Now.
    std::optional<double> export_price;   ///< Now.
    std::optional<double> co2_g_kwh;      ///< Now.
    std::vector<TariffSlot> slots;        ///< From the one in force on; in order, without overlaps, gaps allowed.
    std::string quality = "error";        ///< ok, partial (a source is missing), stale, error (nothing is known)
    std::vector<std::string> missing;     ///< Sources that give nothing now.
    bool operator==(const TariffState&) const = default;
};

/// What the sun is expected to give in a stretch of time.
struct ForecastSlot {
    WallTime start;
    WallTime end;     ///< Exclusive; after `start`.
    double pv_w = 0;  ///< Mean power of the whole site.
    bool operator==(const ForecastSlot&) const = default;
};

/// `ems/forecast/state`
struct ForecastState {
    std::optional<WallTime> ts;
    std::vector<ForecastSlot> slots;  ///< From the one we are in on; in order, without overlaps, gaps allowed.
    std::optional<double> today_kwh;  ///< Still to come today.
    std::optional<double> tomorrow_kwh;
    std::string quality = "error";     ///< As in TariffState.
    std::vector<std::string> missing;  ///< Sources that give nothing now.
    bool operator==(const ForecastState&) const = default;
};

/// `vehicle/<alias>/state`
struct VehicleState {
    std::optional<WallTime> ts;
    std::optional<double> soc_pct;
    std::optional<double> charge_limit_pct;
    std::optional<std::string> charging_state;  ///< disconnected, stopped, starting, charging, complete, no_power
    std::optional<double> charge_amps;          ///< What the car draws.
    std::optional<double> charge_amps_set;      ///< What the car was told to draw.
    std::optional<std::string> sleep_state;     ///< online, asleep, offline
    std::optional<bool> plugged;
    std::optional<bool> at_home;
    std::optional<double> range_km;
    std::optional<double> time_to_full_min;
    std::optional<std::string> vin;
    bool can_command = false;  ///< A back end that takes commands is configured and healthy.
    std::optional<std::string> last_command;
    std::optional<std::string> last_error;
    std::optional<WallTime> updated;  ///< When the car itself was last heard.
    std::optional<double> age_s;
    bool operator==(const VehicleState&) const = default;
};

/// An upper limit that is in force for what the chargers draw together.
struct LimitInForce {
    std::string name;               ///< As in `binding_limit`: wiring, house_l1, import_cap, dimming, ...
    std::string reason;             ///< Where it comes from, in words.
    std::optional<double> limit_a;  ///< What was set, in amps per phase …
    std::optional<double> limit_w;  ///< … or in watts.
    std::optional<double> room_a;   ///< What it leaves to the chargers now, rounded down to whole amps …
    std::optional<double> room_w;   ///< … or to hundreds of watts.
    std::optional<WallTime> until;  ///< None: as long as it is set.
    bool operator==(const LimitInForce&) const = default;
};

/// `policy/state`
struct PolicyState {
    std::optional<WallTime> ts;
    std::string mode = "off";
    std::optional<std::string> rule;
    std::string reason;
    std::optional<double> countdown_s;
    double allocated_a = 0;
    std::optional<double> surplus_w;
    std::optional<std::string> binding_limit;
    /// By name, in mode rules: "active", or what keeps it from being so.
    std::optional<std::map<std::string, std::string>> rules;
    /// The home battery should not discharge now: a car charges from the grid. For whoever can hold it.
    std::optional<bool> battery_hold;
    std::optional<std::vector<LimitInForce>> limits;  ///< Of all chargers together; those of each are in its state.
    bool operator==(const PolicyState&) const = default;
};

/// A stretch of charging at full current that a plan has chosen.
struct PlannedCharge {
    WallTime start;
    WallTime end;  ///< Exclusive.
    double energy_kwh = 0;
    bool operator==(const PlannedCharge&) const = default;
};

/// How one goal of `policy/plan/set` stands.
struct PlanReport {
    std::optional<std::string> vehicle;  ///< Whose goal it is: of a vehicle …
    std::optional<std::string> charger;  ///< … or of a charger. With both: the vehicle is at this charger.
    std::optional<double> soc_pct;       ///< What it wants: a state of charge …
    std::optional<double> energy_kwh;    ///< … or an energy from the wall.
    WallTime by;                         ///< Its next deadline, or the one that has passed and is still pursued.
    std::string strategy;
    std::string state = "pending";  ///< pending (no charger pursues it now), unknown, reached, waiting, charging, ...
    std::optional<double> charged_kwh;
    std::optional<double> needed_kwh;      ///< Still, from the wall.
    std::optional<double> sun_kwh;         ///< Of it expected from the sun outside `runs`.
    std::optional<double> cost;            ///< Of what is needed.
    std::optional<double> co2_g;           ///< The same.
    std::optional<bool> can_be_met;        ///< False: even full current from now on is too late.
    std::optional<WallTime> latest_start;  ///< From then on it charges whatever it costs.
    std::vector<PlannedCharge> runs;
    bool operator==(const PlanReport&) const = default;
};

/// `policy/plan/state`
struct PlansState {
    std::optional<WallTime> ts;
    std::vector<PlanReport> plans;
    bool operator==(const PlansState&) const = default;
};

/// `policy/charger/<id>/state`
struct PolicyChargerState {
    std::optional<WallTime> ts;
    double target_a = 0;
    std::string reason;       ///< One sentence.
    std::string reason_code;  ///< For programs.
    std::optional<double> countdown_s;
    std::optional<std::string> binding_limit;
    int priority = 0;
    bool enabled = true;
    std::optional<double> max_a;
    std::optional<std::string> vehicle;  ///< Alias of the matched vehicle.
    std::optional<double> session_solar_pct;
    std::optional<double> session_cost;
    int starts_today = 0;
    bool operator==(const PolicyChargerState&) const = default;
};

/// `policy/override/state`
struct OverrideState {
    bool active = false;
    std::string scope = "all";   ///< all or a charger id
    std::optional<double> amps;  ///< null while active: as much as the limits allow
    std::optional<WallTime> until;
    std::optional<std::string> source;
    bool operator==(const OverrideState&) const = default;
};

inline constexpr std::array<const char*, 4> bus_links{"opening", "ok", "no_answer", "down"};
inline constexpr std::array<const char*, 5> qualities{"ok", "partial", "estimated", "stale", "error"};
inline constexpr std::array<const char*, 6> modes{"off", "solar", "min_solar", "fast", "scheduled", "rules"};
inline constexpr std::array<const char*, 7> plan_states{"pending",  "unknown", "reached", "waiting",
                                                        "charging", "late",    "overrun"};

template <>
struct Schema<ServiceInfo> {
    static constexpr auto fields() {
        using M = ServiceInfo;
        return std::tuple{Field{"version", &M::version}, Field{"schema", &M::schema}, Field{"started", &M::started},
                          Field{"host", &M::host}};
    }
};

template <>
struct Schema<LimitSet> {
    static constexpr auto fields() {
        using M = LimitSet;
        return std::tuple{Field{"ttl_s", &M::ttl_s}.in({1, 600}), Field{"seq", &M::seq}.in(not_negative),
                          Field{"chargers", &M::chargers}.in(charge_current_a),
                          Field{"max_a", &M::max_a}.in({0, 1000})};
    }
};

template <>
struct Schema<BusLine> {
    static constexpr auto fields() {
        using M = BusLine;
        return std::tuple{Field{"link", &M::link}.one_of(bus_links), Field{"role", &M::role},
                          Field{"chargers", &M::chargers}, Field{"healthy", &M::healthy}, Field{"health", &M::health}};
    }
};

template <>
struct Schema<BusState> {
    static constexpr auto fields() {
        using M = BusState;
        return std::tuple{Field{"ts", &M::ts}.timing(),
                          Field{"link", &M::link}.one_of(bus_links),
                          Field{"role", &M::role},
                          Field{"master", &M::master},
                          Field{"chargers", &M::chargers},
                          Field{"granted_a", &M::granted_a}.in(not_negative),
                          Field{"drawn_a", &M::drawn_a}.in(not_negative).dead_band(0.3).decimals(2),
                          Field{"limit_a", &M::limit_a}.in(not_negative),
                          Field{"charger_min_a", &M::charger_min_a}.in(charge_current_a),
                          Field{"charger_max_a", &M::charger_max_a}.in(charge_current_a),
                          Field{"failsafe_a", &M::failsafe_a}.in(charge_current_a),
                          Field{"lease_s", &M::lease_s}.in(any_duration_s).timing().decimals(1),
                          Field{"failsafe", &M::failsafe},
                          Field{"estop", &M::estop},
                          Field{"reason", &M::reason},
                          Field{"healthy", &M::healthy},
                          Field{"health", &M::health},
                          Field{"lines", &M::lines}};
    }
};

template <>
struct Schema<ChargerState> {
    static constexpr auto fields() {
        using M = ChargerState;
        return std::tuple{Field{"ts", &M::ts}.timing(),
                          Field{"state", &M::state},
                          Field{"state_code", &M::state_code}.in({0, 255}),
                          Field{"plugged", &M::plugged},
                          Field{"charging", &M::charging},
                          Field{"limit_a", &M::limit_a}.in({0, 655.35}),
                          Field{"granted_a", &M::granted_a}.in({0, 655.35}),
                          Field{"order_code", &M::order_code}.in({0, 255}),
                          Field{"current_a", &M::current_a}.in({0, 655.35}).dead_band(0.2).decimals(2),
                          Field{"power_w", &M::power_w}.in(any_power_w).dead_band(50).decimals(0),
                          Field{"voltage_l1_v", &M::voltage_l1_v}.in(any_voltage_v).dead_band(1.5),
                          Field{"voltage_l2_v", &M::voltage_l2_v}.in(any_voltage_v).dead_band(1.5),
                          Field{"voltage_l3_v", &M::voltage_l3_v}.in(any_voltage_v).dead_band(1.5),
                          Field{"phases", &M::phases}.in({1, 3}),
                          Field{"energy_kwh", &M::energy_kwh}.in(any_energy_kwh).dead_band(0.02),
                          Field{"lifetime_kwh", &M::lifetime_kwh}.in(any_energy_kwh),
                          Field{"session_kwh", &M::session_kwh}.in(any_energy_kwh).dead_band(0.02),
                          Field{"session_start", &M::session_start},
                          Field{"vin", &M::vin},
                          Field{"serial", &M::serial},
                          Field{"firmware", &M::firmware},
                          Field{"protocol", &M::protocol}.in({1, 2}),
                          Field{"max_a", &M::max_a}.in({0, 655.35}),
                          Field{"fault", &M::fault}};
    }
};

template <>
struct Schema<SitePower> {
    static constexpr auto fields() {
        using M = SitePower;
        return std::tuple{Field{"ts", &M::ts}.timing(),
                          Field{"grid_w", &M::grid_w}.in(any_power_w).dead_band(10).decimals(1),
                          Field{"pv_w", &M::pv_w}.in(any_power_w).dead_band(10).decimals(1),
                          Field{"house_w", &M::house_w}.in(any_power_w).dead_band(10).decimals(1),
                          Field{"battery_w", &M::battery_w}.in(any_power_w).dead_band(10).decimals(1),
                          Field{"battery_soc_pct", &M::battery_soc_pct}.in(percent).dead_band(0.5).decimals(1),
                          Field{"grid_a", &M::grid_a}.in(any_current_a).dead_band(0.2).decimals(2),
                          Field{"voltage_v", &M::voltage_v}.in(any_voltage_v).dead_band(1).decimals(1),
                          Field{"import_kwh", &M::import_kwh}.in(any_energy_kwh).dead_band(0.05),
                          Field{"export_kwh", &M::export_kwh}.in(any_energy_kwh).dead_band(0.05),
                          Field{"pv_kwh", &M::pv_kwh}.in(any_energy_kwh).dead_band(0.05),
                          Field{"quality", &M::quality}.one_of(qualities),
                          Field{"age_s", &M::age_s}.in(any_duration_s).timing().decimals(2),
                          Field{"grid_age_s", &M::grid_age_s}.in(any_duration_s).timing().decimals(2),
                          Field{"missing", &M::missing}};
    }
};

template <>
struct Schema<SourceState> {
    static constexpr auto fields() {
        using M = SourceState;
        return std::tuple{Field{"type", &M::type},
                          Field{"ok", &M::ok},
                          Field{"error", &M::error},
                          Field{"ts", &M::ts}.timing(),
                          Field{"age_s", &M::age_s}.in(any_duration_s).timing().decimals(2),
                          Field{"grid_w", &M::grid_w}.in(any_power_w).dead_band(10).decimals(1),
                          Field{"pv_w", &M::pv_w}.in(any_power_w).dead_band(10).decimals(1),
                          Field{"house_w", &M::house_w}.in(any_power_w).dead_band(10).decimals(1),
                          Field{"battery_w", &M::battery_w}.in(any_power_w).dead_band(10).decimals(1),
                          Field{"battery_soc_pct", &M::battery_soc_pct}.in(percent).dead_band(0.5).decimals(1),
                          Field{"grid_a", &M::grid_a}.in(any_current_a).dead_band(0.2).decimals(2),
                          Field{"voltage_v", &M::voltage_v}.in(any_voltage_v).dead_band(1).decimals(1),
                          Field{"import_kwh", &M::import_kwh}.in(any_energy_kwh).dead_band(0.05),
                          Field{"export_kwh", &M::export_kwh}.in(any_energy_kwh).dead_band(0.05),
                          Field{"pv_kwh", &M::pv_kwh}.in(any_energy_kwh).dead_band(0.05)};
    }
};

template <>
struct Schema<TariffSlot> {
    static constexpr auto fields() {
        using M = TariffSlot;
        return std::tuple{Field{"start", &M::start}, Field{"end", &M::end},
                          Field{"import_price", &M::import_price}.in(any_price).decimals(5),
                          Field{"export_price", &M::export_price}.in(any_price).decimals(5),
                          Field{"co2_g_kwh", &M::co2_g_kwh}.in(any_co2_g_kwh).decimals(1)};
    }
};

template <>
struct Schema<TariffState> {
    static constexpr auto fields() {
        using M = TariffState;
        return std::tuple{Field{"ts", &M::ts}.timing(),
                          Field{"currency", &M::currency},
                          Field{"import_price", &M::import_price}.in(any_price).decimals(5),
                          Field{"export_price", &M::export_price}.in(any_price).decimals(5),
                          Field{"co2_g_kwh", &M::co2_g_kwh}.in(any_co2_g_kwh).decimals(1),
                          Field{"slots", &M::slots},
                          Field{"quality", &M::quality}.one_of(qualities),
                          Field{"missing", &M::missing}};
    }
};

template <>
struct Schema<ForecastSlot> {
    static constexpr auto fields() {
        using M = ForecastSlot;
        return std::tuple{Field{"start", &M::start}, Field{"end", &M::end},
                          Field{"pv_w", &M::pv_w}.in(any_power_w).decimals(0)};
    }
};

template <>
struct Schema<ForecastState> {
    static constexpr auto fields() {
        using M = ForecastState;
        return std::tuple{Field{"ts", &M::ts}.timing(),
                          Field{"slots", &M::slots},
                          Field{"today_kwh", &M::today_kwh}.in(any_energy_kwh).dead_band(0.05).decimals(2),
                          Field{"tomorrow_kwh", &M::tomorrow_kwh}.in(any_energy_kwh).dead_band(0.05).decimals(2),
                          Field{"quality", &M::quality}.one_of(qualities),
                          Field{"missing", &M::missing}};
    }
};

template <>
struct Schema<VehicleState> {
    static constexpr auto fields() {
        using M = VehicleState;
        return std::tuple{Field{"ts", &M::ts}.timing(),
                          Field{"soc_pct", &M::soc_pct}.in(percent).decimals(1),
                          Field{"charge_limit_pct", &M::charge_limit_pct}.in(percent),
                          Field{"charging_state", &M::charging_state},
                          Field{"charge_amps", &M::charge_amps}.in({0, 200}).decimals(1),
                          Field{"charge_amps_set", &M::charge_amps_set}.in({0, 200}),
                          Field{"sleep_state", &M::sleep_state},
                          Field{"plugged", &M::plugged},
                          Field{"at_home", &M::at_home},
                          Field{"range_km", &M::range_km}.in({0, 2000}).decimals(1),
                          Field{"time_to_full_min", &M::time_to_full_min}.in(not_negative),
                          Field{"vin", &M::vin},
                          Field{"can_command", &M::can_command},
                          Field{"last_command", &M::last_command},
                          Field{"last_error", &M::last_error},
                          Field{"updated", &M::updated}.timing(),
                          Field{"age_s", &M::age_s}.in(any_duration_s).timing().decimals(1)};
    }
};

template <>
struct Schema<LimitInForce> {
    static constexpr auto fields() {
        using M = LimitInForce;
        return std::tuple{Field{"name", &M::name},
                          Field{"reason", &M::reason},
                          Field{"limit_a", &M::limit_a}.in(not_negative),
                          Field{"limit_w", &M::limit_w}.in(any_power_w).decimals(0),
                          Field{"room_a", &M::room_a}.in(not_negative).decimals(0),
                          Field{"room_w", &M::room_w}.in(any_power_w).decimals(0),
                          Field{"until", &M::until}};
    }
};

template <>
struct Schema<PolicyState> {
    static constexpr auto fields() {
        using M = PolicyState;
        return std::tuple{Field{"ts", &M::ts}.timing(),
                          Field{"mode", &M::mode}.one_of(modes),
                          Field{"rule", &M::rule},
                          Field{"reason", &M::reason},
                          Field{"countdown_s", &M::countdown_s}.in(any_duration_s).decimals(0),
                          Field{"allocated_a", &M::allocated_a}.in(not_negative),
                          Field{"surplus_w", &M::surplus_w}.in(any_power_w).dead_band(25).decimals(0),
                          Field{"binding_limit", &M::binding_limit},
                          Field{"rules", &M::rules},
                          Field{"battery_hold", &M::battery_hold},
                          Field{"limits", &M::limits}};
    }
};

template <>
struct Schema<PlannedCharge> {
    static constexpr auto fields() {
        using M = PlannedCharge;
        return std::tuple{Field{"start", &M::start}, Field{"end", &M::end},
                          Field{"energy_kwh", &M::energy_kwh}.in(any_energy_kwh).decimals(1)};
    }
};

template <>
struct Schema<PlanReport> {
    static constexpr auto fields() {
        using M = PlanReport;
        return std::tuple{Field{"vehicle", &M::vehicle},
                          Field{"charger", &M::charger},
                          Field{"soc_pct", &M::soc_pct}.in(percent),
                          Field{"energy_kwh", &M::energy_kwh}.in(any_energy_kwh),
                          Field{"by", &M::by},
                          Field{"strategy", &M::strategy},
                          Field{"state", &M::state}.one_of(plan_states),
                          Field{"charged_kwh", &M::charged_kwh}.in(any_energy_kwh).decimals(1),
                          Field{"needed_kwh", &M::needed_kwh}.in(any_energy_kwh).decimals(1),
                          Field{"sun_kwh", &M::sun_kwh}.in(any_energy_kwh).decimals(1),
                          Field{"cost", &M::cost}.decimals(2),
                          Field{"co2_g", &M::co2_g}.decimals(0),
                          Field{"can_be_met", &M::can_be_met},
                          Field{"latest_start", &M::latest_start},
                          Field{"runs", &M::runs}};
    }
};

template <>
struct Schema<PlansState> {
    static constexpr auto fields() {
        using M = PlansState;
        return std::tuple{Field{"ts", &M::ts}.timing(), Field{"plans", &M::plans}};
    }
};

template <>
struct Schema<PolicyChargerState> {
    static constexpr auto fields() {
        using M = PolicyChargerState;
        return std::tuple{Field{"ts", &M::ts}.timing(),
                          Field{"target_a", &M::target_a}.in(charge_current_a),
                          Field{"reason", &M::reason},
                          Field{"reason_code", &M::reason_code},
                          Field{"countdown_s", &M::countdown_s}.in(any_duration_s).decimals(0),
                          Field{"binding_limit", &M::binding_limit},
                          Field{"priority", &M::priority}.in({0, 10}),
                          Field{"enabled", &M::enabled},
                          Field{"max_a", &M::max_a}.in(charge_current_a),
                          Field{"vehicle", &M::vehicle},
                          Field{"session_solar_pct", &M::session_solar_pct}.in(percent).dead_band(1).decimals(0),
                          Field{"session_cost", &M::session_cost}.dead_band(0.01).decimals(2),
                          Field{"starts_today", &M::starts_today}.in(not_negative)};
    }
};

template <>
struct Schema<OverrideState> {
    static constexpr auto fields() {
        using M = OverrideState;
        return std::tuple{Field{"active", &M::active}, Field{"scope", &M::scope},
                          Field{"amps", &M::amps}.in(charge_current_a), Field{"until", &M::until},
                          Field{"source", &M::source}};
    }
};

}  // namespace contract
