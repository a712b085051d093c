#pragma once

#include <functional>
#include <optional>
#include <span>

#include "house-sim/config.hpp"
#include "house-sim/house_state.hpp"
#include "house-sim/powerwall_api.hpp"
#include "house-sim/tesla_api.hpp"
#include "http/http_client.hpp"
#include "service/service_host.hpp"
#include "service/state_publisher.hpp"

namespace house_sim {

/// The simulated house as a service: keeps it moving with the loop's clock, publishes its truth, takes live commands,
/// and answers each of its devices. It opens no socket: `Servers` does that in a process, a test calls it directly.
class HouseSim {
public:
    HouseSim(Config config, const service::Environment& environment);

    /// The RS-485 line: what the master sends, and a listener for what the units send.
    void transmit(std::span<const std::uint8_t> bytes);
    void on_line_output(std::function<void(std::span<const std::uint8_t>)> listener);

    /// The network devices. None: the device stays silent.
    std::optional<Bytes> modbus(std::span<const std::uint8_t> frame);
    std::optional<http::Response> powerwall(const http::Request& request);
    std::optional<http::Response> tesla(const http::Request& request);
    http::Response truth(const http::Request& request);

    /// Brought up to the loop's time.
    Site& site();
    const Config& config() const { return config_; }

private:
    void tick();
    void serve_line();
    void publish();
    nlohmann::json obey(const messaging::Delivery& command);
    void plug(const std::string& payload);
    void push_meter();
    void publish_teslamate();
    void put_retained(const std::string& topic, const std::string& payload);

    Config config_;
    const service::Environment& environment_;
    scheduling::TaskScope scope_;
    scheduling::Timer line_timer_;
    Site site_;
    PowerwallApi powerwall_;
    TeslaApi tesla_;
    service::ServiceHost host_;
    service::StatePublisher state_;
    std::function<void(std::span<const std::uint8_t>)> line_listener_;
    std::map<std::string, std::string> retained_;  ///< What was last sent, to send only changes.
};

}  // namespace house_sim
