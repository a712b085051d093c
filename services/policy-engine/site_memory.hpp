#pragma once

#include "policy-engine/share.hpp"
#include "policy-engine/types.hpp"

namespace policy_engine {

/// Whether it is known which lines of the house a charger loads.
bool line_is_known(const SiteConfig& site, const Claim& claim);

/// Takes the newest sample of the site into `memory`: what it leaves to the chargers together, by the surplus law and
/// by the main fuse. It is set against what the chargers drew when it was taken: otherwise every change of ours would
/// first show up as a change of the sun. `claims`: of each charger of `memory`, with phases and watts per ampere.
void take_in_site(const Config& config, const Settings& settings, const Inputs& inputs,
                  const std::vector<Claim>& claims, Memory& memory);

/// Books what each charger took in the last `elapsed`; import is charged to them by what each of them draws. `grid_w`:
/// the present grid power, if it is known.
void account_sessions(const Settings& settings, const Inputs& inputs, const std::vector<Claim>& claims,
                      std::optional<double> grid_w, Duration elapsed, Memory& memory);

}  // namespace policy_engine
