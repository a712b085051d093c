#include "policy-engine/surplus.hpp"

#include <algorithm>

namespace policy_engine {

namespace {

// A reading of 0.003 V once made another controller compute 857 kA.
constexpr double lowest_plausible_v = 80;
constexpr double highest_plausible_v = 290;

// In amperes: keeps a surplus that lies just at a rounding edge from toggling the set-point.
constexpr double rounding_hysteresis = 0.1;

std::optional<double> mean_voltage(const PerPhase& voltages) {
    double sum = 0;
    int count = 0;
    for (const auto& voltage : voltages) {
        if (voltage && *voltage >= lowest_plausible_v && *voltage <= highest_plausible_v) {
            sum += *voltage;
            ++count;
        }
    }
    return count == 0 ? std::nullopt : std::optional(sum / count);
}

}  // namespace

double grid_weight(const Settings& settings) {
    return grid_weight(settings, {settings.import_price, settings.export_price, std::nullopt});
}

double grid_weight(const Settings& settings, const TariffPrices& prices) {
    constexpr double lightest = 0.1;
    constexpr double heaviest = 10;
    if (settings.grid_weight) {
        return *settings.grid_weight;
    }
    if (!prices.import_price || !prices.export_price) {
        return 1;
    }
    return *prices.export_price <= 0 ? heaviest
                                     : std::clamp(*prices.import_price / *prices.export_price, lightest, heaviest);
}

double round_up_from(double weight) { return weight / (1 + weight); }

bool boosts(const SiteConfig& config, const Settings& settings, const Site& site) {
    return settings.battery_boost_until_pct && config.battery_max_w && site.battery_soc_pct && site.battery_w &&
           *site.battery_soc_pct > *settings.battery_boost_until_pct;
}

std::optional<double> available_w(const SiteConfig& config, const Settings& settings, const Site& site,
                                  double chargers_drawn_w, bool battery_expected) {
    if (!site.grid_w || (battery_expected && !site.battery_w)) {
        return std::nullopt;
    }
    const double battery_w = site.battery_w.value_or(0);
    // A battery whose charge is unknown is taken as not yet full.
    const bool battery_first = settings.battery_priority == BatteryPriority::battery_first &&
                               site.battery_soc_pct.value_or(0) < settings.battery_first_until_pct;
    double taken_from_battery_w = battery_first ? std::max(battery_w, 0.0) : battery_w;
    if (boosts(config, settings, site)) {
        taken_from_battery_w = battery_w - *config.battery_max_w;
    }
    const double drawn_w = config.chargers_inside_meter ? chargers_drawn_w : 0;
    return drawn_w - *site.grid_w - taken_from_battery_w - settings.reserve_w;
}

double usable_w(double now_w, std::optional<double> lasting_w, double in_use_w, double step_w, double weight) {
    const double up_from = round_up_from(weight);
    if (now_w < in_use_w - (1 - up_from + rounding_hysteresis) * step_w) {
        return now_w;
    }
    if (lasting_w && std::min(*lasting_w, now_w) >= in_use_w + (up_from + rounding_hysteresis) * step_w) {
        return std::min(*lasting_w, now_w);
    }
    return in_use_w;
}

double volts(const SiteConfig& config, const std::optional<Site>& site, const Charger& charger) {
    if (const auto measured = mean_voltage(charger.voltage_v)) {
        return *measured;
    }
    if (site) {
        if (const auto measured = mean_voltage(site->voltage_v)) {
            return *measured;
        }
    }
    return config.voltage_v;
}

}  // namespace policy_engine
