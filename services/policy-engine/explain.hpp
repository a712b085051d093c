#pragma once

#include <string>

#include "policy-engine/types.hpp"

namespace policy_engine {

/// One sentence a person understands, with the countdown in it. Made only where it is shown: a simulated year needs
/// none.
std::string sentence(const ChargerDecision& decision);

/// What kind of reason it is: off, order, sun, waiting, limit, data, stopping, absent. Changes of kind are worth an
/// event; what changes within one (another cloud) is not.
const char* kind_of(Reason reason);

/// Where a limit of all chargers together comes from, in words.
const char* origin_of(Limit limit);

/// "42 s", "7 min", "2 h 5 min"
std::string duration_text(double duration_s);

/// "1.6 kW", "-230 W"
std::string power_text(double power_w);

}  // namespace policy_engine
