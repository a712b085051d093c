#pragma once

#include <optional>
#include <string>
#include <vector>

#include "config/section.hpp"
#include "http/http_client.hpp"
#include "tesla-bridge/authenticator.hpp"
#include "tesla-bridge/fleet_api.hpp"
#include "tesla-bridge/poll_plan.hpp"
#include "tesla-bridge/vehicle_commands.hpp"

namespace tesla_bridge {

/// The server that commands and reads go to.
struct AccountConfig {
    Backend backend = Backend::fleet_api;
    std::string base_url;
    http::TlsTrust trust;  ///< For base_url; the token server is always checked against the system's roots.
    std::chrono::milliseconds timeout{15'000};
    bool needs_token = true;
    std::string token_file;
    OAuthClient oauth;
};

struct VehicleConfig {
    std::string alias;  ///< The level of its topics.
    std::string vin;    ///< Empty: unknown, TeslaMate only.
    bool has_link = true;
    std::optional<int> teslamate_car_id;
    int max_amps = 48;  ///< Largest current a command may ask for.
};

struct Config {
    std::optional<AccountConfig> account;
    std::string teslamate_prefix = "teslamate";
    Home home;
    std::vector<VehicleConfig> vehicles;
    Pacing pacing;
    PollPace poll;
};

/// Problems are reported through the section. Checks that the token file is there and private.
Config read_config(const config::Section& root);

}  // namespace tesla_bridge
