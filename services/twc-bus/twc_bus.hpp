#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "service/environment.hpp"
#include "service/service_host.hpp"
#include "service/state_publisher.hpp"
#include "twc-bus/bus_master.hpp"
#include "twc-bus/config.hpp"
#include "twc-bus/fuse_guard.hpp"
#include "twc-bus/session.hpp"
#include "twc-bus/setpoints.hpp"
#include "twc-bus/state_file.hpp"
#include "twc-bus/transmit_filter.hpp"

namespace twc_bus {

/// The service: joins the bus master to the line, to MQTT and to the state file, and waits for none of them.
class TwcBus {
public:
    /// `link` and `environment` outlive it.
    TwcBus(Config config, service::Environment& environment, ByteLink& link);
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

    void open_link();
    void on_bytes(std::span<const std::uint8_t> bytes);
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
    std::string link_word(scheduling::Instant now) const;
    static bool is_online(const Charger& charger, scheduling::Instant now);
    void charger_event(UnitId id, const std::string& event_type, nlohmann::json details = nlohmann::json::object());
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
    BusMaster master_;
    FrameDecoder decoder_{AcceptedLengths::listening};
    Transmitter transmitter_;
    std::string link_reason_ = "opening the port";
    std::uint64_t link_losses_ = 0;
    bool was_up_ = false;

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
