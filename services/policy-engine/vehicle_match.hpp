#pragma once

#include "policy-engine/types.hpp"

namespace policy_engine {

/// A guess that is good enough to command the car.
inline constexpr double confident = 0.7;

/// A VIN as cars have them; a car of another make says zeros or nothing.
bool is_vin(const std::string& text);
bool same_vin(const std::string& a, const std::string& b);

/// Decides which vehicle hangs on which charger and notes it in `memory.chargers`. The VIN on the bus settles it
/// (1.0). Without one: a plug event at both within two minutes (0.9), a current of both that agrees (0.8), or being the
/// only candidate on both sides (0.7). A match lasts until the charger is unplugged, the vehicle is elsewhere, or a
/// better one appears.
void match_vehicles(const Config& config, const Inputs& inputs, Memory& memory);

}  // namespace policy_engine
