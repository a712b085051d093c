#include "policy-engine/plans.hpp"

#include <algorithm>

#include "policy-engine/plan_goal.hpp"
#include "policy-engine/planner.hpp"
#include "policy-engine/tariff.hpp"

namespace policy_engine {

namespace {

using namespace std::chrono_literals;

constexpr Duration between_plans = 60s;
constexpr auto longest_overrun = 12h;
// From the wall to the battery: charger losses and the car's own consumption.
constexpr double charging_efficiency = 0.9;
constexpr double usual_house_w = 300;
constexpr Duration longest_step = 60s;

const PlanGoal* goal_for(const Settings& settings, const Charger& charger, const std::string& alias, WallTime now) {
    const PlanGoal* first = nullptr;
    std::optional<WallTime> first_deadline;
    for (const auto& goal : settings.plans) {
        const bool concerns =
            goal.charger.empty() ? !alias.empty() && goal.vehicle == alias : goal.charger == charger.id;
        const auto deadline = concerns ? next_deadline(goal, now) : std::nullopt;
        if (deadline && (!first_deadline || *deadline < *first_deadline)) {
            first = &goal;
            first_deadline = deadline;
        }
    }
    return first;
}

// Not when it was cleared, has been reached or overrun, or when `next` is due before it.
bool is_still_pursued(const PlanProgress& progress, const Settings& settings, const PlanGoal* next, WallTime now) {
    const bool is_wanted = std::ranges::find(settings.plans, progress.goal) != settings.plans.end();
    const bool is_due = now >= progress.deadline;
    const bool is_over =
        is_due && (progress.plan.state == PlanState::reached || now >= progress.deadline + longest_overrun);
    const bool comes_later = !is_due && next != nullptr && *next_deadline(*next, now) < progress.deadline;
    return is_wanted && !is_over && !comes_later;
}

// None: not known.
std::optional<double> needed_kwh(const PlanProgress& progress, const Guest& guest) {
    if (progress.goal.energy_kwh) {
        return *progress.goal.energy_kwh - progress.charged_kwh;
    }
    const bool known =
        guest.vehicle != nullptr && guest.vehicle->soc_pct && guest.config != nullptr && guest.config->battery_kwh;
    if (!known) {
        return std::nullopt;
    }
    const double missing_pct = progress.goal.soc_pct.value_or(0) - *guest.vehicle->soc_pct;
    return missing_pct / 100 * *guest.config->battery_kwh / charging_efficiency;
}

double house_w(const Config& config, const Inputs& inputs, double drawn_w) {
    if (inputs.site && inputs.site->house_w) {
        return std::max(0.0, *inputs.site->house_w - drawn_w);
    }
    return config.site.assumed_house_w.value_or(usual_house_w);
}

}  // namespace

void follow_plan(const Config& config, const Settings& settings, const Inputs& inputs, const Guest& guest,
                 const Claim& claim, double cap_a, std::size_t index, Duration elapsed, Memory& memory) {
    const Charger& charger = inputs.chargers[index];
    auto& progress = memory.chargers[index].plan;
    const double drawn_w = charger.drawn_a.value_or(0) * claim.ampere_w;
    const std::string alias = guest.config != nullptr    ? guest.config->alias
                              : guest.vehicle != nullptr ? guest.vehicle->alias
                                                         : std::string();
    const auto* next = goal_for(settings, charger, alias, inputs.wall);
    if (progress && (charger.plugged == false || !is_still_pursued(*progress, settings, next, inputs.wall))) {
        progress.reset();
    }
    if (!progress && charger.plugged != false && next != nullptr) {
        progress = PlanProgress{.goal = *next, .deadline = *next_deadline(*next, inputs.wall)};
    }
    if (!progress) {
        return;
    }
    constexpr double watt_seconds_per_kwh = 3.6e6;
    progress->charged_kwh += drawn_w * seconds(std::min(elapsed, longest_step)) / watt_seconds_per_kwh;
    if (progress->planned_at && inputs.now - *progress->planned_at < between_plans) {
        return;
    }
    const auto needed = needed_kwh(*progress, guest);
    if (!needed) {
        progress->plan = {};
        return;
    }
    progress->planned_at = inputs.now;
    progress->needed_kwh = std::max(0.0, *needed);
    progress->plan = plan_charge({.now = inputs.wall,
                                  .deadline = progress->deadline,
                                  .needed_kwh = *needed,
                                  .full_w = cap_a * claim.ampere_w,
                                  .minimum_w = claim.minimum_a * claim.ampere_w,
                                  .house_w = house_w(config, inputs, drawn_w),
                                  .export_price = prices_in_force(settings, inputs).export_price,
                                  .strategy = progress->goal.strategy,
                                  .precondition = std::chrono::minutes(progress->goal.precondition_min),
                                  .running_since = progress->running_since},
                                 inputs.tariff, inputs.forecast);
    if (!progress->plan.charge_now) {
        progress->running_since.reset();
    } else if (!progress->running_since) {
        progress->running_since = inputs.wall;
    }
}

}  // namespace policy_engine
