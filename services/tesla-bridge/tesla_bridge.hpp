#pragma once

#include <memory>
#include <string>
#include <vector>

#include "home_assistant/discovery.hpp"
#include "tesla-bridge/vehicle_session.hpp"

namespace tesla_bridge {

/// The service: vehicle state out, vehicle commands in. Decides nothing about when to charge.
class TeslaBridge {
public:
    TeslaBridge(Config config, service::Environment& environment, http::HttpClientFactory& http_clients);

private:
    std::shared_ptr<Authenticator> make_authenticator(http::HttpClientFactory& http_clients) const;
    std::shared_ptr<VehicleLink> make_link(const VehicleConfig& vehicle, http::HttpClientFactory& http_clients,
                                           const std::shared_ptr<Authenticator>& authenticator) const;
    void listen_to_teslamate(VehicleSession& vehicle);
    nlohmann::json on_command(const messaging::Delivery& delivery);
    VehicleSession& vehicle_named(const std::string& alias);
    void add_metrics(nlohmann::json& metrics) const;
    std::vector<std::string> aliases() const;
    void repeat_states();

    Config config_;
    service::Environment& environment_;
    CallCounters counters_;
    service::ServiceHost host_;
    std::optional<scheduling::Instant> disconnected_at_;
    std::vector<std::unique_ptr<VehicleSession>> vehicles_;
    home_assistant::Discovery discovery_;
    scheduling::TaskScope scope_;
};

/// The command that `…/command/<word>/set` asks for with this payload. Throws service::Rejected. Pure.
Command parse_command(const std::string& word, const std::string& payload, int max_amps);

}  // namespace tesla_bridge
