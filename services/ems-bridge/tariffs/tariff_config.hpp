#pragma once

#include "ems-bridge/tariffs/tariff.hpp"

namespace ems_bridge {

/// The section `tariffs`: a mapping from names of the user's choice to entries with a `kind` (fixed, awattar, tibber,
/// octopus, entsoe) and its keys. At most one entry gives the import price, one the export price and one CO2.
std::vector<TariffConfig> read_tariffs(const config::Section& section);

}  // namespace ems_bridge
