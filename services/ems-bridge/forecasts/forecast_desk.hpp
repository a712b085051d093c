#pragma once

#include <list>
#include <memory>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "ems-bridge/fetcher.hpp"
#include "ems-bridge/forecasts/forecast.hpp"
#include "ems-bridge/web_record.hpp"
#include "service/environment.hpp"
#include "service/state_publisher.hpp"

namespace ems_bridge {

/// Publishes `ems/forecast/state` from the entries of `forecasts`: when a forecast comes in, at every border of a slot,
/// and every few minutes. Without entries it withdraws what an earlier run left on the broker. The last forecast of a
/// silent source is kept until it is over.
class ForecastDesk {
public:
    /// `environment` and `clients` outlive the desk.
    ForecastDesk(std::vector<ForecastConfig> forecasts, const service::Environment& environment,
                 http::HttpClientFactory& clients);

    /// What the fetchers have seen, by entry.
    nlohmann::json metrics() const;

private:
    // Its address must stay: callbacks hold it.
    struct Entry {
        explicit Entry(ForecastConfig forecast) : config(std::move(forecast)), record("forecast " + config.name) {}
        ForecastConfig config;
        WebRecord record;
        std::vector<contract::ForecastSlot> known;
        std::unique_ptr<Fetcher> fetcher;
    };

    void start(Entry& entry, http::HttpClientFactory& clients);
    std::chrono::milliseconds on_forecast(Entry& entry, const Forecast& forecast);
    void update();
    contract::ForecastState take_state();

    const service::Environment& environment_;
    std::list<Entry> entries_;
    std::string last_quality_;
    service::StatePublisher publisher_;
    scheduling::TaskScope scope_;
    scheduling::Timer border_;
};

}  // namespace ems_bridge
