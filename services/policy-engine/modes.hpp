#pragma once

#include "policy-engine/types.hpp"

namespace policy_engine {

/// What an order, a mode or a schedule asks of one charger, before limits and sharing.
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
};

/// First match wins: charger disabled, override, then the charger's or the site's mode.
Wish wish_for(const Settings& settings, const ChargerSettings* charger, WallTime now);

/// nullptr when absent.
const ChargerSettings* settings_of(const Settings& settings, const std::string& charger);
const VehicleSettings* vehicle_settings_of(const Settings& settings, const std::string& alias);
const ChargerConfig* config_of(const Config& config, const std::string& charger);
const VehicleConfig* vehicle_config_of(const Config& config, const std::string& alias);

}  // namespace policy_engine
