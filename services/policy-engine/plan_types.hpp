#pragma once

#include <optional>
#include <string>
#include <vector>

#include "scheduling/scheduler.hpp"

namespace policy_engine {

using scheduling::WallTime;

/// What a plan looks for among the hours before its deadline.
enum class PlanStrategy {
    cheapest,   ///< The lowest cost.
    co2,        ///< The least CO2.
    latest,     ///< As late as is safe, whatever it costs.
    continuous  ///< The cheapest single stretch without a pause.
};

/// `cheapest`, `co2`, `latest`, `continuous`
const char* name_of(PlanStrategy strategy);
std::optional<PlanStrategy> strategy_named(const std::string& name);

/// A stretch of charging at full current.
struct PlannedRun {
    WallTime start{};
    WallTime end{};  ///< Exclusive.
    double energy_kwh = 0;
    bool operator==(const PlannedRun&) const = default;
};

enum class PlanState {
    reached,   ///< Nothing is needed any more.
    waiting,   ///< A better time is to come.
    charging,  ///< As planned.
    late,      ///< More than a minute after `latest_start`: charge now, whatever it costs.
    overrun    ///< The deadline has passed; charge until the goal is reached.
};

/// `reached`, `waiting`, ...
const char* name_of(PlanState state);

struct Plan {
    PlanState state = PlanState::reached;
    bool charge_now = false;       ///< At full current; otherwise whatever else is in force, such as the sun.
    std::vector<PlannedRun> runs;  ///< In order; the first one begins now when charging is due now.
    std::optional<double> cost;    ///< Of it all, the sun at what feeding it in would have earned; none: not known.
    std::optional<double> co2_g;   ///< Of what comes from the grid; none: not known.
    double sun_kwh = 0;            ///< Of what is needed: expected from the sun alone, outside the runs.
    bool can_be_met = true;        ///< There is still time enough at full current.
    WallTime latest_start{};       ///< From then on it is charged without regard to price, if nothing comes before.
    std::optional<WallTime> next_change;  ///< When `charge_now` is expected to change; none: not by time.
};

/// "80 % by 07:00": what a person wants charged, and by when. Either once, at an absolute time, or weekly.
struct PlanGoal {
    std::string vehicle;               ///< Alias; empty: the goal is one of a charger.
    std::string charger;               ///< Id; empty: the goal is one of a vehicle.
    std::optional<double> soc_pct;     ///< State of charge to reach; only of a vehicle.
    std::optional<double> energy_kwh;  ///< From the wall, if there is no `soc_pct`.
    unsigned days = 0;                 ///< Weekly: bit 0 Monday … bit 6 Sunday, the day of the deadline; 0: once.
    int by_min = 0;                    ///< Weekly: minutes after local midnight, up to 24:00.
    WallTime by{};                     ///< Once.
    PlanStrategy strategy = PlanStrategy::cheapest;
    int precondition_min = 0;  ///< The last minutes before the deadline that are kept for charging.
    bool operator==(const PlanGoal&) const = default;
};

}  // namespace policy_engine
