#pragma once

#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>

#include <nlohmann/json.hpp>

#include "service/environment.hpp"
#include "service/state_publisher.hpp"

namespace service {

/// Thrown by a command handler: the command is refused, nothing has changed.
class Rejected : public std::runtime_error {
public:
    /// `reason`: what is wrong with the value; `expected`: what would be accepted.
    Rejected(const std::string& reason, std::string expected)
        : std::runtime_error(reason), expected_(std::move(expected)) {}
    const std::string& expected() const { return expected_; }

private:
    std::string expected_;
};

/// The bookkeeping every service has in common: `service/<name>/info`, `metrics` and `event`, and commands with
/// their visible outcome (topics.md rules 4, 5 and 10). Whether it is online is the message bus's business.
class ServiceHost {
public:
    /// Adds the service's own counters and gauges to the common ones.
    using AddMetrics = std::function<void(nlohmann::json&)>;
    /// Throws Rejected (or contract::Invalid) to refuse; anything it returns is sent to an MQTT 5 response topic, if
    /// that is under `<base>/reply/`. Any other exception refuses the command too, as an error.
    using CommandHandler = std::function<nlohmann::json(const messaging::Delivery&)>;

    ServiceHost(const Environment& environment, AddMetrics add_metrics);

    /// Publishes `service/<name>/event`: QoS 1, not retained, with `ts`.
    void event(const std::string& event_type, nlohmann::json details = nlohmann::json::object());

    /// Publishes an event of one charger or vehicle on `topic`.
    void event_on(const std::string& topic, const std::string& event_type,
                  nlohmann::json details = nlohmann::json::object());

    /// Commands arrive with QoS 1. One delivered with the retain flag is refused, as is an empty one; a refusal is
    /// counted and published as `command_rejected`, and changes nothing. The first 20 a minute are logged too.
    void on_command(const std::string& filter, CommandHandler handler);

    /// For a command that was refused after its handler returned.
    void reject(const messaging::Delivery& command, const std::string& reason, const std::string& expected);

    std::uint64_t commands_rejected() const { return commands_rejected_; }

private:
    void handle(const messaging::Delivery& command, const CommandHandler& handler);
    void reply(const messaging::Delivery& command, const nlohmann::json& body);
    void publish_info();
    void publish_metrics();

    const Environment& environment_;
    AddMetrics add_metrics_;
    scheduling::TaskScope scope_;
    scheduling::WallTime started_wall_;
    scheduling::Instant started_;
    std::uint64_t commands_accepted_ = 0;
    std::uint64_t commands_rejected_ = 0;
};

}  // namespace service
