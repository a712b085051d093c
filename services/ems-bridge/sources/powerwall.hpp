#pragma once

#include <string>
#include <string_view>

#include "config/section.hpp"
#include "ems-bridge/source.hpp"

namespace ems_bridge {

/// A Powerwall 2 or + through the gateway's local API.
struct PowerwallSettings {
    std::string url;  ///< https://192.168.1.50
    std::string email;
    std::string password;  ///< Of the gateway's "customer" account.
    http::TlsTrust trust;  ///< The gateway signs its certificate itself, so this is always the user's choice.
    std::chrono::milliseconds timeout{5000};
};

/// `/api/meters/aggregates`; throws SourceError when it is not that, or all zero as just after a restart.
Reading parse_powerwall_aggregates(std::string_view body);
/// `/api/system_status/soe`, as the app shows it: the lowest 5 % are kept back.
double parse_powerwall_charge(std::string_view body);

/// Keys: url, email, password_file, tls (required with https), timeout_s.
PowerwallSettings read_powerwall(const config::Section& section);
MakeSource make_powerwall(PowerwallSettings settings);

}  // namespace ems_bridge
