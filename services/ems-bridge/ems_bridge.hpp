#pragma once

#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ems-bridge/config.hpp"
#include "ems-bridge/forecasts/forecast_desk.hpp"
#include "ems-bridge/mqtt_feed.hpp"
#include "ems-bridge/poller.hpp"
#include "ems-bridge/site.hpp"
#include "ems-bridge/tariffs/price_desk.hpp"
#include "home_assistant/discovery.hpp"
#include "service/environment.hpp"
#include "service/service_host.hpp"
#include "service/state_publisher.hpp"

namespace ems_bridge {

/// Publishes `ems/state`, one picture of the site's power, and `ems/source/<name>/state` for each source; listens to
/// `ems/input/+/set`. A new sample that changes the picture is published in the same turn of the loop. Prices and
/// forecasts have desks of their own.
class EmsBridge {
public:
    /// `environment` and `io` outlive the bridge.
    EmsBridge(Config config, service::Environment& environment, Io& io);

private:
    // Everything about one source at run time. Its address must stay: callbacks hold it.
    struct Running {
        Running(SourceConfig source, const PlausibleLimits& limits) : config(std::move(source)), filter(limits) {}
        SourceConfig config;
        Statements statements;
        PlausibilityFilter filter;
        std::optional<std::string> error;
        std::optional<ErrorKind> error_kind;
        std::map<std::string, std::uint64_t> errors;  ///< By kind, for sources that are not polled.
        std::uint64_t samples = 0;
        std::string last_problem;
        std::unique_ptr<MqttFeed> feed;
        std::unique_ptr<service::StatePublisher> publisher;
        std::unique_ptr<Poller> poller;
    };

    void start(Running& source, Io& io);
    void start_polling(Running& source, Polled polled, Io& io);
    void listen_to_topics();
    void listen_to_chargers();

    void on_reading(Running& source, const Reading& reading, scheduling::Instant asked_at);
    void on_failure(Running& source, ErrorKind kind, const std::string& what);
    static void on_recovery(Running& source);
    void on_topic(const std::vector<Running*>& sources, const messaging::Delivery& message);
    nlohmann::json on_push(const messaging::Delivery& command);
    void on_charger(const messaging::Delivery& message);
    static void note_problems(Running& source, const std::vector<std::string>& problems);

    // Once per turn of the loop, however many samples came in it.
    void picture_changed();
    void update_picture();
    SitePicture take_picture();
    nlohmann::json site_state();
    nlohmann::json source_state(const Running& source) const;
    std::optional<double> charger_w() const;
    void add_metrics(nlohmann::json& metrics) const;

    service::Environment& environment_;
    Config config_;
    std::list<Running> sources_;
    SiteMemory site_memory_;
    std::string last_quality_ = "error";  // as it starts; only changes are logged
    bool update_pending_ = false;
    std::uint64_t pictures_ = 0;

    struct ChargerPower {
        std::optional<double> power_w;
        scheduling::Instant at;
    };
    std::map<std::string, ChargerPower> chargers_;

    service::ServiceHost host_;
    service::StatePublisher site_publisher_;
    scheduling::TaskScope scope_;
    scheduling::Timer expiry_;
    PriceDesk prices_;
    ForecastDesk forecasts_;
    home_assistant::Discovery discovery_;
};

}  // namespace ems_bridge
