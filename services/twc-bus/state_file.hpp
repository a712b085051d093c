#pragma once

#include <map>
#include <string>
#include <string_view>

#include "twc-bus/bus_master.hpp"
#include "twc-bus/session.hpp"

namespace twc_bus {

/// What outlives the process.
struct SavedCharger {
    std::optional<int> protocol;
    int granted_ca = 0;
    /// To be heartbeated at once after a restart. Also one that stopped answering, as long as it may still hold what
    /// it was granted: forgotten, that would be given away.
    bool linked = false;
    bool silenced = false;  ///< Charger::silenced
    std::string line;       ///< Where: LineConfig::name.
    EnergyTotals totals;
    bool operator==(const SavedCharger&) const = default;
};

struct SavedState {
    bool estop = false;
    std::map<UnitId, SavedCharger> chargers;
    bool operator==(const SavedState&) const = default;
};

std::string to_json_text(const SavedState& state);
/// Throws contract::Invalid, which names the field.
SavedState saved_state_from_text(std::string_view text);

}  // namespace twc_bus
