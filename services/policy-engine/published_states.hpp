#pragma once

#include <string>
#include <vector>

#include "contract/messages.hpp"
#include "policy-engine/types.hpp"

/// What the service says, made of a decision and of what it was made from.
namespace policy_engine {

/// `policy/state`. The rules are listed where somebody goes by them.
contract::PolicyState site_report(const Config& config, const Settings& settings, const Inputs& inputs,
                                  const Decision& decision, const Memory& memory);

/// `policy/charger/<id>/state`
contract::PolicyChargerState charger_report(const Settings& settings, const Inputs& inputs,
                                            const ChargerDecision& charger, const ChargerMemory& memory);

/// `policy/override/state`, and `policy/override/<id>/state` for a `scope` of one charger.
contract::OverrideState override_report(const std::optional<Override>& order, const std::string& scope);

/// `policy/plan/state`: every goal once for each charger that pursues it, or as pending.
contract::PlansState plans_report(const Settings& settings, const Inputs& inputs, const Memory& memory);

/// A turn in a plan that a person wants to hear of.
struct PlanEvent {
    const char* type;  ///< plan_reached, plan_cannot_be_met
    contract::PlanReport plan;
};

std::vector<PlanEvent> plan_events(const contract::PlansState& before, const contract::PlansState& after);

}  // namespace policy_engine
