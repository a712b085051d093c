#pragma once

#include "ems-bridge/tariffs/tariff.hpp"

namespace ems_bridge {

/// The ENTSO-E transparency platform's day-ahead prices (document type A44): a Publication_MarketDocument of TimeSeries
/// of Periods of Points, in currency per MWh, times in UTC. Positions that a curve of type A03 leaves out repeat the
/// price before them; those that another leaves out are gaps. Of several auctions of a zone the first counts
/// (classification sequence 1), and of several resolutions the finest.
///
/// Throws SourceError: with the platform's own words for an Acknowledgement_MarketDocument, which is how it says no.
Prices parse_entsoe(std::string_view body);

/// Keys `domain`, the EIC code of the bidding zone such as 10Y1001A1001A82H, and `token_file`.
FetchTariff read_entsoe(const config::Section& section, const WebAccess& access, const PriceFormula& formula);

}  // namespace ems_bridge
