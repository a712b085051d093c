#include "ems-bridge/tariffs/price_desk.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <spdlog/spdlog.h>

namespace ems_bridge {

namespace {

using namespace std::chrono_literals;

constexpr service::Pace pace{.at_most_every = 1s, .at_least_every = 5min, .qos = 1};
// Prices come once a day; a source that was silent for longer may have other news.
constexpr auto stale_after = 26h;
constexpr auto tick_period = 1min;  // the civil clock may jump

}  // namespace

PriceDesk::PriceDesk(std::vector<TariffConfig> tariffs, const service::Environment& environment,
                     http::HttpClientFactory& clients)
    : environment_(environment),
      publisher_(service::make_state_publisher<contract::TariffState>(environment,
                                                                      environment.topics.ems_tariff_state(), pace)),
      scope_(environment.loop),
      border_(environment.loop) {
    if (tariffs.empty()) {
        publisher_.clear();
        return;
    }
    publisher_.refresh_with([this] { return contract::to_json(take_state()); });
    for (auto& tariff : tariffs) {
        start(entries_.emplace_back(std::move(tariff)), clients);
    }
    update();
    scope_.call_every(tick_period, [this] { update(); });
}

void PriceDesk::start(Entry& entry, http::HttpClientFactory& clients) {
    const auto* const web = std::get_if<WebTariff>(&entry.config.source);
    if (web == nullptr) {
        entry.currency = std::get<FixedTariff>(entry.config.source).currency;
        return;
    }
    // The job runs on the worker and only carries `this` and the entry to the loop.
    entry.fetcher = std::make_unique<Fetcher>(
        environment_.loop, environment_.workers, "tariff-" + entry.config.name, clients, web->trust,
        [this, &entry, fetch = web->fetch](http::HttpClient& client, WallTime now) -> Fetcher::Deliver {
            return [this, &entry, tariff = fetch(client, now)] { return on_tariff(entry, tariff); };
        },
        [&entry](ErrorKind kind, const std::string& what) { entry.record.on_failure(kind, what); });
}

std::chrono::milliseconds PriceDesk::on_tariff(Entry& entry, const Tariff& tariff) {
    entry.record.on_answer(environment_.loop.now());
    entry.currency = tariff.currency;
    entry.known = overlaid(entry.known, tariff.slots);
    update();
    const auto now = environment_.loop.wall_now();
    return pause_until_news(std::get<WebTariff>(entry.config.source),
                            entry.known.empty() ? now : entry.known.back().end, now);
}

void PriceDesk::update() {
    const auto state = take_state();
    if (state.quality != last_quality_) {
        spdlog::log(state.quality == "ok" ? spdlog::level::info : spdlog::level::warn, "tariff: quality {}{}",
                    state.quality,
                    state.missing.empty() ? "" : fmt::format(", nothing from {}", fmt::join(state.missing, ", ")));
        last_quality_ = state.quality;
    }
    publisher_.update(state);
    const auto now = environment_.loop.wall_now();
    const auto borders = borders_of<contract::TariffSlot>({&state.slots}, now, WallTime::max());
    if (borders.size() > 1) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(borders[1] - now);
        border_.set_after(left, [this] { update(); });
    } else {
        border_.cancel();
    }
}

contract::TariffState PriceDesk::take_state() {
    const auto now = environment_.loop.now();
    const auto wall_now = environment_.loop.wall_now();
    std::vector<TariffView> views;
    for (auto& entry : entries_) {
        const auto* const fixed = std::get_if<FixedTariff>(&entry.config.source);
        if (fixed != nullptr) {
            entry.known = slots_of(*fixed, wall_now);
        }
        forget_before(entry.known, wall_now);
        entry.known.resize(std::min(entry.known.size(), max_slots));
        views.push_back({.name = entry.config.name,
                         .currency = entry.currency,
                         .slots = entry.known,
                         .is_fresh = fixed != nullptr || entry.record.is_fresh(stale_after, now)});
    }
    auto state = combine_tariffs(views, wall_now);
    state.ts = wall_now;
    return state;
}

nlohmann::json PriceDesk::metrics() const {
    auto metrics = nlohmann::json::object();
    for (const auto& entry : entries_) {
        if (entry.fetcher) {
            metrics[entry.config.name] = entry.record.summary(entry.fetcher->counts(), environment_.loop.now());
        }
    }
    return metrics;
}

}  // namespace ems_bridge
