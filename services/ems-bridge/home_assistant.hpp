#pragma once

#include <vector>

#include "contract/topics.hpp"
#include "ems-bridge/config.hpp"
#include "home_assistant/entity.hpp"

namespace ems_bridge {

/// What Home Assistant is told: the picture of the site, and prices and forecasts where there are sources of them.
std::vector<home_assistant::Device> announced_devices(const contract::Topics& topics, const Config& config);

}  // namespace ems_bridge
