#pragma once

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "home_assistant/discovery.hpp"
#include "service/environment.hpp"
#include "service/service_host.hpp"
#include "service/state_publisher.hpp"
#include "twc-bus/charger_desk.hpp"
#include "twc-bus/config.hpp"
#include "twc-bus/fleet.hpp"
#include "twc-bus/fuse_guard.hpp"
#include "twc-bus/line_desk.hpp"
#include "twc-bus/setpoints.hpp"
#include "twc-bus/state_keeper.hpp"
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
    void open_link(std::size_t index);
    void on_link(std::size_t index, bool up, const std::string& why);
    void on_bytes(std::size_t index, std::span<const std::uint8_t> bytes);
    void on_answer(UnitId id);
    void pump();
    std::map<UnitId, int> wishes(scheduling::Instant now);

    void on_site(const messaging::Delivery& delivery);
    void look_around(scheduling::Instant now);
    void report_fuse();

    nlohmann::json on_limit_set(const messaging::Delivery& command);
    nlohmann::json on_estop_set(const messaging::Delivery& command);
    nlohmann::json on_raw_set(const messaging::Delivery& command);
    void report_refused_wishes(const contract::LimitSet& limits);
    void watch_lease(scheduling::Instant now);
    void handle_notices();

    void publish_all();
    void publish_bus();
    void publish_charger(const Charger& charger);
    std::string reason(scheduling::Instant now) const;
    std::map<std::string, contract::BusLine> line_states(scheduling::Instant now) const;
    static bool is_online(const Charger& charger, scheduling::Instant now);
    void add_metrics(nlohmann::json& metrics) const;
    ChargerDesk& desk(UnitId id);
    void repeat_states();

    SavedState state_to_save() const;
    void save_if_changed() { keeper_.save(state_to_save()); }

    Config config_;
    service::Environment& environment_;
    scheduling::Instant started_;
    service::ServiceHost host_;
    StateKeeper keeper_;
    Setpoints setpoints_;
    bool failsafe_ = false;
    std::optional<FuseGuard> fuse_;
    bool fuse_overloaded_ = false;
    std::uint64_t sites_refused_ = 0;
    Fleet fleet_;
    std::deque<LineDesk> lines_;

    std::map<UnitId, ChargerDesk> desks_;
    std::map<UnitId, std::optional<int>> refused_wishes_ca_;  ///< Above the hard limit, as reported last.
    std::set<UnitId> granted_nothing_;
    std::optional<scheduling::Instant> raw_sent_;  ///< What is heard soon after is shown as well.
    service::StatePublisher bus_state_;
    home_assistant::Discovery discovery_;
    scheduling::Timer timer_;
    scheduling::TaskScope scope_;
};

}  // namespace twc_bus
