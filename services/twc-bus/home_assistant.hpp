#pragma once

#include <string>
#include <vector>

#include "contract/topics.hpp"
#include "home_assistant/entity.hpp"

namespace twc_bus {

/// What Home Assistant is told of one charger. Its settings are policy-engine's and appear on the same device.
home_assistant::Device charger_device(const contract::Topics& topics, const std::string& id);

/// What it is told of the bus. `is_master`: only then can the emergency stop be pressed.
home_assistant::Device bus_device(const contract::Topics& topics, bool is_master);

/// All of it; `chargers` by id.
std::vector<home_assistant::Device> announced_devices(const contract::Topics& topics,
                                                      const std::vector<std::string>& chargers, bool is_master);

}  // namespace twc_bus
