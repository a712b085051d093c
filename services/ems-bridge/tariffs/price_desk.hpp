#pragma once

#include <list>
#include <memory>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "ems-bridge/fetcher.hpp"
#include "ems-bridge/tariffs/tariff.hpp"
#include "ems-bridge/web_record.hpp"
#include "service/environment.hpp"
#include "service/state_publisher.hpp"

namespace ems_bridge {

/// Publishes `ems/tariff/state` from the entries of `tariffs`: when prices come in, at every border of a slot, and
/// every few minutes. Without entries it withdraws what an earlier run left on the broker.
///
/// An announced price stays true when its source falls silent: what is known is kept until it is over.
class PriceDesk {
public:
    /// `environment` and `clients` outlive the desk.
    PriceDesk(std::vector<TariffConfig> tariffs, const service::Environment& environment,
              http::HttpClientFactory& clients);

    /// What the fetchers have seen, by entry.
    nlohmann::json metrics() const;

private:
    // Its address must stay: callbacks hold it.
    struct Entry {
        explicit Entry(TariffConfig tariff) : config(std::move(tariff)), record("tariff " + config.name) {}
        TariffConfig config;
        WebRecord record;
        std::optional<std::string> currency;
        std::vector<contract::TariffSlot> known;
        std::unique_ptr<Fetcher> fetcher;  ///< Of a web tariff.
    };

    void start(Entry& entry, http::HttpClientFactory& clients);
    std::chrono::milliseconds on_tariff(Entry& entry, const Tariff& tariff);
    void update();
    contract::TariffState take_state();

    const service::Environment& environment_;
    std::list<Entry> entries_;
    std::string last_quality_;
    service::StatePublisher publisher_;
    scheduling::TaskScope scope_;
    scheduling::Timer border_;
};

}  // namespace ems_bridge
