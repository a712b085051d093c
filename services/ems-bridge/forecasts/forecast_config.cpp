#include "ems-bridge/forecasts/forecast_config.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "contract/topics.hpp"
#include "ems-bridge/forecasts/forecast_solar.hpp"
#include "ems-bridge/forecasts/open_meteo.hpp"

namespace ems_bridge {

namespace {

struct Kind {
    const char* name;
    const char* public_url;
    FetchForecast (*read)(const config::Section&, const WebAccess&, const Roof&, std::chrono::milliseconds interval);
};

constexpr std::array kinds{Kind{"forecast_solar", "https://api.forecast.solar", &read_forecast_solar},
                           Kind{"open_meteo", "https://api.open-meteo.com", &read_open_meteo}};

Place read_place(const config::Section& section, const std::optional<Place>& site) {
    constexpr double pole_deg = 90;
    constexpr double date_line_deg = 180;
    if (site && !section.has("latitude") && !section.has("longitude")) {
        return *site;
    }
    return {.latitude_deg = section.number("latitude", -pole_deg, pole_deg),
            .longitude_deg = section.number("longitude", -date_line_deg, date_line_deg)};
}

std::vector<Plane> read_planes(const config::Section& section) {
    constexpr std::size_t most_planes = 6;
    constexpr double upright_deg = 90;
    constexpr double north_deg = 180;
    std::vector<Plane> planes;
    for (const auto& sub : section.sections("planes")) {
        planes.push_back({.tilt_deg = sub.number("tilt_deg", 0, upright_deg),
                          .azimuth_deg = sub.number("azimuth_deg", -north_deg, north_deg),
                          .kwp = sub.number("kwp", 0.01, 10000)});
        sub.reject_unknown_keys();
    }
    if (planes.empty() || planes.size() > most_planes) {
        section.report("planes", fmt::format("{} planes, expected 1 to {}", planes.size(), most_planes));
    }
    return planes;
}

ForecastConfig read_forecast(const config::Section& section, const std::string& name,
                             const std::optional<Place>& site) {
    constexpr double an_hour_s = 3600;
    constexpr double quarter_s = 900;  // what they say does not change more often
    constexpr double day_s = 86400;
    std::vector<std::string> names;
    names.reserve(kinds.size());
    for (const auto& kind : kinds) {
        names.emplace_back(kind.name);
    }
    ForecastConfig config{.name = name};
    config.interval = section.seconds_or("interval_s", an_hour_s, quarter_s, day_s);
    const Roof roof{.place = read_place(section, site), .planes = read_planes(section)};
    const auto* const kind = std::ranges::find(kinds, section.choice("kind", names), &Kind::name);
    const auto& chosen = kind == kinds.end() ? kinds.front() : *kind;
    const auto access = read_web_access(section, chosen.public_url);
    config.trust = access.trust;
    config.fetch = chosen.read(section, access, roof, config.interval);
    section.reject_unknown_keys();
    return config;
}

}  // namespace

std::vector<ForecastConfig> read_forecasts(const config::Section& section, const std::optional<Place>& site) {
    std::vector<ForecastConfig> forecasts;
    for (const auto& name : section.keys()) {
        if (!contract::is_valid_id(name)) {
            section.report(name, "a name is made of a-z, 0-9, _ and -");
        }
        forecasts.push_back(read_forecast(section.section(name), name, site));
    }
    section.reject_unknown_keys();  // the same name twice
    return forecasts;
}

}  // namespace ems_bridge
