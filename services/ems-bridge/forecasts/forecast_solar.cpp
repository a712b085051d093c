#include "ems-bridge/forecasts/forecast_solar.hpp"

#include <cmath>
#include <map>

#include <fmt/format.h>

#include "clocks/civil_time.hpp"

namespace ems_bridge {

namespace {

using namespace std::chrono_literals;
using contract::ForecastSlot;
using nlohmann::json;

const char* const who = "forecast.solar";
using Series = std::map<WallTime, double>;

double hours_of(WallTime::duration duration) {
    return std::chrono::duration<double, std::ratio<3600>>(duration).count();
}

// A series by time stamp; empty when it is not there. The service writes an empty list for an empty object.
Series series_at(const json& result, const char* key, double max) {
    Series series;
    const auto found = result.find(key);
    if (found == result.end() || (found->is_array() && found->empty())) {
        return series;
    }
    if (!found->is_object() || found->size() > max_slots) {
        refuse_answer(who, fmt::format("result.{}: expected an object with at most {} time stamps", key, max_slots));
    }
    for (const auto& [text, value] : found->items()) {
        auto time = contract::parse_timestamp(text);
        time = time ? time : clocks::parse_local_time(text);
        if (!time) {
            refuse_answer(who, fmt::format("result.{}: expected times like 2026-06-01T12:00:00+02:00, got \"{}\"", key,
                                           shown(text)));
        }
        series[*time] = number_at(*found, text.c_str(), 0, max, fmt::format("{} result.{}", who, key));
    }
    return series;
}

std::vector<ForecastSlot> slots_between(const Series& watts, const Series& watt_hours) {
    std::vector<ForecastSlot> slots;
    for (auto next = watts.begin(); next != watts.end(); ++next) {
        if (next == watts.begin()) {
            continue;
        }
        const auto& [start, start_w] = *std::prev(next);
        const auto& [end, end_w] = *next;
        const auto energy = watt_hours.find(end);
        const double mean_w =
            energy != watt_hours.end() ? energy->second / hours_of(end - start) : (start_w + end_w) / 2;
        slots.push_back({.start = start, .end = end, .pv_w = std::min(mean_w, contract::any_power_w.max)});
    }
    return slots;
}

void add_night(std::vector<ForecastSlot>& slots, WallTime start, WallTime end) {
    if (start < end) {
        slots.push_back({.start = start, .end = end, .pv_w = 0});
    }
}

// When nothing is left of what the service allows, a question of the next period may be the first again.
std::optional<std::chrono::milliseconds> wait_of(const json& answer) {
    static const json::json_pointer remaining("/message/ratelimit/remaining");
    static const json::json_pointer period("/message/ratelimit/period");
    constexpr double longest_s = 86400;
    if (!answer.contains(remaining) || !answer.contains(period) || answer.at(remaining) != 0 ||
        !answer.at(period).is_number()) {
        return std::nullopt;
    }
    const double seconds = answer.at(period).get<double>();
    return std::chrono::seconds(seconds > 0 && seconds < longest_s ? std::lround(seconds) : 0);
}

}  // namespace

Forecast parse_forecast_solar(std::string_view body) {
    constexpr double most_wh = 1e7;
    const auto answer = parse_answer(body, who);
    const auto result = answer.find("result");
    if (result == answer.end() || !result->is_object()) {
        refuse_answer(
            who, fmt::format("result: expected an object; the service says: {}", said_by(body).value_or("nothing")));
    }
    const Series watts = series_at(*result, "watts", contract::any_power_w.max);
    if (watts.empty()) {
        refuse_answer(who, "result.watts: no power by time");
    }
    Forecast forecast{.not_before = wait_of(answer)};
    const auto& [first, first_w] = *watts.begin();
    const auto& [last, last_w] = *watts.rbegin();
    if (first_w == 0) {
        add_night(forecast.slots, clocks::local_midnight(first), first);
    }
    const auto days = slots_between(watts, series_at(*result, "watt_hours_period", most_wh));
    forecast.slots.insert(forecast.slots.end(), days.begin(), days.end());
    if (last_w == 0) {
        add_night(forecast.slots, last, clocks::local_midnight(last, 1));
    }
    return forecast;
}

FetchForecast read_forecast_solar(const config::Section& section, const WebAccess& access, const Roof& roof,
                                  std::chrono::milliseconds interval) {
    constexpr int free_questions = 12;
    const std::string key = read_url_secret(section, "api_key", false);
    const auto questions = static_cast<long>(roof.planes.size()) * (1h / interval);
    if (key.empty() && questions > free_questions) {
        section.report("interval_s",
                       fmt::format("{} planes would be {} questions an hour; without an account {} are free",
                                   roof.planes.size(), questions, free_questions));
    }
    return [=](http::HttpClient& client, WallTime now) {
        Forecast sum;
        std::vector<std::vector<ForecastSlot>> parts;
        for (const auto& plane : roof.planes) {
            // The key is part of the path, so messages name the server alone.
            const auto body =
                ask(client,
                    {.url = fmt::format("{}{}{}/estimate/{}/{}/{}/{}/{}?time=iso8601", access.url,
                                        key.empty() ? "" : "/", key, roof.place.latitude_deg, roof.place.longitude_deg,
                                        plane.tilt_deg, plane.azimuth_deg, plane.kwp),
                     .timeout = access.timeout},
                    access.url, now);
            auto part = parse_forecast_solar(body);
            parts.push_back(std::move(part.slots));
            sum.not_before = part.not_before;
        }
        sum.slots = sum_of(parts);
        return sum;
    };
}

}  // namespace ems_bridge
