#pragma once

#include <map>
#include <optional>

#include "house-sim/config.hpp"
#include "http/http_client.hpp"
#include "scheduling/scheduler.hpp"

namespace house_sim {

/// The local web API of a Powerwall 2 gateway: log-in with cookie and token, meters, state of energy.
class PowerwallApi {
public:
    PowerwallApi(PowerwallConfig config, std::uint64_t seed) : config_(std::move(config)), random_(seed) {}

    /// None: the gateway does not answer at all.
    std::optional<http::Response> answer(const http::Request& request, const Site& site, scheduling::WallTime wall);

private:
    http::Response log_in(const http::Request& request, scheduling::Instant now, scheduling::WallTime wall);
    bool is_logged_in(const http::Request& request, scheduling::Instant now) const;

    PowerwallConfig config_;
    Random random_;
    std::map<std::string, scheduling::Instant> sessions_;  ///< Token → when it ends.
};

}  // namespace house_sim
