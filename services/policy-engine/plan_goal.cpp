#include "policy-engine/plan_goal.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <tuple>

#include <fmt/format.h>

#include "policy-engine/schedule.hpp"
#include "service/command_value.hpp"
#include "service/service_host.hpp"

namespace policy_engine {

namespace {

using nlohmann::json;
using namespace std::chrono_literals;

constexpr const char* expected_plan =
    R"({"vehicle":"blue","soc_pct":80,"by":"07:00"} or {"charger":"7744","energy_kwh":20,)"
    R"("by":"2026-06-02T07:00:00+02:00"}, with "days":["mon","fri"] to repeat it, "strategy" (cheapest, co2, latest, )"
    R"(continuous) and "precondition_min"; {"vehicle":"blue","clear":true}, or clear for all)";
constexpr std::array<std::string_view, 8> goal_keys{"vehicle", "charger", "soc_pct",  "energy_kwh",
                                                    "by",      "days",    "strategy", "precondition_min"};
constexpr std::array<std::string_view, 3> clear_keys{"vehicle", "charger", "clear"};
constexpr contract::Range soc_range{1, 100};
constexpr contract::Range energy_range{0.1, 500};
constexpr contract::Range precondition_range{0, 240};
constexpr auto farthest = 24h * 366;

[[noreturn]] void refuse(const std::string& what) { throw service::Rejected(what, expected_plan); }

void refuse_unknown_keys(const json& object, std::span<const std::string_view> keys) {
    for (const auto& [key, value] : object.items()) {
        if (std::ranges::find(keys, key) == keys.end()) {
            refuse(fmt::format("\"{}\" is not a key of a plan", contract::valid_utf8(key.substr(0, 40))));
        }
    }
}

std::optional<std::string> text(const json& object, const char* key) {
    const auto found = object.find(key);
    if (found == object.end()) {
        return std::nullopt;
    }
    if (!found->is_string()) {
        refuse(fmt::format("{}: must be a text", key));
    }
    return service::normalised(found->get<std::string>());
}

std::string id(const json& object, const char* key) {
    const auto name = text(object, key);
    if (name && !contract::is_valid_id(*name)) {
        refuse(fmt::format("{}: is not an id", key));
    }
    return name.value_or("");
}

std::optional<double> number(const json& object, const char* key, contract::Range allowed) {
    const auto found = object.find(key);
    if (found == object.end()) {
        return std::nullopt;
    }
    const double value = found->is_number() ? found->get<double>() : std::nan("");
    if (!(value >= allowed.min && value <= allowed.max)) {
        refuse(fmt::format("{}: must be a number from {:g} to {:g}", key, allowed.min, allowed.max));
    }
    return value;
}

// Whose goal it is: one vehicle or one charger.
template <class Owner>
void read_target(const json& object, Owner& owner) {
    owner.vehicle = id(object, "vehicle");
    owner.charger = id(object, "charger");
    if (owner.vehicle.empty() == owner.charger.empty()) {
        refuse("either vehicle or charger must be given");
    }
}

void read_amount(const json& object, PlanGoal& goal) {
    goal.soc_pct = number(object, "soc_pct", soc_range);
    goal.energy_kwh = number(object, "energy_kwh", energy_range);
    if (goal.soc_pct.has_value() == goal.energy_kwh.has_value()) {
        refuse("either soc_pct or energy_kwh must be given");
    }
    if (goal.soc_pct && goal.vehicle.empty()) {
        refuse("soc_pct: only a vehicle has a state of charge; for a charger give energy_kwh");
    }
}

void read_days(const json& object, PlanGoal& goal) {
    const auto days = object.find("days");
    if (days == object.end()) {
        return;
    }
    try {
        goal.days = days_from_json(*days);
    } catch (const service::Rejected& error) {
        refuse(error.what());
    }
}

// `now` none: it is read from what was kept, where a time of day that occurs once has been resolved already.
void read_deadline(const json& object, PlanGoal& goal, std::optional<WallTime> now) {
    std::string by = text(object, "by").value_or("");
    const auto minute = parse_time_of_day(by);
    std::ranges::transform(by, by.begin(), [](char c) { return c == 't' || c == 'z' ? char(c - 32) : c; });
    const auto moment = minute ? std::nullopt : contract::parse_timestamp(by);
    if (!moment && (!minute || (goal.days == 0 && !now))) {
        refuse(R"(by: must be a time of day like "07:00" or a time like "2026-06-02T07:00:00+02:00")");
    }
    if (goal.days != 0) {
        goal.by_min = minute ? *minute : civil_time(*moment).minute;
        return;
    }
    goal.by = minute ? next_local(*now, *minute) : *moment;
    if (now && (goal.by <= *now || goal.by > *now + farthest)) {
        refuse("by: must lie ahead, by 366 days at most");
    }
}

PlanGoal goal_from_json(const json& object, std::optional<WallTime> now) {
    if (!object.is_object()) {
        refuse("a plan must be an object");
    }
    refuse_unknown_keys(object, goal_keys);
    PlanGoal goal;
    read_target(object, goal);
    read_amount(object, goal);
    read_days(object, goal);
    read_deadline(object, goal, now);
    if (const auto name = text(object, "strategy")) {
        const auto strategy = strategy_named(*name);
        if (!strategy) {
            refuse("strategy: must be cheapest, co2, latest or continuous");
        }
        goal.strategy = *strategy;
    }
    const double precondition_min = number(object, "precondition_min", precondition_range).value_or(0);
    if (precondition_min != std::floor(precondition_min)) {
        refuse("precondition_min: must be a whole number of minutes");
    }
    goal.precondition_min = static_cast<int>(precondition_min);
    return goal;
}

PlanCommand clear_from_json(const json& object) {
    refuse_unknown_keys(object, clear_keys);
    if (object.at("clear") != true) {
        refuse("clear: can only be true");
    }
    PlanCommand command;
    read_target(object, command);
    return command;
}

auto order(const PlanGoal& goal) { return std::tie(goal.vehicle, goal.charger, goal.days, goal.by_min, goal.by); }

bool competes(const PlanGoal& one, const PlanGoal& other) {
    const bool same_target = one.vehicle == other.vehicle && one.charger == other.charger;
    const bool both_once = one.days == 0 && other.days == 0;
    return same_target && (both_once || (one.days & other.days) != 0);
}

std::string clock_text(int minute) { return fmt::format("{:02}:{:02}", minute / 60, minute % 60); }

}  // namespace

std::optional<WallTime> next_deadline(const PlanGoal& goal, WallTime now) {
    if (goal.days == 0) {
        return goal.by > now ? std::optional(goal.by) : std::nullopt;
    }
    WallTime moment = now;
    for (int i = 0; i < 8; ++i) {
        moment = next_local(moment, goal.by_min);
        // 24:00 belongs to the day that ends with it.
        const int weekday = civil_time(moment - (goal.by_min == 24 * 60 ? 1min : 0min)).weekday;
        if ((goal.days >> static_cast<unsigned>(weekday) & 1U) != 0) {
            return moment;
        }
    }
    return std::nullopt;
}

PlanCommand parse_plan(std::string_view payload, WallTime now) {
    const std::string word = service::normalised(payload);
    if (word == "clear" || word == "auto" || word == "none") {
        return {};
    }
    if (!word.starts_with('{')) {
        refuse("neither a plan nor clear");
    }
    const json object = contract::parse_json(payload);
    if (object.contains("clear")) {
        return clear_from_json(object);
    }
    return {.goal = goal_from_json(object, now)};
}

void apply_plan(std::vector<PlanGoal>& goals, const PlanCommand& command) {
    if (!command.goal) {
        const bool all = command.vehicle.empty() && command.charger.empty();
        std::erase_if(goals, [&](const PlanGoal& goal) {
            return all || (goal.vehicle == command.vehicle && goal.charger == command.charger);
        });
        return;
    }
    std::vector<PlanGoal> changed = goals;
    std::erase_if(changed, [&](const PlanGoal& goal) { return competes(goal, *command.goal); });
    if (changed.size() >= most_plan_goals) {
        refuse(fmt::format("there are {} plans already, and more are not kept", changed.size()));
    }
    changed.push_back(*command.goal);
    std::ranges::sort(changed, [](const auto& a, const auto& b) { return order(a) < order(b); });
    goals = std::move(changed);
}

json plan_to_json(const PlanGoal& goal) {
    json object{{"strategy", name_of(goal.strategy)}};
    object[goal.vehicle.empty() ? "charger" : "vehicle"] = goal.vehicle.empty() ? goal.charger : goal.vehicle;
    object[goal.soc_pct ? "soc_pct" : "energy_kwh"] = goal.soc_pct ? *goal.soc_pct : goal.energy_kwh.value_or(0);
    object["by"] = goal.days == 0 ? contract::format_timestamp(goal.by) : clock_text(goal.by_min);
    if (goal.days != 0) {
        object["days"] = days_to_json(goal.days);
    }
    if (goal.precondition_min > 0) {
        object["precondition_min"] = goal.precondition_min;
    }
    return object;
}

json plans_to_json(const std::vector<PlanGoal>& goals) {
    auto list = json::array();
    for (const auto& goal : goals) {
        list.push_back(plan_to_json(goal));
    }
    return list;
}

std::vector<PlanGoal> plans_from_json(const json& kept) {
    if (!kept.is_array()) {
        refuse("not a list of plans");
    }
    std::vector<PlanGoal> goals;
    for (const auto& item : kept) {
        apply_plan(goals, {.goal = goal_from_json(item, std::nullopt)});
    }
    return goals;
}

}  // namespace policy_engine
