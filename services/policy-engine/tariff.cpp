#include "policy-engine/tariff.hpp"

#include <algorithm>

namespace policy_engine {

namespace {

using namespace std::chrono_literals;

double seconds_within(WallTime start, WallTime end, WallTime from, WallTime to) {
    return std::max(0.0, std::chrono::duration<double>(std::min(end, to) - std::max(start, from)).count());
}

}  // namespace

TariffPrices prices_now(const Tariff& tariff, WallTime now) {
    const auto slot =
        std::ranges::find_if(tariff, [&](const auto& item) { return item.start <= now && now < item.end; });
    return slot == tariff.end() ? TariffPrices{}
                                : TariffPrices{slot->import_price, slot->export_price, slot->co2_g_kwh};
}

TariffPrices prices_in_force(const Settings& settings, const Inputs& inputs) {
    TariffPrices prices = inputs.tariff.empty() ? TariffPrices{} : prices_now(inputs.tariff, inputs.wall);
    prices.import_price = settings.import_price ? settings.import_price : prices.import_price;
    prices.export_price = settings.export_price ? settings.export_price : prices.export_price;
    return prices;
}

std::optional<double> mean_import_price(const Tariff& tariff, WallTime now) {
    double price_seconds = 0;
    double total_s = 0;
    for (const auto& slot : tariff) {
        if (slot.import_price) {
            const double length_s = seconds_within(slot.start, slot.end, now, now + 24h);
            price_seconds += *slot.import_price * length_s;
            total_s += length_s;
        }
    }
    return total_s > 0 ? std::optional(price_seconds / total_s) : std::nullopt;
}

std::optional<double> forecast_kwh(const Forecast& forecast, WallTime now, WallTime until) {
    constexpr double watt_seconds_per_kwh = 3.6e6;
    double energy_ws = 0;
    double known_s = 0;
    for (const auto& slot : forecast) {
        const double length_s = seconds_within(slot.start, slot.end, now, until);
        energy_ws += slot.pv_w * length_s;
        known_s += length_s;
    }
    return known_s > 0 ? std::optional(energy_ws / watt_seconds_per_kwh) : std::nullopt;
}

}  // namespace policy_engine
