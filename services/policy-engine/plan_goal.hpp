#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "policy-engine/plan_types.hpp"

namespace policy_engine {

inline constexpr std::size_t most_plan_goals = 20;

/// The first deadline after `now`. None: it was to be reached once, and that time is over.
std::optional<WallTime> next_deadline(const PlanGoal& goal, WallTime now);

/// A command on `policy/plan/set`.
struct PlanCommand {
    std::optional<PlanGoal> goal;  ///< None: clear.
    std::string vehicle;           ///< To clear: of this vehicle …
    std::string charger;           ///< … or of this charger; neither: all goals.
};

/// One goal, the end of all of one vehicle or charger, or of all:
///
///     {"vehicle":"blue","soc_pct":80,"by":"07:00"}
///     {"charger":"7744","energy_kwh":20,"by":"2026-06-02T07:00:00+02:00"}
///     {"vehicle":"blue","soc_pct":80,"by":"07:00","days":["mon","fri"],"strategy":"co2","precondition_min":15}
///     {"vehicle":"blue","clear":true}
///     clear
///
/// A time of day alone means its next occurrence; with `days` (as in a schedule) it repeats weekly, and of an absolute
/// time only the local time of day counts. Keys that are not named here are refused. Throws service::Rejected, or
/// contract::Invalid for what is no JSON.
PlanCommand parse_plan(std::string_view payload, WallTime now);

/// A new goal takes the place of those it competes with: of the same vehicle or charger, a single one that of the
/// single one, a weekly one that of every weekly one on any of the same days. Throws service::Rejected, and changes
/// nothing, when there would be more than `most_plan_goals`.
void apply_plan(std::vector<PlanGoal>& goals, const PlanCommand& command);

/// As a command has it, with an absolute `by` if it is for once: what is published and kept.
nlohmann::json plan_to_json(const PlanGoal& goal);
nlohmann::json plans_to_json(const std::vector<PlanGoal>& goals);

/// What `plans_to_json` wrote, by the same checks as a command; but a single deadline may have passed, because a goal
/// is pursued until it is reached. Throws service::Rejected.
std::vector<PlanGoal> plans_from_json(const nlohmann::json& kept);

}  // namespace policy_engine
