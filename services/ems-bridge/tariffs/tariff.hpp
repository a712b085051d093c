#pragma once

#include <functional>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "contract/messages.hpp"
#include "ems-bridge/slots.hpp"
#include "ems-bridge/web_api.hpp"

namespace ems_bridge {

/// What a service says a kilowatt-hour costs, before anything is added.
struct PriceSlot {
    WallTime start;
    WallTime end;  ///< Exclusive.
    double price = 0;
    bool operator==(const PriceSlot&) const = default;
};

/// An answer of a price service: slots in order, without overlaps, gaps allowed.
struct Prices {
    std::optional<std::string> currency;  ///< ISO 4217.
    std::vector<PriceSlot> slots;
    bool operator==(const Prices&) const = default;
};

/// What one entry of `tariffs` knows.
struct Tariff {
    std::optional<std::string> currency;
    std::vector<contract::TariffSlot> slots;
};

enum class Direction { bought, sold };

/// From a market price to what is paid: (price + surcharge) × factor.
struct PriceFormula {
    Direction direction = Direction::bought;  ///< What the service's price is.
    double surcharge = 0;                     ///< Per kWh: grid fees, taxes, margin; before VAT.
    double factor = 1;                        ///< 1.19 for 19 % VAT.
    std::optional<double> export_price;       ///< Per kWh fed in, where the service only says the import price.
};

/// Throws SourceError when there are no prices, or one leaves what the contract allows.
Tariff tariff_of(const Prices& prices, const PriceFormula& formula);

/// At every instant the prices of all, the first that knows one counts.
Tariff joined(const std::vector<Tariff>& tariffs);

/// Blocks; runs on a worker. Throws.
using FetchTariff = std::function<Tariff(http::HttpClient& client, WallTime now)>;

/// Prices that a service is asked for.
struct WebTariff {
    FetchTariff fetch;
    http::TlsTrust trust;
    std::chrono::milliseconds interval{std::chrono::hours(1)};
    int announced_min = 13 * 60;  ///< Local minute of the day from which on tomorrow's prices may be there.
};

/// A time-of-use window in local time. Begins on `days`; one over midnight ends on the day after.
struct FixedWindow {
    unsigned days = 0;  ///< Bit 0 is Monday.
    int from_min = 0;   ///< Minute of the day.
    int to_min = 0;     ///< Exclusive, up to 24:00; not after `from_min`: on the next day.
    std::optional<double> import_price;
    std::optional<double> export_price;
    std::optional<double> co2_g_kwh;
};

/// Prices that are written in the configuration. Of the windows that are open the first that says something counts,
/// else what applies at all other times.
struct FixedTariff {
    std::optional<std::string> currency;
    std::optional<double> import_price;
    std::optional<double> export_price;
    std::optional<double> co2_g_kwh;
    std::vector<FixedWindow> windows;
};

struct TariffConfig {
    std::string name;
    std::variant<FixedTariff, WebTariff> source;
    bool gives_import = false;
    bool gives_export = false;
    bool gives_co2 = false;
};

/// From the local midnight before `now` to the third after it, so at least 48 h ahead. By what local clocks show: a
/// window that a DST night makes longer or shorter is so here too.
std::vector<contract::TariffSlot> slots_of(const FixedTariff& tariff, WallTime now);

/// When to ask a service again that has answered: after `interval`; but soon after the time at which tomorrow's prices
/// are announced, and from then on every quarter of an hour until they are known. `known_until`: end of the last slot.
std::chrono::milliseconds pause_until_news(const WebTariff& tariff, WallTime known_until, WallTime now);

/// What one entry says at some time, for the combination.
struct TariffView {
    std::string name;
    std::optional<std::string> currency;
    const std::vector<contract::TariffSlot>& slots;
    bool is_fresh = false;  ///< Its source was heard lately.
};

/// One tariff of several entries: at every instant each price is that of the first entry that knows it. An entry in
/// another currency than the first counts as missing. From the slot in force on, at most max_slots of them.
///
/// `quality`: ok; partial, when one of several entries is silent or says nothing about now; stale, when that is so of
/// all of them but something is known; error, when nothing is. `missing`: those that say nothing about now.
contract::TariffState combine_tariffs(const std::vector<TariffView>& views, WallTime now);

}  // namespace ems_bridge
