#pragma once

#include "policy-engine/types.hpp"

namespace policy_engine {

/// What an order, a mode, a rule or a schedule asks of one charger, before limits and sharing.
struct Wish {
    enum class Kind {
        none,     ///< 0 A.
        solar,    ///< As much as the sun gives; may be nothing.
        floored,  ///< At least the minimum, more if the sun gives it.
        firm,     ///< `amps`, or as much as the limits allow.
    };
    Kind kind = Kind::none;
    std::optional<double> amps;
    Reason reason = Reason::mode_off;
    std::optional<double> countdown_s;  ///< Until the order or the window ends, or the next window opens.
    const Rule* rule = nullptr;         ///< That asks for it; nullptr: something else does.
};

/// The car on a charger, as far as it is known which one it is.
struct Guest {
    const Vehicle* vehicle = nullptr;       ///< What it reports.
    const VehicleConfig* config = nullptr;  ///< Its entry, by alias or by the VIN on the bus.
    const VehicleSettings* settings = nullptr;
    const VehicleGroup* group = nullptr;
    bool is_stranger = false;  ///< The bus names a VIN that is none of the configured ones.
};

/// All that a wish depends on.
struct Situation {
    const Circumstances& all;
    const ChargerSettings* chosen = nullptr;  ///< For this charger; nullptr: nothing.
    const Rule* rule = nullptr;               ///< The active rule; nullptr: none.
    bool is_emergency = false;                ///< `rule` holds in every mode and before overrides.
    const PlanProgress* plan = nullptr;       ///< For this charger or its car; nullptr: none.
    Guest guest;
    double ampere_w = 230;  ///< Watts per ampere of this charger.
};

/// First match wins: disabled or not allowed; an emergency rule; an override; mode off; a car below its least charge; a
/// plan that charges now; a cheap hour; the charger's or the site's mode.
Wish wish_for(const Situation& situation);

/// Whether any charger is in mode rules.
bool uses_rules(const Settings& settings);

Guest guest_on(const Config& config, const Settings& settings, const Inputs& inputs, const Charger& charger,
               const ChargerMemory& memory);

/// Highest first: the setting, the entry, the group. None: not said.
std::optional<int> priority_of(const Guest& guest);
std::optional<double> max_a_of(const Guest& guest);

/// nullptr when absent.
const ChargerSettings* settings_of(const Settings& settings, const std::string& charger);
const VehicleSettings* vehicle_settings_of(const Settings& settings, const std::string& alias);
const ChargerConfig* config_of(const Config& config, const std::string& charger);
const Vehicle* vehicle_of(const Inputs& inputs, const std::string& alias);
const VehicleConfig* vehicle_config_of(const Config& config, const std::string& alias);

}  // namespace policy_engine
