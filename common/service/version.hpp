#pragma once

namespace service {

/// From the CMake project.
inline constexpr const char* version = TWC_MQTT_VERSION;

}  // namespace service
