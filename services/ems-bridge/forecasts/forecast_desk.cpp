#include "ems-bridge/forecasts/forecast_desk.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <spdlog/spdlog.h>

namespace ems_bridge {

namespace {

using namespace std::chrono_literals;

constexpr service::Pace pace{.at_most_every = 1s, .at_least_every = 5min, .qos = 1};
// Weather models run every few hours; what is older is only better than nothing.
constexpr scheduling::Duration stale_after = 6h;
constexpr int missed_answers = 3;
constexpr auto tick_period = 1min;  // the civil clock may jump

}  // namespace

ForecastDesk::ForecastDesk(std::vector<ForecastConfig> forecasts, const service::Environment& environment,
                           http::HttpClientFactory& clients)
    : environment_(environment),
      publisher_(service::make_state_publisher<contract::ForecastState>(environment,
                                                                        environment.topics.ems_forecast_state(), pace)),
      scope_(environment.loop),
      border_(environment.loop) {
    if (forecasts.empty()) {
        publisher_.clear();
        return;
    }
    publisher_.refresh_with([this] { return contract::to_json(take_state()); });
    for (auto& forecast : forecasts) {
        start(entries_.emplace_back(std::move(forecast)), clients);
    }
    update();
    scope_.call_every(tick_period, [this] { update(); });
}

// The job runs on the worker and only carries `this` and the entry to the loop.
void ForecastDesk::start(Entry& entry, http::HttpClientFactory& clients) {
    entry.fetcher = std::make_unique<Fetcher>(
        environment_.loop, environment_.workers, "forecast-" + entry.config.name, clients, entry.config.trust,
        [this, &entry, fetch = entry.config.fetch](http::HttpClient& client, WallTime now) -> Fetcher::Deliver {
            return [this, &entry, forecast = fetch(client, now)] { return on_forecast(entry, forecast); };
        },
        [&entry](ErrorKind kind, const std::string& what) { entry.record.on_failure(kind, what); });
}

std::chrono::milliseconds ForecastDesk::on_forecast(Entry& entry, const Forecast& forecast) {
    entry.record.on_answer(environment_.loop.now());
    entry.known = overlaid(entry.known, forecast.slots);
    update();
    return std::max(entry.config.interval, forecast.not_before.value_or(0ms));
}

void ForecastDesk::update() {
    const auto state = take_state();
    if (state.quality != last_quality_) {
        spdlog::log(state.quality == "ok" ? spdlog::level::info : spdlog::level::warn, "forecast: quality {}{}",
                    state.quality,
                    state.missing.empty() ? "" : fmt::format(", nothing from {}", fmt::join(state.missing, ", ")));
        last_quality_ = state.quality;
    }
    publisher_.update(state);
    const auto now = environment_.loop.wall_now();
    const auto borders = borders_of<contract::ForecastSlot>({&state.slots}, now, WallTime::max());
    if (borders.size() > 1) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(borders[1] - now);
        border_.set_after(left, [this] { update(); });
    } else {
        border_.cancel();
    }
}

contract::ForecastState ForecastDesk::take_state() {
    const auto now = environment_.loop.now();
    const auto wall_now = environment_.loop.wall_now();
    std::vector<ForecastView> views;
    for (auto& entry : entries_) {
        forget_before(entry.known, wall_now);
        entry.known.resize(std::min(entry.known.size(), max_slots));
        const auto patience = std::max<scheduling::Duration>(stale_after, missed_answers * entry.config.interval);
        views.push_back(
            {.name = entry.config.name, .slots = entry.known, .is_fresh = entry.record.is_fresh(patience, now)});
    }
    auto state = combine_forecasts(views, wall_now);
    state.ts = wall_now;
    return state;
}

nlohmann::json ForecastDesk::metrics() const {
    auto metrics = nlohmann::json::object();
    for (const auto& entry : entries_) {
        metrics[entry.config.name] = entry.record.summary(entry.fetcher->counts(), environment_.loop.now());
    }
    return metrics;
}

}  // namespace ems_bridge
