#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "config/section.hpp"
#include "ems-bridge/forecasts/forecast.hpp"
#include "ems-bridge/plausibility.hpp"
#include "ems-bridge/poller.hpp"
#include "ems-bridge/program.hpp"
#include "ems-bridge/site.hpp"
#include "ems-bridge/sun.hpp"
#include "ems-bridge/tariffs/tariff.hpp"

namespace ems_bridge {

/// The bridge asks.
struct Polled {
    MakeSource make;
    Cadence cadence;
};

/// Others publish to topics of their own.
struct Subscribed {
    MqttProgram program;
    mapping::Mapping mapping;
};

/// Others publish to `ems/input/<quantity>/set`.
struct Pushed {};

struct SourceConfig {
    std::string type;  ///< Of the source, or the template's name.
    Member member;
    std::variant<Polled, Subscribed, Pushed> access;
};

struct Config {
    std::vector<SourceConfig> sources;
    std::optional<Place> place;
    PlausibleLimits limits;
    std::vector<TariffConfig> tariffs;
    std::vector<ForecastConfig> forecasts;
};

/// Keys: `site` {latitude, longitude, main_fuse_a}, `templates_folder`, `sources`, `tariffs`, `forecasts`. `shipped`:
/// where the templates are that come with the service.
Config read_config(const config::Section& root, const std::filesystem::path& shipped);

}  // namespace ems_bridge
