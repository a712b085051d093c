#pragma once

#include <array>
#include <span>
#include <string>
#include <vector>

#include "contract/schema.hpp"
#include "contract/topics.hpp"
#include "home_assistant/entity.hpp"

namespace policy_engine {

/// How a setting of the site is shown in Home Assistant.
struct SettingView {
    enum class Shape { number, flag, choice };
    const char* name;  ///< As in `policy/<name>/set`.
    const char* label;
    Shape shape;
    bool may_be_unset = false;  ///< `none` is a value of it: a number cannot say that, so there is a button for it.
    contract::Range range{};    ///< Of a number: what the setting takes.
    double step = 1;
    const char* unit = "";
    std::span<const char* const> choices{};
};

/// Every setting of the site but `schedule` and `plans`, whose JSON does not fit into the 255 characters that a text of
/// Home Assistant may have.
std::span<const SettingView> setting_views();

/// What Home Assistant is told: the controller, and settings and decisions on the devices of chargers (twc-bus) and
/// vehicles (tesla-bridge).
std::vector<home_assistant::Device> announced_devices(const contract::Topics& topics,
                                                      const std::vector<std::string>& chargers,
                                                      const std::vector<std::string>& vehicles);

}  // namespace policy_engine
