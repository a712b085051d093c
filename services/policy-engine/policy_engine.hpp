#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "home_assistant/discovery.hpp"
#include "policy-engine/config.hpp"
#include "policy-engine/state_file.hpp"
#include "policy-engine/twcmanager.hpp"
#include "policy-engine/types.hpp"
#include "policy-engine/webhooks.hpp"
#include "scheduling/worker.hpp"
#include "service/service_host.hpp"
#include "service/state_publisher.hpp"

namespace policy_engine {

/// The service: collects the world from MQTT, has it decided at every new sample and every second, and publishes the
/// lease for twc-bus, the states, and commands for vehicles.
class PolicyEngine {
public:
    PolicyEngine(ServiceConfig config, service::Environment& environment, MakeHttpClient make_http_client);
    PolicyEngine(const PolicyEngine&) = delete;
    PolicyEngine& operator=(const PolicyEngine&) = delete;
    /// Writes what is not on disk yet.
    ~PolicyEngine();

private:
    struct ChargerSource {
        Charger charger;
        bool available = true;
        bool heard = false;  ///< A state has arrived.
    };
    struct VehicleSource {
        contract::VehicleState state;
        bool available = false;
    };

    void restore_state();
    void subscribe_to_world();
    void subscribe_to_commands();

    template <class Message>
    void on_state(const std::string& filter, void (PolicyEngine::*take)(const messaging::Delivery&, const Message&));
    void take_site(const messaging::Delivery& delivery, const contract::SitePower& power);
    void take_tariff(const messaging::Delivery& delivery, const contract::TariffState& tariff);
    void take_forecast(const messaging::Delivery& delivery, const contract::ForecastState& forecast);
    void take_bus(const messaging::Delivery& delivery, const contract::BusState& bus);
    void take_charger(const messaging::Delivery& delivery, const contract::ChargerState& state);
    void take_vehicle(const messaging::Delivery& delivery, const contract::VehicleState& state);
    void take_availability(const messaging::Delivery& delivery);
    void take_service_status(const messaging::Delivery& delivery);

    nlohmann::json command_setting(const messaging::Delivery& command);
    nlohmann::json command_plan(const messaging::Delivery& command);
    nlohmann::json command_charger(const messaging::Delivery& command);
    nlohmann::json command_vehicle(const messaging::Delivery& command);
    nlohmann::json command_override(const messaging::Delivery& command);
    void require_charger(const std::string& id) const;
    void require_vehicle(const std::string& alias) const;
    void settings_changed();

    void decide_soon();
    void decide_now();
    void fill_inputs();
    void add_kept_starts();
    void keep_plans(double worth_kwh);
    void publish_limits(const Decision& decision);
    void publish_states(const Decision& decision);
    void publish_charger(const ChargerDecision& charger, const ChargerMemory& memory);
    void publish_overrides();
    void publish_settings();
    std::vector<home_assistant::Device> devices() const;
    void repeat_states();
    void note_changes(const Decision& decision);
    void save_soon();
    void save();

    ServiceConfig config_;
    service::Environment& environment_;
    contract::Topics& topics_;

    KeptState kept_;
    std::map<std::string, int> kept_starts_;  ///< From before the restart, until their charger appears.
    std::map<std::string, ChargerSource> chargers_;
    std::map<std::string, VehicleSource> vehicles_;
    std::map<std::string, bool> services_offline_;
    Inputs inputs_;
    Memory memory_;
    bool site_reports_loss_ = false;

    std::map<std::string, double> limits_sent_;
    std::optional<scheduling::Instant> limits_sent_at_;
    std::int64_t seq_ = 0;
    std::map<std::string, Reason> reasons_;
    std::map<std::string, bool> warnings_;
    bool decision_pending_ = false;
    std::uint64_t decisions_ = 0;
    std::uint64_t messages_refused_ = 0;
    double slowest_decision_ms_ = 0;

    service::ServiceHost host_;
    service::StatePublisher state_publisher_;
    service::StatePublisher override_publisher_;
    service::StatePublisher plan_publisher_;
    contract::PlansState plans_;  ///< As published last.
    std::map<std::string, service::StatePublisher> charger_publishers_;
    std::map<std::string, service::StatePublisher> charger_override_publishers_;
    std::string settings_sent_;
    nlohmann::json last_state_;
    WebhookCaller webhooks_;
    TwcManagerMirror twcmanager_;
    home_assistant::Discovery discovery_;

    bool unsaved_ = false;
    std::optional<scheduling::Instant> saved_at_;
    bool save_failed_ = false;
    std::unique_ptr<scheduling::Worker> disk_;
    scheduling::Timer save_timer_;
    scheduling::TaskScope scope_;
};

}  // namespace policy_engine
