#pragma once

#include "ems-bridge/tariffs/tariff.hpp"

namespace ems_bridge {

/// Tibber's GraphQL answer: data.viewer.homes[].currentSubscription.priceInfo with the lists `today` and `tomorrow` of
/// {"total":0.3124,"startsAt":"2026-06-01T00:00:00.000+02:00","currency":"EUR"}; taxes included. Entries of one day are
/// equally long: as long as the shortest distance between two of them. `home_id`: which home; empty: the only one with
/// a subscription. Throws SourceError, with the service's own words when it answers with `errors`.
Prices parse_tibber(std::string_view body, const std::string& home_id);

/// Keys `token_file` and `home_id`.
FetchTariff read_tibber(const config::Section& section, const WebAccess& access, const PriceFormula& formula);

}  // namespace ems_bridge
