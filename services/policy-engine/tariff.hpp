#pragma once

#include "policy-engine/types.hpp"

namespace policy_engine {

/// Prices in force at one moment; unknown ones are none.
struct TariffPrices {
    std::optional<double> import_price;
    std::optional<double> export_price;
    std::optional<double> co2_g_kwh;
};

TariffPrices prices_now(const Tariff& tariff, WallTime now);

/// The same with what people set: a setting outranks the tariff.
TariffPrices prices_in_force(const Settings& settings, const Inputs& inputs);

/// Mean of the import prices that are known for the coming 24 hours, by time; none: nothing is known.
std::optional<double> mean_import_price(const Tariff& tariff, WallTime now);

/// What the sun is expected to give from `now` to `until`; none without a forecast for that time.
std::optional<double> forecast_kwh(const Forecast& forecast, WallTime now, WallTime until);

}  // namespace policy_engine
