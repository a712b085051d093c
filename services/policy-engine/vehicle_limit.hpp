#pragma once

#include "policy-engine/types.hpp"

namespace policy_engine {

/// Sets the charge limit in the cars that hang on chargers to what the active rule says, and back to what it was when
/// the rule no longer says so. Each car is asked at most every 5 minutes (features notes 3.6). A limit that its driver
/// changes meanwhile is left alone.
void apply_vehicle_limit(std::optional<double> wanted_pct, const Inputs& inputs, Decision& decision);

}  // namespace policy_engine
