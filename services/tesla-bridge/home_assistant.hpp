#pragma once

#include <string>
#include <vector>

#include "contract/topics.hpp"
#include "home_assistant/entity.hpp"

namespace tesla_bridge {

/// What Home Assistant is told of the cars. It may look only: nobody but policy-engine commands a car, and the settings
/// of a car are policy-engine's.
std::vector<home_assistant::Device> announced_devices(const contract::Topics& topics,
                                                      const std::vector<std::string>& aliases);

}  // namespace tesla_bridge
