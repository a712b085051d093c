#pragma once

#include "ems-bridge/tariffs/tariff.hpp"

namespace ems_bridge {

/// aWATTar's market data: {"data":[{"start_timestamp":<ms>,"end_timestamp":<ms>,"marketprice":42.09,
/// "unit":"Eur/MWh"},…]}, exchange prices of Germany and Austria without taxes. Throws SourceError.
Prices parse_awattar(std::string_view body);

FetchTariff read_awattar(const config::Section& section, const WebAccess& access, const PriceFormula& formula);

}  // namespace ems_bridge
