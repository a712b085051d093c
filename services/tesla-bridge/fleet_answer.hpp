#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "http/http_client.hpp"
#include "tesla-bridge/vehicle_link.hpp"

/// What the answers of a Fleet-API-shaped server mean: Tesla's own cloud, tesla-http-proxy and TeslaBleHttpProxy. They
/// differ in status codes for the same cause, so texts are looked at before the status. Source: Tesla vehicle notes
/// 1.5 to 1.7, 3.1 and 3.2. Pure.
namespace tesla_bridge {

/// The meaning of an answer to a command.
Verdict judge_command(const Command& command, const http::Response& response);

/// The meaning of an answer to a read; `done` does not say that the body can be parsed.
Verdict judge_read(const http::Response& response);

/// How long a 429 asks to wait: `Retry-After`, `RateLimit-Reset` or "Retry in N seconds"; 300 s when it does not say.
std::chrono::seconds parse_retry_after(const http::Response& response);

struct VehicleData {
    VehicleFacts facts;
    std::optional<double> stamp;  ///< The car's own, in a unit that differs between servers: only good to compare.
    std::vector<std::string> problems;  ///< Fields that were present but unusable, and are therefore unknown.
};

/// The body of `vehicle_data`. Miles become kilometres, hours minutes. Throws contract::Invalid when it is none.
VehicleData parse_vehicle_data(std::string_view body, const Home& home, CallTime time);

/// The body of `GET /vehicles/{vin}`: only whether the car is awake. Throws contract::Invalid when it does not say.
VehicleFacts parse_vehicle(std::string_view body, CallTime time);

/// At most `longest` bytes of someone else's text, fit for a log line: one line, printable ASCII.
std::string printable(std::string_view text, std::size_t longest = 160);

}  // namespace tesla_bridge
