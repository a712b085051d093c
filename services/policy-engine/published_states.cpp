#include "policy-engine/published_states.hpp"

#include <algorithm>
#include <cmath>
#include <tuple>

#include <fmt/format.h>

#include "policy-engine/explain.hpp"
#include "policy-engine/modes.hpp"
#include "policy-engine/plan_goal.hpp"
#include "policy-engine/session.hpp"
#include "policy-engine/tariff.hpp"

namespace policy_engine {

namespace {

contract::LimitInForce limit_report(const LimitInForce& limit) {
    // Coarse, so that a kettle is no reason to publish.
    const auto down_to = [](std::optional<double> value, double step) {
        return value ? std::optional(std::max(0.0, std::floor(*value / step)) * step) : std::nullopt;
    };
    return {.name = name_of(limit.name),
            .reason = origin_of(limit.name),
            .limit_a = limit.limit_a,
            .limit_w = limit.limit_w,
            .room_a = down_to(limit.room_a, 1),
            .room_w = down_to(limit.room_w, 100),
            .until = limit.until};
}

contract::PlanReport goal_report(const PlanGoal& goal, WallTime deadline) {
    const auto named = [](const std::string& name) { return name.empty() ? std::nullopt : std::optional(name); };
    return {.vehicle = named(goal.vehicle),
            .charger = named(goal.charger),
            .soc_pct = goal.soc_pct,
            .energy_kwh = goal.energy_kwh,
            .by = deadline,
            .strategy = name_of(goal.strategy)};
}

contract::PlanReport progress_report(const PlanProgress& progress, const std::string& charger) {
    contract::PlanReport report = goal_report(progress.goal, progress.deadline);
    report.charger = charger;
    if (progress.goal.energy_kwh) {
        report.charged_kwh = progress.charged_kwh;
    }
    if (!progress.needed_kwh) {
        report.state = "unknown";
        return report;
    }
    const Plan& plan = progress.plan;
    report.state = name_of(plan.state);
    report.needed_kwh = progress.needed_kwh;
    if (plan.state == PlanState::reached) {
        return report;
    }
    report.sun_kwh = plan.sun_kwh;
    report.cost = plan.cost;
    report.co2_g = plan.co2_g;
    report.can_be_met = plan.can_be_met;
    report.latest_start = plan.latest_start;
    std::ranges::transform(plan.runs, std::back_inserter(report.runs), [](const PlannedRun& run) {
        return contract::PlannedCharge{.start = run.start, .end = run.end, .energy_kwh = run.energy_kwh};
    });
    return report;
}

auto identity(const contract::PlanReport& plan) {
    return std::tie(plan.vehicle, plan.charger, plan.soc_pct, plan.energy_kwh, plan.by);
}

}  // namespace

contract::PolicyState site_report(const Config& config, const Settings& settings, const Inputs& inputs,
                                  const Decision& decision, const Memory& memory) {
    contract::PolicyState state{.ts = inputs.wall,
                                .mode = name_of(settings.mode),
                                .reason = "no charger is linked",
                                .surplus_w = decision.surplus_w,
                                .battery_hold = decision.battery_hold};
    const ChargerDecision* leading = nullptr;
    for (const auto& charger : decision.chargers) {
        state.allocated_a += charger.target_a;
        if (leading == nullptr || charger.target_a > leading->target_a) {
            leading = &charger;
        }
    }
    if (leading != nullptr) {
        state.rule = decision.rule.empty() ? std::optional<std::string>() : decision.rule;
        state.reason =
            decision.chargers.size() > 1 ? fmt::format("{}: {}", leading->id, sentence(*leading)) : sentence(*leading);
        state.countdown_s = leading->countdown_s;
        if (leading->binding != Limit::none) {
            state.binding_limit = name_of(leading->binding);
        }
    }
    if (uses_rules(settings) || config.rules.emergencies > 0) {
        state.rules.emplace();
        const Circumstances all{config, settings, inputs, memory};
        for (const auto& line : trace(config.rules, all, inputs.now, memory.rules)) {
            state.rules->emplace(line.name, line.status);
        }
    }
    state.limits.emplace();
    std::ranges::transform(decision.limits, std::back_inserter(*state.limits), limit_report);
    return state;
}

contract::PolicyChargerState charger_report(const Settings& settings, const Inputs& inputs,
                                            const ChargerDecision& charger, const ChargerMemory& memory) {
    const auto* chosen = settings_of(settings, charger.id);
    contract::PolicyChargerState state{.ts = inputs.wall,
                                       .target_a = charger.target_a,
                                       .reason = sentence(charger),
                                       .reason_code = name_of(charger.reason),
                                       .countdown_s = charger.countdown_s,
                                       .priority = charger.priority,
                                       .enabled = chosen == nullptr || chosen->enabled,
                                       .max_a = charger.max_a,
                                       .session_solar_pct = solar_pct(memory.session),
                                       .starts_today = memory.starts_today};
    if (charger.binding != Limit::none) {
        state.binding_limit = name_of(charger.binding);
    }
    if (!charger.vehicle.empty()) {
        state.vehicle = charger.vehicle;
    }
    if (const auto prices = prices_in_force(settings, inputs); prices.import_price || prices.export_price) {
        state.session_cost = memory.session.cost;
    }
    return state;
}

contract::OverrideState override_report(const std::optional<Override>& order, const std::string& scope) {
    if (!order) {
        return {.active = false, .scope = scope};
    }
    return {.active = true, .scope = scope, .amps = order->amps, .until = order->until, .source = order->source};
}

contract::PlansState plans_report(const Settings& settings, const Inputs& inputs, const Memory& memory) {
    contract::PlansState state{.ts = inputs.wall};
    for (const auto& goal : settings.plans) {
        bool is_pursued = false;
        for (const auto& charger : memory.chargers) {
            const auto progress = std::ranges::find(charger.plans, goal, &PlanProgress::goal);
            if (progress != charger.plans.end()) {
                state.plans.push_back(progress_report(*progress, charger.id));
                is_pursued = true;
            }
        }
        if (const auto deadline = next_deadline(goal, inputs.wall); !is_pursued && deadline) {
            state.plans.push_back(goal_report(goal, *deadline));
        }
    }
    return state;
}

std::vector<PlanEvent> plan_events(const contract::PlansState& before, const contract::PlansState& after) {
    std::vector<PlanEvent> events;
    for (const auto& plan : after.plans) {
        const auto known = std::ranges::find_if(
            before.plans, [&](const contract::PlanReport& other) { return identity(other) == identity(plan); });
        const bool was_reached = known == before.plans.end() || known->state == "reached";
        if (plan.state == "reached" && !was_reached) {
            events.push_back({"plan_reached", plan});
        }
        const bool was_lost = known != before.plans.end() && known->can_be_met == false;
        if (plan.can_be_met == false && !was_lost) {
            events.push_back({"plan_cannot_be_met", plan});
        }
    }
    return events;
}

}  // namespace policy_engine
