#pragma once

#include "policy-engine/types.hpp"

namespace policy_engine {

/// The whole decision: what every charger may offer now, why, and what the cars are told. A pure function of its
/// arguments. `memory` is the one of the decision before (a new one at the start) and comes back changed; pass it by
/// move. Works at any pace: at every new sample, and at least once a second for what depends on time.
Decision decide(const Config& config, const Settings& settings, const Inputs& inputs, Memory memory);

}  // namespace policy_engine
