#pragma once

#include "policy-engine/types.hpp"

namespace policy_engine {

/// Brings what is remembered of each charger up to date with what it reports now: plug, draw, starts of the day, the
/// gap the car leaves below its offer, its lag. Afterwards `memory.chargers` matches `inputs.chargers` one by one. A
/// charge that is under way when a charger is first seen, or seen again, is taken over as it is.
void follow_chargers(const Config& config, const Settings& settings, const Inputs& inputs, Memory& memory);

/// From so long after a change of its target on, what the car draws says what it wants: twice the lag it has shown,
/// between 10 s and 3 min.
Duration settling_time(const ChargerMemory& memory);

}  // namespace policy_engine
