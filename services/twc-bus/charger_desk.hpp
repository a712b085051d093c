#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "contract/messages.hpp"
#include "service/environment.hpp"
#include "service/service_host.hpp"
#include "service/state_publisher.hpp"
#include "twc-bus/protocol.hpp"
#include "twc-bus/session.hpp"

namespace twc_bus {

/// One charger towards MQTT: its state, availability and events, and the meter of what it delivers.
class ChargerDesk {
public:
    /// `environment` and `host` outlive it.
    ChargerDesk(service::Environment& environment, service::ServiceHost& host, UnitId id,
                const EnergyTotals& totals = {});

    /// An answer of the unit. True when that began or ended something that is worth saving at once.
    bool on_reading(double power_w, std::optional<bool> plugged);
    /// SessionMeter::on_unit_counter
    void on_unit_counter(std::uint32_t unit_kwh) { meter_.on_unit_counter(unit_kwh, environment_.loop.wall_now()); }
    /// `ts` is set here.
    void publish(contract::ChargerState state, bool online);
    void publish_offline();
    /// The state as it was published last, once more.
    void repeat() { state_.repeat(); }
    void event(const std::string& event_type, nlohmann::json details = nlohmann::json::object());

    const EnergyTotals& totals() const { return meter_.totals(); }

private:
    service::Environment& environment_;
    service::ServiceHost& host_;
    std::string id_;
    service::StatePublisher state_;
    SessionMeter meter_;
    std::optional<bool> online_;
    std::optional<std::string> fault_;
};

/// Their ids as in the topics.
std::vector<std::string> ids_of(const std::map<UnitId, ChargerDesk>& desks);

}  // namespace twc_bus
