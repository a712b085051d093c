#pragma once

#include <cstdint>
#include <vector>

#include "policy-engine/simulation/day.hpp"

/// Synthetic days, one value a second, the same for the same seed everywhere.
namespace study {

enum class Sky { clear, broken, overcast };

const char* name_of(Sky sky);

/// 8 kWp under a clear-sky curve from 06:00 to 20:00, shaded by clouds that come and go in edges of 8 to 40 s, and a
/// household of base load, fridge, kettle, oven, washing machine and hot water (control notes F1, F4).
std::vector<policy_engine::simulation::Second> synthetic_day(Sky sky, std::uint64_t seed);

}  // namespace study
