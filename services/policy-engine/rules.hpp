#pragma once

#include <chrono>

#include "policy-engine/condition.hpp"
#include "scheduling/scheduler.hpp"

namespace policy_engine {

/// What a rule asks for while it is the first that matches.
struct RuleAction {
    enum class Kind {
        order,      ///< What the override for all says.
        schedule,   ///< What the open window of the schedule says.
        off,        ///< No charging.
        solar,      ///< As mode solar.
        min_solar,  ///< As mode min_solar.
        fast,       ///< As much as the limits allow.
        amps,       ///< `amps`
    };
    Kind kind = Kind::off;
    Operand amps = 0.0;                       ///< Of kind amps; unknown or below 5: no charging.
    std::optional<double> max_a;              ///< Of any kind: upper limit for each charger.
    std::optional<double> top_up_a;           ///< With the sun: replaces the setting `top_up_a`.
    std::optional<double> vehicle_limit_pct;  ///< Charge limit set in the car, and set back afterwards.
    bool operator==(const RuleAction&) const = default;
};

/// Called with the state as JSON when the rule becomes the active one (`enter`) or no longer is (`exit`), and when a
/// car begins or ends to charge while it is. Empty: not called.
struct Webhooks {
    std::string enter;
    std::string start;
    std::string stop;
    std::string exit;
    bool operator==(const Webhooks&) const = default;
};

struct Rule {
    std::string name;
    Condition when;
    RuleAction action;
    scheduling::Duration latch{0};  ///< Counts as matched for so long after it last matched.
    Webhooks webhooks;
    bool operator==(const Rule&) const = default;
};

/// In order: the first that matches is the active one.
struct RuleSet {
    std::vector<Rule> list;
    std::size_t emergencies = 0;  ///< So many at the front hold in every mode and before overrides.
    bool operator==(const RuleSet&) const = default;
};

/// What the rules must know of the decision before.
struct RuleMemory {
    std::vector<std::optional<scheduling::Instant>> latched_until;  ///< One for each rule.
    std::optional<std::size_t> active;
};

/// The five rules of TWCManager, in its order: charge_now, scheduled_charging, track_green_energy,
/// non_scheduled_charging, non_scheduled_green (features notes 2.2).
std::vector<Rule> default_rules();

/// The first rule that matches or is latched; none. `only_emergencies`: the others are not looked at, and keep their
/// latches. Brings the latches up to date.
std::optional<std::size_t> active_rule(const RuleSet& rules, const Circumstances& circumstances,
                                       scheduling::Instant now, bool only_emergencies, RuleMemory& memory);

/// How each rule stands, for people: "active", "latched", "matches", or why it does not match.
struct RuleTrace {
    std::string name;
    std::string status;
};
std::vector<RuleTrace> trace(const RuleSet& rules, const Circumstances& circumstances, scheduling::Instant now,
                             const RuleMemory& memory);

}  // namespace policy_engine
