#pragma once

#include <filesystem>

#include "config/section.hpp"
#include "policy-engine/simulation/day.hpp"
#include "policy-engine/simulation/site_run.hpp"

/// What a site is made of where a file or a recording says so.
namespace policy_engine::simulation {

/// A time of every day by local clocks, in minutes after midnight; `to` at or before `from` means the next day.
struct DailyWindow {
    int from_min = 0;
    int to_min = 24 * 60;
    bool holds(int minute_of_day) const;
};

struct DailyPrice {
    DailyWindow window;
    std::optional<double> import_price;  ///< Per kWh.
    std::optional<double> export_price;
    std::optional<double> co2_g_kwh;
};

struct ScenarioCharger {
    ChargerSetup setup;  ///< Its `plugged` is left empty: that depends on the day.
    std::vector<DailyWindow> plugged;
};

struct Scenario {
    std::filesystem::path day_file;  ///< A trace; empty: the day comes from elsewhere.
    WallTime midnight{};             ///< Where the first line of `day_file` lies.
    std::vector<ScenarioCharger> chargers;
    std::optional<BatterySetup> battery;
    std::string currency;
    std::vector<DailyPrice> prices;  ///< The first that holds counts. Empty: what the recording says.
};

/// Local midnight of Monday, 5 January 2026: where a day without a date lies.
WallTime usual_midnight();

/// A moment as people write it: with an offset as in the contract, or local: `2026-06-15`, `2026-06-15T14:00`.
std::optional<WallTime> parse_moment(const std::string& text);

/// Problems are reported through the section. `folder`: where relative file names begin. Chargers that leave their
/// phases or maximum out have those of `config`.
Scenario read_scenario(const config::Section& root, const ServiceConfig& config, const std::filesystem::path& folder);

SiteDay day_of(const std::vector<Second>& trace, WallTime midnight);
SiteDay day_of(const Recording& recording, const std::string& name);

/// Its tariff, from the day's beginning until a day after its end, replaces the day's.
void set_tariff(SiteDay& day, const Scenario& scenario);

SiteSetup setup_for(const Scenario& scenario, const SiteDay& day);

/// A car on each charger that was recorded, plugged in when it was. Where a vehicle can be told to be on it (by VIN, or
/// one of each), its charge and limit are that vehicle's, and its battery is taken to hold 75 kWh; the others are never
/// full. Assumptions are added to the day's remarks.
SiteSetup setup_for(const Recording& recording, const ServiceConfig& config, SiteDay& day);

/// A car that is never full on each charger of the configuration, or on one that nothing is known of.
SiteSetup setup_for(const ServiceConfig& config, const SiteDay& day);

}  // namespace policy_engine::simulation
