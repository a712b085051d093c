#include "ems-bridge/forecasts/open_meteo.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>

namespace ems_bridge {

namespace {

using namespace std::chrono_literals;
using contract::ForecastSlot;
using nlohmann::json;
using std::chrono::minutes;

const char* const who = "Open-Meteo";

struct Block {
    const json* values;
    const char* name;
    minutes length;
};

Block block_of(const json& answer) {
    constexpr std::array<std::pair<const char*, minutes>, 2> blocks{{{"minutely_15", 15min}, {"hourly", 60min}}};
    for (const auto& [name, length] : blocks) {
        const auto found = answer.find(name);
        if (found != answer.end() && found->is_object()) {
            return {&*found, name, length};
        }
    }
    refuse_answer(who, "expected an object hourly or minutely_15");
}

WallTime end_of(const json& text, std::chrono::seconds utc_offset, const std::string& what) {
    constexpr std::string_view layout = "2026-06-01T12:00";
    const auto time = text.is_string() && text.get_ref<const std::string&>().size() == layout.size()
                          ? contract::parse_timestamp(text.get_ref<const std::string&>() + ":00Z")
                          : std::nullopt;
    if (!time) {
        refuse_answer(what, fmt::format("expected a time like {}, got {}", layout, shown(contract::to_text(text))));
    }
    return *time - utc_offset;
}

}  // namespace

Forecast parse_open_meteo(std::string_view body, double kwp, double factor) {
    constexpr double most_w_m2 = 2000;  // on a clear day 1100; edges of clouds and snow may add to it
    constexpr double longest_offset_s = 15 * 3600;
    const auto answer = parse_answer(body, who);
    const Block block = block_of(answer);
    const std::chrono::seconds utc_offset(
        static_cast<int>(number_at(answer, "utc_offset_seconds", -longest_offset_s, longest_offset_s, who)));
    const std::string what = fmt::format("{} {}", who, block.name);
    const auto& times = list_at(*block.values, "time", what);
    const auto& irradiance = list_at(*block.values, "global_tilted_irradiance", what);
    if (times.size() != irradiance.size() || times.size() > max_slots) {
        refuse_answer(what, fmt::format("{} times and {} values, expected as many, and at most {}", times.size(),
                                        irradiance.size(), max_slots));
    }
    Forecast forecast;
    for (std::size_t i = 0; i < times.size(); ++i) {
        const WallTime end = end_of(times[i], utc_offset, fmt::format("{}.time[{}]", what, i));
        if (irradiance[i].is_null()) {
            continue;
        }
        const std::string place = fmt::format("{}.global_tilted_irradiance[{}]", what, i);
        if (!irradiance[i].is_number()) {
            refuse_answer(place, "expected a number or null, got " + shown(contract::to_text(irradiance[i])));
        }
        const double w_m2 = irradiance[i].get<double>();
        if (!(w_m2 <= most_w_m2)) {
            refuse_answer(place, fmt::format("expected at most {} W/m², got {}", most_w_m2, w_m2));
        }
        forecast.slots.push_back({.start = end - block.length, .end = end, .pv_w = std::max(0.0, w_m2) * kwp * factor});
    }
    if (forecast.slots.empty()) {
        refuse_answer(what, "no values");
    }
    forecast.slots = in_order(std::move(forecast.slots));
    return forecast;
}

FetchForecast read_open_meteo(const config::Section& section, const WebAccess& access, const Roof& roof,
                              std::chrono::milliseconds /*interval*/) {
    constexpr double usual_factor = 0.85;  // heat, cables and inverter
    const double factor = section.number_or("factor", usual_factor, 0.1, 1.5);
    const std::string step = section.choice_or("step", "hourly", {"hourly", "minutely_15"});
    return [=](http::HttpClient& client, WallTime now) {
        const std::string url = access.url + "/v1/forecast";
        std::vector<std::vector<ForecastSlot>> parts;
        for (const auto& plane : roof.planes) {
            const auto body =
                ask(client,
                    {.url = fmt::format("{}?latitude={}&longitude={}&{}=global_tilted_irradiance&tilt={}&azimuth={}"
                                        "&timezone=auto&forecast_days=3",
                                        url, roof.place.latitude_deg, roof.place.longitude_deg, step, plane.tilt_deg,
                                        plane.azimuth_deg),
                     .timeout = access.timeout},
                    url, now);
            parts.push_back(parse_open_meteo(body, plane.kwp, factor).slots);
        }
        return Forecast{.slots = sum_of(parts)};
    };
}

}  // namespace ems_bridge
