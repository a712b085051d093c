#pragma once

#include <memory>
#include <string>

#include "http/http_client.hpp"
#include "tesla-bridge/authenticator.hpp"
#include "tesla-bridge/fleet_answer.hpp"
#include "tesla-bridge/vehicle_link.hpp"

namespace tesla_bridge {

/// Which server is behind the Fleet API's paths. They differ in what they can read and whether they want a token.
enum class Backend {
    fleet_api,         ///< Tesla's cloud: reads everything, commands only cars that need no signature.
    tesla_http_proxy,  ///< Tesla's signing proxy: commands are signed, everything else is forwarded.
    ble_proxy,         ///< TeslaBleHttpProxy: Bluetooth; no token, no position, no list of cars.
};

struct FleetApiOptions {
    Backend backend = Backend::fleet_api;
    std::string base_url;  ///< Without a slash at its end.
    std::string vin;
    Home home;
    std::chrono::milliseconds timeout{15'000};
};

/// The requests themselves, for tests and for whoever reads a proxy's log. Without credentials. Pure.
http::Request command_request(const FleetApiOptions& options, const Command& command);
http::Request read_request(const FleetApiOptions& options, ReadDepth depth);

/// One car behind a Fleet-API-shaped server.
class FleetApi final : public VehicleLink {
public:
    /// `authenticator`: null for servers that want no token.
    FleetApi(FleetApiOptions options, std::unique_ptr<http::HttpClient> http,
             std::shared_ptr<Authenticator> authenticator);

    ReadResult read(ReadDepth depth, CallTime time) override;
    Verdict send(const Command& command, CallTime time) override;

private:
    struct Exchange {
        Verdict verdict;
        http::Response response;
    };
    using Judge = std::function<Verdict(const http::Response&)>;

    Exchange exchange(const http::Request& request, const Judge& judge, CallTime time);
    VehicleData parse(const std::string& body, CallTime time);
    Exchange exchange_with(const std::string& token, http::Request request, const Judge& judge);

    FleetApiOptions options_;
    std::unique_ptr<http::HttpClient> http_;
    std::shared_ptr<Authenticator> authenticator_;
    std::optional<double> last_stamp_;
    scheduling::Instant last_stamp_seen_at_;
};

}  // namespace tesla_bridge
