#pragma once

#include <string>
#include <string_view>

#include "home_assistant/entity.hpp"

/// What devices are called. Several services own entities of one device, so they have to agree on it. Entities are for
/// the caller to add.
namespace home_assistant {

/// The house as a whole: modes, settings, decisions.
Device controller_device();
/// The RS-485 bus.
Device bus_device();
/// The picture of the site's power.
Device energy_meter_device();
/// `id` as in the topics, such as 7744.
Device charger_device(std::string_view id);
Device vehicle_device(std::string_view alias);

/// `{{ value_json.<key> }}`
std::string value_of(std::string_view key);
/// A text or word that may be null: then `instead`. A null itself is shown as the word None by sensors that are no
/// numbers, and refused by those with options (seen with Home Assistant 2024.3).
std::string text_of(std::string_view key, std::string_view instead = "none");
/// The first 250 characters of a text that is never null: Home Assistant refuses states above 255.
std::string short_text_of(std::string_view key);

}  // namespace home_assistant
