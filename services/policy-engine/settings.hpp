#pragma once

#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "policy-engine/types.hpp"

namespace policy_engine {

/// Changes one setting of the site (`policy/<name>/set`). Throws service::Rejected for an unknown name or a value that
/// is not allowed; then nothing has changed.
void change_setting(Settings& settings, const std::string& name, std::string_view payload);

/// `policy/charger/<id>/<name>/set`: mode, max_a, priority, enabled. `auto` goes back to the site's.
void change_charger_setting(Settings& settings, const std::string& charger, const std::string& name,
                            std::string_view payload);

/// `policy/vehicle/<alias>/<name>/set`: max_a, priority, enabled.
void change_vehicle_setting(Settings& settings, const std::string& vehicle, const std::string& name,
                            std::string_view payload);

/// Sets or clears an override; `charger` none: for all. Clearing for all clears those of single chargers too.
void change_override(Settings& settings, const std::optional<std::string>& charger, std::optional<Override> order);

/// Whether the site has a setting of that name.
bool is_setting(std::string_view name);

/// As settings_to_json shows it; null for an unknown name.
nlohmann::json setting_value(const Settings& settings, std::string_view name);

/// All settings as one object: what is published and kept. Overrides are left out (see overrides_to_json).
nlohmann::json settings_to_json(const Settings& settings);

/// Applies what `settings_to_json` wrote on top of `settings`, by the same checks as a command. Every problem is
/// reported through the returned list and leaves that one setting as it was.
std::vector<std::string> settings_from_json(Settings& settings, const nlohmann::json& kept);

nlohmann::json override_to_json(const Override& order);
nlohmann::json overrides_to_json(const Settings& settings);
std::vector<std::string> overrides_from_json(Settings& settings, const nlohmann::json& kept, WallTime now);

}  // namespace policy_engine
