#include "twc-bus/charger_desk.hpp"

#include <spdlog/spdlog.h>

namespace twc_bus {

namespace {

using namespace std::chrono_literals;

constexpr service::Pace charger_pace{.at_most_every = 1s, .at_least_every = 10s, .qos = 0};

const char* name_of(SessionEvent event) {
    switch (event) {
        case SessionEvent::plugged:
            return "plugged";
        case SessionEvent::unplugged:
            return "unplugged";
        case SessionEvent::session_started:
            return "session_started";
        case SessionEvent::session_ended:
            return "session_ended";
    }
    return "";
}

}  // namespace

ChargerDesk::ChargerDesk(service::Environment& environment, service::ServiceHost& host, UnitId id,
                         const EnergyTotals& totals)
    : environment_(environment),
      host_(host),
      id_(to_text(id)),
      state_(service::make_state_publisher<contract::ChargerState>(environment, environment.topics.charger_state(id_),
                                                                   charger_pace)),
      meter_(totals) {}

bool ChargerDesk::on_reading(double power_w, std::optional<bool> plugged) {
    const auto events = meter_.on_reading({.power_w = power_w,
                                           .plugged = plugged,
                                           .now = environment_.loop.now(),
                                           .wall_now = environment_.loop.wall_now()});
    for (const auto session_event : events) {
        event(name_of(session_event),
              {{"energy_kwh", totals().energy_kwh}, {"session_kwh", totals().session_kwh.value_or(0)}});
        spdlog::info("{}: {}", id_, name_of(session_event));
    }
    return !events.empty();
}

void ChargerDesk::publish(contract::ChargerState state, bool online) {
    state.ts = environment_.loop.wall_now();
    state_.update(state);
    if (online_ != online) {
        online_ = online;
        environment_.bus.publish({.topic = environment_.topics.charger_availability(id_),
                                  .payload = online ? "online" : "offline",
                                  .retained = true,
                                  .qos = 1});
    }
    if (state.fault != fault_) {
        fault_ = state.fault;
        if (state.fault && online) {
            spdlog::warn("{}: {}", id_, *state.fault);
            event("fault", {{"reason", *state.fault}});
        }
    }
}

void ChargerDesk::publish_offline() {
    environment_.bus.publish(
        {.topic = environment_.topics.charger_availability(id_), .payload = "offline", .retained = true, .qos = 1});
}

void ChargerDesk::event(const std::string& event_type, nlohmann::json details) {
    host_.event_on(environment_.topics.charger_event(id_), event_type, std::move(details));
}

std::vector<std::string> ids_of(const std::map<UnitId, ChargerDesk>& desks) {
    std::vector<std::string> ids;
    ids.reserve(desks.size());
    for (const auto& [id, desk] : desks) {
        ids.push_back(to_text(id));
    }
    return ids;
}

}  // namespace twc_bus
