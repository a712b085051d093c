#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "contract/messages.hpp"
#include "service/service_host.hpp"

/// For front ends that were made for TWCManager: its control topics are obeyed, its status topics are mirrored, under
/// the names and in the units of its MQTT modules (ngardiner/TWCManager, Control/MQTTControl.py, Status/MQTTStatus.py).
namespace policy_engine {

/// One of our own commands: `policy/<setting>/set`.
struct OwnCommand {
    std::string setting;
    std::string payload;
    bool operator==(const OwnCommand&) const = default;
};

/// What a message on `<prefix>/control/<control>` means here:
///
///     chargeNow            "24,3600"   override/set: for every charger (not for their sum), until the time is over
///     chargeNowEnd         anything    override/set clear
///     nonScheduledAmpsMax  "16"        non_scheduled_a/set 16
///     nonScheduledAction   "1" "2" "3" non_scheduled_action/set fixed, none, solar
///
/// `stop` ends TWCManager; that is deliberately not offered here. Throws service::Rejected.
OwnCommand own_command(std::string_view control, std::string_view payload);

/// Payloads by topic below the prefix. What is unknown is empty: such a topic is withdrawn.
using MirrorTopics = std::map<std::string, std::string>;

/// `<TWCID>/…`, the id in capitals. `lastVehicleVIN` is left out when no vehicle is known: it keeps its value.
MirrorTopics mirror_of(const std::string& charger_id, const contract::ChargerState& state);
MirrorTopics mirror_of(const std::string& charger_id, const contract::PolicyChargerState& state);
/// `all/totalAmpsInUse`, `config/minAmpsPerTWC`
MirrorTopics mirror_of(const contract::BusState& state);
/// `all/maxAmpsForSlaves`, `all/currentPolicy`: by TWCManager's names for what comes closest.
MirrorTopics mirror_of(const contract::PolicyState& state);

struct TwcManagerConfig {
    bool enabled = false;
    std::string prefix = "TWC";
    bool operator==(const TwcManagerConfig&) const = default;
};

/// Listens and publishes, if it is enabled; otherwise it does nothing. Status is retained, QoS 0, sent on change only
/// and at most once a second a topic; the last change is always sent.
class TwcManagerMirror {
public:
    /// Carries out a command that reads as if it had arrived on our own topic. Throws service::Rejected or
    /// contract::Invalid to refuse.
    using Obey = std::function<void(const messaging::Delivery&)>;

    /// Refusals are shown through `host`, which must outlive it. Retained control messages are refused as ours are.
    TwcManagerMirror(TwcManagerConfig config, service::Environment& environment, service::ServiceHost& host, Obey obey);

    void update(const std::string& charger_id, const contract::ChargerState& state) {
        put(mirror_of(charger_id, state));
    }
    void update(const std::string& charger_id, const contract::PolicyChargerState& state) {
        put(mirror_of(charger_id, state));
    }
    void update(const contract::BusState& state) { put(mirror_of(state)); }
    void update(const contract::PolicyState& state) { put(mirror_of(state)); }

    /// Withdraws everything of a charger that is gone or silent: TWCManager has no topic to say so.
    void forget(const std::string& charger_id);

private:
    struct Entry {
        std::string wanted;
        std::optional<std::string> sent;
        scheduling::Instant sent_at{};
    };

    void on_control(const messaging::Delivery& message);
    void put(const MirrorTopics& topics);
    void publish_due();

    TwcManagerConfig config_;
    service::Environment& environment_;
    service::ServiceHost& host_;
    Obey obey_;
    std::map<std::string, Entry> entries_;  ///< By topic below the prefix.
    scheduling::Timer timer_;
    scheduling::TaskScope scope_;
};

}  // namespace policy_engine
