#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "service/environment.hpp"
#include "service/service_host.hpp"
#include "service/state_publisher.hpp"
#include "twc-bus/config.hpp"
#include "twc-bus/fleet.hpp"
#include "twc-bus/fuse_guard.hpp"
#include "twc-bus/health.hpp"
#include "twc-bus/session.hpp"
#include "twc-bus/setpoints.hpp"
#include "twc-bus/state_file.hpp"
#include "twc-bus/transmit_filter.hpp"

namespace twc_bus {

/// The service: joins the bus masters to their lines, to MQTT and to the state file, and waits for none of them.
class TwcBus {
public:
    /// One link for every line of the configuration, in its order. They and `environment` outlive it.
    TwcBus(Config config, service::Environment& environment, const std::vector<ByteLink*>& links);
    TwcBus(const TwcBus&) = delete;
    TwcBus& operator=(const TwcBus&) = delete;
    ~TwcBus();

private:
    struct Published {
        Published(const service::Environment& environment, const std::string& topic);

        service::StatePublisher state;
        SessionMeter meter;
        std::optional<bool> online;
        std::optional<std::string> fault;
        std::optional<int> refused_wish_ca;  ///< The wish above the hard limit that was reported last.
    };

    struct Line {
        Line(LineConfig line_config, ByteLink& link, TransmitRules rules)
            : config(std::move(line_config)), transmitter(link, std::move(rules)) {}

        LineConfig config;
        FrameDecoder decoder{AcceptedLengths::listening};
        Transmitter transmitter;
        std::string reason = "opening the port";  ///< Why it is down.
        bool was_up = false;
        std::uint64_t losses = 0;
        std::uint64_t bytes = 0;
        Health health;
    };

    void open_link(std::size_t index);
    void on_link(std::size_t index, bool up, const std::string& why);
    void on_bytes(std::size_t index, std::span<const std::uint8_t> bytes);
    void on_answer(UnitId id);
    void pump();
    std::map<UnitId, int> wishes(scheduling::Instant now);

    void on_site(const messaging::Delivery& delivery);
    void watch_fuse(scheduling::Instant now);

    nlohmann::json on_limit_set(const messaging::Delivery& command);
    nlohmann::json on_estop_set(const messaging::Delivery& command);
    void report_refused_wishes(const contract::LimitSet& limits);
    void watch_lease(scheduling::Instant now);
    void handle_notices();

    void publish_all();
    void publish_bus();
    void publish_charger(const Charger& charger);
    std::string reason(scheduling::Instant now) const;
    std::string link_word(std::size_t index, scheduling::Instant now) const;
    LineFacts line_facts(std::size_t index, scheduling::Instant now) const;
    LineCounters line_counters(std::size_t index) const;
    std::map<std::string, contract::BusLine> line_states(scheduling::Instant now) const;
    static bool is_online(const Charger& charger, scheduling::Instant now);
    void charger_event(UnitId id, const std::string& event_type, nlohmann::json details = nlohmann::json::object());
    nlohmann::json line_metrics(std::size_t index) const;
    void add_metrics(nlohmann::json& metrics) const;
    Published& published(UnitId id);

    SavedState state_to_save() const;
    void save_if_changed();
    void save_before_exit();

    Config config_;
    service::Environment& environment_;
    scheduling::Instant started_;
    SavedState saved_;  ///< As it stands in the file.
    Setpoints setpoints_;
    bool failsafe_ = false;
    std::optional<FuseGuard> fuse_;
    bool fuse_overloaded_ = false;
    std::uint64_t sites_refused_ = 0;
    Fleet fleet_;
    std::deque<Line> lines_;

    std::map<UnitId, Published> published_;
    std::set<UnitId> granted_nothing_;
    service::ServiceHost host_;
    service::StatePublisher bus_state_;
    std::unique_ptr<scheduling::Worker> disk_;
    bool saving_ = false;
    bool save_again_ = false;  ///< Something changed that must not wait for the next period.
    bool save_failed_ = false;
    scheduling::Timer timer_;
    scheduling::TaskScope scope_;
};

}  // namespace twc_bus
