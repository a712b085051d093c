#include "policy-engine/read_rules.hpp"

#include <algorithm>
#include <iterator>

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include "contract/messages.hpp"
#include "contract/topics.hpp"

namespace policy_engine {

namespace {

constexpr int deepest = 8;
constexpr double longest_latch_s = 24 * 3600.0;
constexpr contract::Range car_limit_pct{50, 100};  // what cars accept

std::vector<Condition> conditions_of(const YAML::Node& list, int depth);

// NOLINTNEXTLINE(misc-no-recursion): bounded by `deepest`
Condition condition_of(const YAML::Node& node, int depth) {
    if (node.IsScalar()) {
        return parse_comparison(node.Scalar());
    }
    if (!node.IsMap() || node.size() != 1) {
        throw BadCondition("a condition must be a comparison, or a mapping with one of all, any and none");
    }
    const std::string word = node.begin()->first.Scalar();
    const auto kind = word == "all"    ? Condition::Kind::all
                      : word == "any"  ? Condition::Kind::any
                      : word == "none" ? Condition::Kind::none
                                       : Condition::Kind::comparison;
    if (kind == Condition::Kind::comparison) {
        throw BadCondition(fmt::format("\"{}\" does not join conditions: expected all, any or none", word));
    }
    Condition condition{.kind = kind, .comparison = {}, .parts = conditions_of(node.begin()->second, depth + 1)};
    if (condition.parts.empty()) {
        throw BadCondition(fmt::format("\"{}\" joins nothing: expected a list of conditions", word));
    }
    return condition;
}

// NOLINTNEXTLINE(misc-no-recursion): bounded by `deepest`
std::vector<Condition> conditions_of(const YAML::Node& list, int depth) {
    if (depth > deepest) {
        throw BadCondition(fmt::format("conditions are nested more than {} deep", deepest));
    }
    if (!list.IsSequence()) {
        throw BadCondition("expected a list of conditions");
    }
    std::vector<Condition> conditions;
    std::ranges::transform(list, std::back_inserter(conditions),
                           [&](const YAML::Node& item) { return condition_of(item, depth); });
    return conditions;
}

void add_conditions(const config::Section& section, const std::string& key, Condition& when) {
    if (!section.has(key)) {
        return;
    }
    try {
        std::ranges::move(conditions_of(section.raw(key), 0), std::back_inserter(when.parts));
    } catch (const BadCondition& error) {
        section.report(key, error.what());
    } catch (const YAML::Exception& error) {
        section.report(key, error.msg);
    }
}

Webhooks read_webhooks(const config::Section& section) {
    const auto url = [&](const char* key) {
        std::string text = section.text_or(key, "");
        if (!text.empty() && !text.starts_with("http://") && !text.starts_with("https://")) {
            section.report(key, "must be an address that begins with http:// or https://");
        }
        return text;
    };
    Webhooks webhooks{.enter = url("enter"), .start = url("start"), .stop = url("stop"), .exit = url("exit")};
    section.reject_unknown_keys();
    return webhooks;
}

// What rules and adjustments of default rules have in common.
void read_extras(const config::Section& section, Rule& rule) {
    rule.latch = section.seconds_or("latch_s", 0, 0, longest_latch_s);
    rule.action.max_a = section.optional_number("max_a", 5, contract::charge_current_a.max);
    rule.action.top_up_a = section.optional_number("top_up_a", 0, contract::charge_current_a.max);
    rule.action.vehicle_limit_pct = section.optional_number("vehicle_limit_pct", car_limit_pct.min, car_limit_pct.max);
    rule.webhooks = read_webhooks(section.section("webhooks"));
}

RuleAction::Kind action_named(const std::string& name) {
    using Kind = RuleAction::Kind;
    if (name == "solar") {
        return Kind::solar;
    }
    if (name == "min_solar") {
        return Kind::min_solar;
    }
    if (name == "fast") {
        return Kind::fast;
    }
    return name == "amps" ? Kind::amps : Kind::off;
}

void read_amps(const config::Section& section, RuleAction& action) {
    if ((action.kind == RuleAction::Kind::amps) != section.has("amps")) {
        section.report("amps", "is for \"do: amps\", and needed there");
        return;
    }
    if (action.kind != RuleAction::Kind::amps) {
        return;
    }
    try {
        action.amps = parse_operand(section.text("amps"));
        const auto* number = std::get_if<double>(&action.amps);
        const bool fits =
            number == nullptr || *number == 0 || (*number >= 5 && *number <= contract::charge_current_a.max);
        if (std::holds_alternative<std::string>(action.amps) || !fits) {
            section.report("amps", "must be 0, a number from 5 to 80, or a value like settings.non_scheduled_a");
        }
    } catch (const BadCondition& error) {
        section.report("amps", error.what());
    }
}

std::vector<Rule> rules_in(const config::Section& section, const std::string& key) {
    std::vector<Rule> rules;
    for (const auto& entry : section.sections(key)) {
        Rule rule{.name = entry.text("name")};
        if (!contract::is_valid_id(rule.name)) {
            entry.report("name", "a name is made of a-z, 0-9, _ and -");
        }
        add_conditions(entry, "when", rule.when);
        rule.action.kind = action_named(entry.choice_or("do", "off", {"off", "solar", "min_solar", "fast", "amps"}));
        read_amps(entry, rule.action);
        read_extras(entry, rule);
        entry.reject_unknown_keys();
        rules.push_back(std::move(rule));
    }
    return rules;
}

void adjust(const config::Section& section, std::vector<Rule>& rules) {
    for (const auto& name : section.keys()) {
        const auto entry = section.section(name);
        const auto rule = std::ranges::find(rules, name, &Rule::name);
        if (rule == rules.end()) {
            section.report(name, "is not one of the default rules");
            continue;
        }
        add_conditions(entry, "restrict", rule->when);
        read_extras(entry, *rule);
        entry.reject_unknown_keys();
    }
}

}  // namespace

RuleSet read_rules(const config::Section& section) {
    auto emergency = rules_in(section, "emergency");
    auto before = rules_in(section, "before");
    auto after = rules_in(section, "after");
    auto instead = rules_in(section, "override");
    auto rules = default_rules();
    adjust(section.section("adjust"), rules);
    if (!instead.empty()) {
        if (!before.empty() || !after.empty() || section.has("adjust")) {
            section.report("override", "replaces all rules: before, after and adjust would have no effect");
        }
        rules = std::move(instead);
    } else {
        const auto non_scheduled_charging = std::ranges::find(rules, "non_scheduled_charging", &Rule::name);
        rules.insert(non_scheduled_charging, after.begin(), after.end());
        rules.insert(rules.begin() + 1, before.begin(), before.end());
    }
    RuleSet set{.list = std::move(emergency), .emergencies = 0};
    set.emergencies = set.list.size();
    std::ranges::move(rules, std::back_inserter(set.list));
    for (std::size_t i = 0; i < set.list.size(); ++i) {
        if (std::ranges::count(set.list, set.list[i].name, &Rule::name) > 1) {
            section.report("", fmt::format("two rules are named \"{}\"", set.list[i].name));
            break;
        }
    }
    section.reject_unknown_keys();
    return set;
}

}  // namespace policy_engine
