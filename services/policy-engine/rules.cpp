#include "policy-engine/rules.hpp"

#include <fmt/format.h>

namespace policy_engine {

namespace {

using scheduling::Instant;

Condition all_of(std::initializer_list<const char*> comparisons) {
    Condition condition;
    for (const char* text : comparisons) {
        condition.parts.push_back(parse_comparison(text));
    }
    return condition;
}

bool is_latched(const RuleMemory& memory, std::size_t index, Instant now) {
    const auto& until = memory.latched_until[index];
    return until && now < *until;
}

}  // namespace

std::vector<Rule> default_rules() {
    using Kind = RuleAction::Kind;
    return {
        {.name = "charge_now", .when = all_of({"override.active == true"}), .action = {.kind = Kind::order}},
        {.name = "scheduled_charging", .when = all_of({"schedule.open == true"}), .action = {.kind = Kind::schedule}},
        {.name = "track_green_energy",
         .when = all_of({"time.hour >= sun.rise_hour", "time.hour < sun.set_hour",
                         "settings.hour_resume_solar <= time.hour", "settings.non_scheduled_action != none"}),
         .action = {.kind = Kind::solar}},
        {.name = "non_scheduled_charging",
         .when = all_of({"settings.non_scheduled_action != solar"}),
         .action = {.kind = Kind::amps, .amps = parse_operand("schedule.other_a")}},
        {.name = "non_scheduled_green",
         .when = all_of({"settings.non_scheduled_action == solar"}),
         .action = {.kind = Kind::solar}},
    };
}

std::optional<std::size_t> active_rule(const RuleSet& rules, const Circumstances& circumstances, Instant now,
                                       bool only_emergencies, RuleMemory& memory) {
    memory.latched_until.resize(rules.list.size());
    const std::size_t count = only_emergencies ? rules.emergencies : rules.list.size();
    for (std::size_t i = 0; i < count; ++i) {
        const Rule& rule = rules.list[i];
        if (is_met(rule.when, circumstances)) {
            memory.latched_until[i] = now + rule.latch;
            return i;
        }
        if (is_latched(memory, i, now)) {
            return i;
        }
    }
    return std::nullopt;
}

std::vector<RuleTrace> trace(const RuleSet& rules, const Circumstances& circumstances, Instant now,
                             const RuleMemory& memory) {
    std::vector<RuleTrace> lines;
    for (std::size_t i = 0; i < rules.list.size(); ++i) {
        std::string status = why_not(rules.list[i].when, circumstances);
        if (i == memory.active) {
            status = status.empty() ? "active" : fmt::format("active, latched: {}", status);
        } else if (i < memory.latched_until.size() && is_latched(memory, i, now) && !status.empty()) {
            status = fmt::format("latched: {}", status);
        } else if (status.empty()) {
            status = "matches";
        }
        lines.push_back({rules.list[i].name, std::move(status)});
    }
    return lines;
}

}  // namespace policy_engine
