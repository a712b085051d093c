#pragma once

#include "ems-bridge/tariffs/tariff.hpp"

namespace ems_bridge {

struct OctopusPage {
    std::vector<PriceSlot> slots;     ///< In pounds; not in order yet. One without an end has WallTime::max().
    std::optional<std::string> next;  ///< URL of the next page.
};

/// Octopus Energy's unit rates: {"next":null,"results":[{"value_inc_vat":21.5,"valid_from":"2026-06-01T22:30:00Z",
/// "valid_to":null,"payment_method":null},…]} in pence per kWh. Rates for those who do not pay by direct debit are left
/// out. Throws SourceError.
OctopusPage parse_octopus(std::string_view body);

/// Keys `import` and `export`, each {product, tariff}; at least one of them. The formula is for the import.
FetchTariff read_octopus(const config::Section& section, const WebAccess& access, const PriceFormula& formula);

}  // namespace ems_bridge
