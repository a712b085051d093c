#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "tesla-bridge/vehicle_facts.hpp"

/// State from TeslaMate's MQTT topics `<prefix>/cars/<id>/<key>`. Values are plain text, retained, and sent only when
/// they change; there is no time stamp, and an empty payload means that the value is unknown now. Source: Tesla vehicle
/// notes 4.1.
namespace tesla_bridge {

/// `teslamate/cars/1/+`
std::string teslamate_filter(const std::string& prefix, int car_id);

/// What one message says about the car; none for keys that do not matter here. `true_at`: when it was true at the
/// earliest (none for a retained message of unknown age). Throws contract::Invalid for a value no TeslaMate sends.
std::optional<VehicleFacts> parse_teslamate(std::string_view key, std::string_view payload, const Home& home,
                                            std::optional<scheduling::Instant> true_at);

}  // namespace tesla_bridge
