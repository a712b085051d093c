#include "policy-engine/plans.hpp"

#include <algorithm>

#include "policy-engine/plan_goal.hpp"
#include "policy-engine/planner.hpp"
#include "policy-engine/tariff.hpp"

namespace policy_engine {

namespace {

using namespace std::chrono_literals;

constexpr Duration between_plans = 60s;
// From the wall to the battery: charger losses and the car's own consumption.
constexpr double charging_efficiency = 0.9;
constexpr double usual_house_w = 300;
constexpr Duration longest_step = 60s;

bool concerns(const PlanGoal& goal, const Charger& charger, const std::string& alias) {
    return goal.charger.empty() ? !alias.empty() && goal.vehicle == alias : goal.charger == charger.id;
}

// Not when it was cleared, is the goal of another car, has been reached or overrun.
bool is_pursued(const PlanProgress& progress, const Settings& settings, const Charger& charger,
                const std::string& alias, WallTime now) {
    const bool is_wanted = std::ranges::find(settings.plans, progress.goal) != settings.plans.end() &&
                           concerns(progress.goal, charger, alias);
    const bool is_over = now >= progress.deadline &&
                         (progress.plan.state == PlanState::reached || now >= progress.deadline + longest_overrun);
    return is_wanted && !is_over;
}

// Those that are over go, those that are new come.
void choose_goals(const Settings& settings, const Charger& charger, const std::string& alias, WallTime now,
                  std::vector<PlanProgress>& plans) {
    if (charger.plugged == false) {
        plans.clear();
        return;
    }
    std::erase_if(plans, [&](const PlanProgress& known) { return !is_pursued(known, settings, charger, alias, now); });
    for (const auto& goal : settings.plans) {
        const auto deadline = concerns(goal, charger, alias) ? next_deadline(goal, now) : std::nullopt;
        if (deadline && std::ranges::find(plans, goal, &PlanProgress::goal) == plans.end()) {
            plans.push_back({.goal = goal, .deadline = *deadline});
        }
    }
    std::ranges::stable_sort(plans, {}, &PlanProgress::deadline);
}

double missing_kwh(const PlanProgress& progress) {
    return progress.goal.energy_kwh ? std::max(0.0, *progress.goal.energy_kwh - progress.charged_kwh) : 0;
}

void count_energy(double charged_kwh, std::vector<PlanProgress>& plans) {
    const auto missing =
        std::ranges::find_if(plans, [](const PlanProgress& progress) { return missing_kwh(progress) > 0; });
    if (missing != plans.end()) {
        missing->charged_kwh += charged_kwh;
    }
}

// Of the goal at `index`, with what those before it still take. None: not known.
std::optional<double> needed_kwh(const std::vector<PlanProgress>& plans, std::size_t index, const Guest& guest) {
    const PlanGoal& goal = plans[index].goal;
    if (goal.energy_kwh) {
        double sum_kwh = 0;
        for (std::size_t i = 0; i <= index && missing_kwh(plans[index]) > 0; ++i) {
            sum_kwh += missing_kwh(plans[i]);
        }
        return sum_kwh;
    }
    const bool known =
        guest.vehicle != nullptr && guest.vehicle->soc_pct && guest.config != nullptr && guest.config->battery_kwh;
    if (!known) {
        return std::nullopt;
    }
    const double missing_pct = goal.soc_pct.value_or(0) - *guest.vehicle->soc_pct;
    return std::max(0.0, missing_pct / 100 * *guest.config->battery_kwh / charging_efficiency);
}

double house_w(const Config& config, const Inputs& inputs, double drawn_w) {
    if (inputs.site && inputs.site->house_w) {
        return std::max(0.0, *inputs.site->house_w - drawn_w);
    }
    return config.site.assumed_house_w.value_or(usual_house_w);
}

const std::string& alias_of(const Guest& guest) {
    static const std::string nobody;
    return guest.config != nullptr ? guest.config->alias : guest.vehicle != nullptr ? guest.vehicle->alias : nobody;
}

// What keeps running is planned on as it runs.
void note_running(std::vector<PlanProgress>& plans, WallTime now) {
    const auto* leading = leading_plan(plans, now);
    for (auto& progress : plans) {
        if (&progress != leading || !progress.plan.charge_now) {
            progress.running_since.reset();
        } else if (!progress.running_since) {
            progress.running_since = now;
        }
    }
}

}  // namespace

void follow_plans(const Config& config, const Settings& settings, const Inputs& inputs, const Guest& guest,
                  const Claim& claim, double cap_a, std::size_t index, Duration elapsed, Memory& memory) {
    const Charger& charger = inputs.chargers[index];
    auto& plans = memory.chargers[index].plans;
    if (auto kept = memory.kept_plans.extract(charger.id)) {
        plans = std::move(kept.mapped());
    }
    choose_goals(settings, charger, alias_of(guest), inputs.wall, plans);
    constexpr double watt_seconds_per_kwh = 3.6e6;
    const double drawn_w = charger.drawn_a.value_or(0) * claim.ampere_w;
    count_energy(drawn_w * seconds(std::min(elapsed, longest_step)) / watt_seconds_per_kwh, plans);
    for (std::size_t i = 0; i < plans.size(); ++i) {
        auto& progress = plans[i];
        if (progress.planned_at && inputs.now - *progress.planned_at < between_plans) {
            continue;
        }
        progress.needed_kwh = needed_kwh(plans, i, guest);
        if (!progress.needed_kwh) {
            progress.plan = {};
            continue;
        }
        progress.planned_at = inputs.now;
        progress.plan = plan_charge({.now = inputs.wall,
                                     .deadline = progress.deadline,
                                     .needed_kwh = *progress.needed_kwh,
                                     .full_w = cap_a * claim.ampere_w,
                                     .minimum_w = claim.minimum_a * claim.ampere_w,
                                     .house_w = house_w(config, inputs, drawn_w),
                                     .export_price = prices_in_force(settings, inputs).export_price,
                                     .strategy = progress.goal.strategy,
                                     .precondition = std::chrono::minutes(progress.goal.precondition_min),
                                     .running_since = progress.running_since},
                                    inputs.tariff, inputs.forecast);
    }
    note_running(plans, inputs.wall);
}

const PlanProgress* leading_plan(const std::vector<PlanProgress>& plans, WallTime now) {
    const auto cannot_wait = [](const PlanProgress& progress) {
        return progress.plan.charge_now &&
               (progress.plan.state == PlanState::late || progress.plan.state == PlanState::overrun);
    };
    const auto is_next = [&](const PlanProgress& progress) {
        return progress.needed_kwh.value_or(0) > 0 && progress.deadline - now <= std::chrono::hours(24);
    };
    auto leading = std::ranges::find_if(plans, cannot_wait);
    leading = leading != plans.end() ? leading : std::ranges::find_if(plans, is_next);
    leading = leading != plans.end() ? leading : plans.begin();
    return leading != plans.end() ? &*leading : nullptr;
}

bool drop_ended_plans(std::vector<PlanGoal>& goals, WallTime now) {
    return std::erase_if(goals,
                         [&](const PlanGoal& goal) { return goal.days == 0 && now >= goal.by + longest_overrun; }) > 0;
}

}  // namespace policy_engine
