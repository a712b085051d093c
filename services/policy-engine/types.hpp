#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "contract/messages.hpp"
#include "policy-engine/plan_types.hpp"
#include "policy-engine/rules.hpp"
#include "scheduling/scheduler.hpp"

/// The words the decision is made of. Everything here is a plain value: what decides reads no clock, no topic, no file.
/// Amps are per phase; power is + towards the consumer, grid power + import; unknown is nullopt.
namespace policy_engine {

using contract::PerPhase;
using scheduling::Duration;
using scheduling::Instant;
using scheduling::WallTime;

inline double seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }
inline Duration from_seconds(double value) {
    return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(value));
}

/// From this current on a charger counts as drawing (twc-protocol 5: the state alone is unreliable).
inline constexpr double drawing_a = 1.0;
/// More below its offer than this: the car does not follow (it draws 0.8 to 1.3 A less, twc-protocol 9.4).
inline constexpr double not_following_a = 2.5;
/// Most cars follow a change within this time (control notes E2), until the car's own lag is known.
inline constexpr Duration usual_lag = std::chrono::seconds(10);
/// Stands for the age of what happened before anything was known.
inline constexpr Duration long_ago = std::chrono::hours(24);

enum class Mode { off, solar, min_solar, fast, scheduled, rules };

/// `off`, `solar`, ...: the words of the contract.
const char* name_of(Mode mode);
std::optional<Mode> mode_named(const std::string& name);

/// Independent upper limits; the lowest one binds and is published.
enum class Limit {
    none,
    wiring,           ///< Sum over all chargers.
    charger,          ///< Rating or configuration of the unit.
    user_maximum,     ///< `max_a` of the site or the charger.
    vehicle_maximum,  ///< `max_a` of the matched vehicle.
    house_l1,         ///< Main fuse.
    house_l2,
    house_l3,
    house_unknown,  ///< A main fuse is configured but the phase currents are not known.
    import_cap,     ///< `import_cap_w`
    stale_data,
    quarter_hour,  ///< `quarter_hour_w`: mean import of each quarter of an hour.
    dimming,       ///< `dim_w`: the grid operator's limit for all chargers together.
    grid_maximum,  ///< `grid_max_a`: import for what does not follow the sun.
    rule,          ///< `max_a` of the active rule.
};

/// Name as published; nullptr for none.
const char* name_of(Limit limit);

/// Why a charger gets what it gets. `sentence` turns it into words.
enum class Reason {
    mode_off,
    disabled,
    offline,
    other_master,  ///< twc-bus only listens, or is a unit of another master itself.
    fault,
    not_plugged,
    override_off,
    override_amps,
    override_max,
    fast,
    scheduled,
    outside_schedule,
    rule_off,             ///< The active rule.
    rule_amps,            ///< The same.
    rule_max,             ///< The same.
    no_rule,              ///< Mode `rules`, and none matches.
    plan,                 ///< A plan charges now.
    plan_late,            ///< The same, whatever it costs.
    cheap,                ///< The price is at most `cheap_price`.
    minimum_charge,       ///< The car is below its `min_soc_pct`.
    not_allowed,          ///< The car may not charge here.
    surplus,              ///< Follows the surplus.
    minimum,              ///< min_solar without surplus for more.
    no_surplus,           ///< Off, and nothing points to a start.
    starting_soon,        ///< Off, value of charging is building up.
    riding_out,           ///< On at the minimum, value of charging is falling.
    minimum_on_time,      ///< Would stop, but has been charging too briefly.
    minimum_off_time,     ///< Would start, but stopped too recently.
    start_budget,         ///< Would start, but has used up the starts of the day.
    waits_for_turn,       ///< There is power, but others come first.
    no_room,              ///< A limit leaves less than the minimum.
    stale_hold,           ///< Data is getting old: as before, never more.
    stale_minimum,        ///< Data is old: fail-safe minimum.
    stale_stop,           ///< Data is lost: stop.
    stopping_by_vehicle,  ///< The car was told to stop; the charger keeps its minimum until it has.
    not_taken,            ///< Offered, but the car has long taken nothing: full, asleep, or waiting for its own timer.
    stop_without_vehicle  ///< A protocol 2 unit was set to 0 A with no vehicle link: the car may go on near 6 A.
};

/// Snake case, for programs.
const char* name_of(Reason reason);

enum class BatteryPriority { car_first, battery_first };

/// What mode `rules` does outside the schedule by its default rules (features notes 2.2).
enum class NonScheduledAction {
    fixed,  ///< Sun by day, `non_scheduled_a` otherwise.
    none,   ///< No charging.
    solar   ///< Sun at all times.
};

/// A place on Earth; north and east are positive.
struct Place {
    double latitude_deg = 0;   ///< −90 to 90
    double longitude_deg = 0;  ///< −180 to 180
    bool operator==(const Place&) const = default;
};

/// A power limit for a time.
struct TimedLimit {
    double limit_w = 0;
    std::optional<WallTime> until;  ///< None: until it is cleared.
    bool operator==(const TimedLimit&) const = default;
};

/// Weekly window in local civil time; `end` at or before `start` means the next day.
struct ScheduleWindow {
    unsigned days = 0x7F;  ///< Bit 0 Monday … bit 6 Sunday: the day the window begins.
    int start_min = 0;     ///< Minutes after midnight.
    int end_min = 0;
    std::optional<double> amps;  ///< None: as much as the limits allow.
    bool flexible = false;       ///< Begins only when what the car still needs takes until `end`, where that is known.
    bool operator==(const ScheduleWindow&) const = default;
};

/// A manual order. It outranks modes, never limits.
struct Override {
    std::optional<double> amps;     ///< 0: no charging; none: as much as the limits allow.
    std::optional<WallTime> until;  ///< None: until cleared.
    std::string source;
    bool operator==(const Override&) const = default;
};

struct ChargerSettings {
    std::string id;
    std::optional<Mode> mode;  ///< None: the mode of the site.
    std::optional<double> max_a;
    std::optional<int> priority;
    bool enabled = true;
    std::optional<Override> override_order;
    bool operator==(const ChargerSettings&) const = default;
};

struct VehicleSettings {
    std::string alias;
    std::optional<double> max_a;
    std::optional<int> priority;
    std::optional<double> min_soc_pct;  ///< Below, it charges at once, from wherever.
    bool enabled = true;
    bool operator==(const VehicleSettings&) const = default;
};

/// What people change at run time; kept on disk.
struct Settings {
    Mode mode = Mode::solar;
    Mode outside_schedule = Mode::solar;  ///< What mode `scheduled` does outside its windows.
    BatteryPriority battery_priority = BatteryPriority::battery_first;
    NonScheduledAction non_scheduled_action = NonScheduledAction::fixed;
    int max_starts_per_day = 12;
    bool stop_by_vehicle = true;
    bool battery_protect = true;  ///< Asks for the battery to be held while a car charges from the grid.
    bool guests = true;           ///< Cars whose VIN is none of the configured ones may charge.
    bool top_up_starts = false;   ///< `top_up_a` may also start a charge, not only keep one.
    double reserve_w = 0;         ///< Surplus that is left for the grid; negative: import that is tolerated.
    double min_a = 6;             ///< Lowest current worth charging with.
    std::optional<double> max_a;
    std::optional<double> import_cap_w;
    double battery_first_until_pct = 100;  ///< With battery_first: from this charge on the car comes first.
    std::optional<double> import_price;    ///< Per kWh.
    std::optional<double> export_price;    ///< Per kWh.
    std::optional<double> grid_weight;     ///< How many kWh from the sun a kWh from the grid costs; none: from prices.
    double min_on_s = 300;
    double min_off_s = 180;
    double rotation_s = 1800;      ///< How long one of several equal chargers keeps its turn while others wait.
    double top_up_a = 0;           ///< So much of the minimum current the grid may add where the sun does not reach it.
    double hour_resume_solar = 0;  ///< Mode rules: no sun before this hour of the day.
    double non_scheduled_a = 0;    ///< Below 5: none.
    std::optional<double> cheap_price;         ///< Up to this import price everything charges at full current.
    std::optional<double> quarter_hour_w;      ///< Most mean import of any quarter of an hour by the clock.
    std::optional<double> grid_max_a;          ///< Most import per phase for what does not follow the sun.
    std::optional<TimedLimit> dimming;         ///< Of all chargers together.
    std::optional<double> battery_buffer_pct;  ///< From this charge on the battery may keep a charge at its minimum.
    std::optional<double> battery_start_pct;   ///< From this charge on it may also start one.
    std::optional<double> battery_boost_until_pct;  ///< Down to this charge the battery is emptied into the car.
    std::vector<ScheduleWindow> schedule;
    std::vector<PlanGoal> plans;
    std::optional<Override> override_order;
    std::vector<ChargerSettings> chargers;  ///< Sorted by id.
    std::vector<VehicleSettings> vehicles;  ///< Sorted by alias.
    bool operator==(const Settings&) const = default;
};

struct SiteConfig {
    int phases = 1;
    double voltage_v = 230;  ///< Used where none is measured.
    std::optional<double> main_fuse_a;
    std::optional<double> wiring_max_a;  ///< Sum over all chargers; twc-bus's own limit applies as well.
    bool chargers_inside_meter = true;   ///< The grid meter sees what the chargers draw.
    Duration meter_delay{0};             ///< By how much the grid meter lags beyond the age it reports.
    std::optional<Place> place;
    std::optional<double> assumed_house_w;  ///< Where only the sun is measured: what the house takes without chargers.
    std::optional<double> battery_max_w;    ///< What the home battery can give.
    bool operator==(const SiteConfig&) const = default;
};

struct ChargerConfig {
    std::string id;
    std::string name;
    std::optional<int> phases;
    std::optional<int> first_line;  ///< The house phase (1..3) the unit's L1 is wired to.
    std::optional<double> max_a;
    int priority = 5;
    bool operator==(const ChargerConfig&) const = default;
};

struct VehicleConfig {
    std::string alias;
    std::string vin;
    std::optional<int> priority;
    std::optional<double> max_a;
    std::optional<int> phases;  ///< Phases of the car's own charger, if fewer than the unit's.
    std::string group;          ///< Empty: none.
    std::optional<double> battery_kwh;
    std::optional<double> low_a;  ///< Lowest current that the car itself can be told; below what a charger can.
    bool operator==(const VehicleConfig&) const = default;
};

/// What the cars of a group have in common, unless their own entry says otherwise.
struct VehicleGroup {
    std::string name;
    std::optional<int> priority;
    std::optional<double> max_a;
    std::optional<double> min_soc_pct;
    bool allowed = true;
    bool operator==(const VehicleGroup&) const = default;
};

/// Start and stop by the value of charging at the minimum current (see start_stop.hpp).
struct ValueRule {
    Duration start_memory = std::chrono::seconds(60);
    Duration stop_memory = std::chrono::seconds(480);  ///< How long a cloud is sat out that costs 750 W.
    double start_level = 0.4;
    bool operator==(const ValueRule&) const = default;
};

/// Limits of age, counted from when the newest good value was measured.
struct StaleLimits {
    Duration hold_after = std::chrono::seconds(15);
    Duration minimum_after = std::chrono::seconds(90);
    Duration stop_after = std::chrono::seconds(300);
    bool operator==(const StaleLimits&) const = default;
};

/// What the core needs of the configuration file.
struct Config {
    SiteConfig site;
    std::vector<ChargerConfig> chargers;  ///< Sorted by id.
    std::vector<VehicleConfig> vehicles;  ///< Sorted by alias.
    std::vector<VehicleGroup> groups;     ///< Sorted by name.
    RuleSet rules{.list = default_rules()};
    ValueRule value;
    StaleLimits stale;
    Duration raise_hold = std::chrono::seconds(3);  ///< How long more surplus must last before it is used.
    bool operator==(const Config&) const = default;
};

struct Site {
    Instant measured_at{};  ///< When the values were true, by our clock.
    bool lost = false;      ///< The sender says that its data is dead.
    std::optional<double> grid_w;
    std::optional<double> pv_w{};
    std::optional<double> house_w{};  ///< Includes the chargers.
    std::optional<double> battery_w;
    std::optional<double> battery_soc_pct;
    PerPhase grid_a{};
    PerPhase voltage_v{};
};

struct Charger {
    std::string id;
    Instant received_at{};
    bool online = true;
    bool fault = false;
    std::optional<bool> plugged;
    std::optional<double> drawn_a;
    std::optional<double> offered_a;  ///< In force now: for taking over a running charge.
    std::optional<double> max_a;      ///< Hardware rating.
    std::optional<int> phases;
    std::optional<int> protocol;
    PerPhase voltage_v{};
    std::optional<std::string> vin;
};

struct Vehicle {
    std::string alias;
    bool can_command = false;  ///< Online, and commands are taken.
    std::optional<std::string> vin;
    std::optional<bool> plugged;
    std::optional<bool> at_home;
    std::optional<double> charge_amps;
    std::optional<std::string> charging_state;
    std::optional<double> soc_pct{};
    std::optional<double> charge_limit_pct{};
};

/// What twc-bus says of its own limits.
struct Bus {
    std::optional<double> wiring_max_a;
    std::optional<double> charger_min_a;
    std::optional<double> charger_max_a;
    bool takes_limits = true;  ///< False: another master decides what chargers draw, and nobody here may act on them.
};

/// Prices to come: in order, without overlaps; gaps are unknown. Empty: there is no tariff, or it is stale.
using Tariff = std::vector<contract::TariffSlot>;

/// The sun to come, in the same way.
using Forecast = std::vector<contract::ForecastSlot>;

/// One consistent picture of the world.
struct Inputs {
    Instant now{};
    WallTime wall{};
    int local_day = 0;     ///< Changes at local midnight; counts starts.
    Instant started_at{};  ///< Since when we listen: the age of what never came.
    std::optional<Site> site;
    Bus bus;
    std::vector<Charger> chargers;  ///< Sorted by id.
    std::vector<Vehicle> vehicles;  ///< Sorted by alias.
    Tariff tariff;
    Forecast forecast;
};

/// The last few values of a quantity that keeps its value between samples. Cheap to move: a decision hands its memory
/// on.
template <class Value>
class History {
public:
    /// A value for a time that is known already replaces the newest.
    void add(Instant at, const Value& value) {
        if (size_ > 0 && at <= entries_[head_].at) {
            entries_[head_].value = value;
            return;
        }
        entries_.resize(capacity);
        head_ = (head_ + 1) % capacity;
        entries_[head_] = {at, value};
        size_ = size_ < capacity ? size_ + 1 : capacity;
    }

    /// The value in force at that time; before the first one: the oldest that is kept. Zero when empty.
    Value at(Instant time) const {
        for (std::size_t i = 0; i < size_; ++i) {
            const Entry& entry = newest(i);
            if (entry.at <= time || i + 1 == size_) {
                return entry.value;
            }
        }
        return {};
    }

    /// The lowest number in force at any time from `since` on. None when the history does not reach that far back.
    template <class Number = std::identity>
    std::optional<double> lowest_since(Instant since, Number number = {}) const {
        std::optional<double> lowest;
        for (std::size_t i = 0; i < size_; ++i) {
            const Entry& entry = newest(i);
            const double value = std::invoke(number, entry.value);
            lowest = lowest && *lowest < value ? *lowest : value;
            if (entry.at <= since) {
                return lowest;
            }
        }
        return size_ == capacity ? lowest : std::nullopt;
    }

private:
    static constexpr std::size_t capacity = 64;  // at one or two a second: more than any delay that is looked back for
    struct Entry {
        Instant at{};
        Value value{};
    };
    const Entry& newest(std::size_t back) const { return entries_[(head_ + capacity - back) % capacity]; }

    std::vector<Entry> entries_;
    std::size_t head_ = 0;
    std::size_t size_ = 0;
};

/// Energy of one charging session, by where it came from.
struct Session {
    double solar_kwh = 0;
    double grid_kwh = 0;
    double cost = 0;  ///< Import at its price plus the feed-in that was given up; 0 without prices.
};

/// A goal that a charger pursues.
struct PlanProgress {
    PlanGoal goal;
    WallTime deadline{};
    double charged_kwh = 0;            ///< From the wall, towards a goal for an energy.
    std::optional<double> needed_kwh;  ///< Still; none: not known, and nothing is planned.
    Plan plan;
    std::optional<Instant> planned_at;
    std::optional<WallTime> running_since;  ///< Since when it has had the car charge without a break.
};

/// How a stop through the vehicle stands.
enum class StopStep { none, asked, failed };

struct ChargerMemory {
    std::string id;
    std::optional<Instant> lost_at;  ///< Offline, or back without a reading so far; since when.
    double target_a = 0;
    Instant target_changed_at{};
    bool on = false;          ///< The solar rule wants it to charge.
    double value = 0;         ///< Memory of the value rule.
    double sky = 1;           ///< Share of the last hour or so in which the sun did for the minimum; 1 until known.
    bool drawing = false;     ///< By measured current.
    Instant drawing_since{};  ///< Of `drawing` being as it is.
    bool has_drawn = false;   ///< `drawing` has been true once, so that `drawing_since` means a stop.
    int starts_today = 0;
    History<double> drawn;                ///< Amps by time of arrival, to set against a meter that lags.
    double gap_a = 0;                     ///< By how much the car stays below what is offered, once settled.
    Duration lag = usual_lag;             ///< How long the car takes to follow a change, learned from what it draws.
    std::optional<Instant> lag_seen_for;  ///< The change of target that it was last learned from.
    std::optional<Instant> turn_since;    ///< Since when it has been served; none: it waits.
    Instant turn_ended_at{};
    StopStep stop = StopStep::none;
    Instant stop_asked_at{};
    std::optional<Instant> start_asked_at;
    int start_attempts = 0;
    double vehicle_a = 0;  ///< Current the car itself was told to draw; 0: none.
    Instant vehicle_a_at{};
    std::optional<bool> plugged;
    Instant plugged_changed_at{};
    std::string vehicle;  ///< Alias of the matched vehicle; empty: none.
    double vehicle_confidence = 0;
    Session session;
    std::vector<PlanProgress> plans;  ///< Of the goals that concern it, by deadline.
};

/// What a sample of the grid leaves to the chargers together.
struct SiteRoom {
    double available_w = 0;          ///< By the surplus law.
    double without_import_w = 0;     ///< What they draw plus what is exported: import is what goes beyond.
    std::array<double, 3> line_a{};  ///< By the main fuse, per house phase.
};

/// What one decision must know of those before it.
struct Memory {
    std::optional<Instant> decided_at;
    int local_day = 0;
    std::optional<Instant> site_at;  ///< When the newest sample with a usable grid power was true.
    Instant sample_at{};             ///< When that sample was first looked at.
    std::optional<double> grid_w;    ///< By the present sample, measured or from sun and house.
    bool battery_seen = false;
    double available_w = 0;  ///< For all chargers together, by the newest sample.
    History<SiteRoom> room;
    bool line_room_known = false;
    std::optional<Instant> shortage_since;  ///< A shared limit leaves less than what is charging needs at least.
    Limit shortage_of = Limit::none;
    std::optional<Instant> shortage_stop_at;  ///< When that last stopped a charger.
    std::vector<ChargerMemory> chargers;      ///< Sorted by id.
    struct VehiclePlug {
        std::string alias;
        std::optional<bool> plugged;
        Instant changed_at{};
    };
    std::vector<VehiclePlug> vehicles;  ///< Sorted by alias.
    struct VehicleLimit {
        std::string alias;
        double before_pct = 0;   ///< To set back.
        double applied_pct = 0;  ///< What a rule asked for.
        Instant asked_at{};
    };
    std::vector<VehicleLimit> vehicle_limits;
    RuleMemory rules;
    std::map<std::string, std::vector<PlanProgress>>
        kept_plans;            ///< From before a restart, until their charger appears.
    std::int64_t quarter = 0;  ///< Number of the quarter of an hour that `quarter_import_ws` counts.
    double quarter_import_ws = 0;
};

/// Wanted of a vehicle: `vehicle/<alias>/command/<command>/set`.
struct VehicleCommand {
    std::string alias;
    std::string command;  ///< charge_start, charge_stop, set_amps, set_limit
    double value = 1;
    bool operator==(const VehicleCommand&) const = default;
};

struct ChargerDecision {
    std::string id;
    double target_a = 0;
    Reason reason = Reason::mode_off;
    std::optional<double> countdown_s;
    Limit binding = Limit::none;
    double amount_w = 0;  ///< The power the reason speaks of.
    double asked_a = 0;   ///< What an order asked for, before limits.
    int priority = 0;
    double max_a = 0;
    std::string vehicle;
    std::string rule;      ///< Of the reasons that speak of one.
    bool warning = false;  ///< Deserves a person's attention.
};

/// To be called because of a rule.
struct WebhookCall {
    std::string url;
    std::string event;  ///< enter, start, stop, exit
    std::string rule;
    std::string charger;  ///< Of start and stop.
    bool operator==(const WebhookCall&) const = default;
};

/// A limit for all chargers together, and what it leaves to them.
struct LimitInForce {
    Limit name = Limit::none;
    std::optional<double> limit_a;  ///< What was set: per phase, summed over the chargers of the line …
    std::optional<double> limit_w;  ///< … or in watts.
    std::optional<double> room_a;
    std::optional<double> room_w;
    std::optional<WallTime> until;
    bool operator==(const LimitInForce&) const = default;
};

struct Decision {
    std::vector<ChargerDecision> chargers;  ///< In the order of the inputs.
    std::vector<LimitInForce> limits;
    std::vector<VehicleCommand> commands;
    std::vector<WebhookCall> webhooks;
    std::string rule;                 ///< The active rule; empty: none.
    bool battery_hold = false;        ///< The home battery should not discharge: a car charges from the grid.
    std::optional<double> surplus_w;  ///< Available to all chargers together.
    Memory memory;
};

}  // namespace policy_engine
