#pragma once

#include "config/section.hpp"
#include "policy-engine/rules.hpp"

namespace policy_engine {

/// The section `rules` of the configuration:
///
///     emergency: [RULE, ...]    in every mode, before everything that people ask for
///     before: [RULE, ...]       after charge_now
///     after: [RULE, ...]        before non_scheduled
///     override: [RULE, ...]     instead of the default rules, before and after
///     adjust: {<default rule>: {restrict: [CONDITION, ...], latch_s, max_a, top_up_a, vehicle_limit_pct, webhooks}}
///
/// A RULE is `{name, when: [CONDITION, ...], do: off|solar|min_solar|fast|amps, amps: 16 or a value's name, latch_s,
/// max_a, top_up_a, vehicle_limit_pct, webhooks: {enter, start, stop, exit}}`; a CONDITION a comparison, or a mapping
/// with `all`, `any` or `none` of a list of such. Problems are reported through the section.
RuleSet read_rules(const config::Section& section);

}  // namespace policy_engine
