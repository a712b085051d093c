#include "home_assistant/devices.hpp"

#include <fmt/format.h>

namespace home_assistant {

namespace {

constexpr const char* controller_key = "controller";

}  // namespace

Device controller_device() {
    return {
        .key = controller_key, .name = "TWC Controller", .manufacturer = "twc-mqtt", .model = "Charging controller"};
}

Device bus_device() {
    return {.key = "bus",
            .name = "TWC Bus",
            .manufacturer = "twc-mqtt",
            .model = "RS-485 bus of Wall Connectors",
            .via = controller_key};
}

Device energy_meter_device() {
    return {.key = "ems",
            .name = "TWC Energy Meter",
            .manufacturer = "twc-mqtt",
            .model = "Power of the site",
            .via = controller_key};
}

Device charger_device(std::string_view id) {
    return {.key = fmt::format("charger_{}", id),
            .name = fmt::format("Wall Connector {}", id),
            .manufacturer = "Tesla",
            .model = "Wall Connector Gen 2",
            .via = controller_key};
}

Device vehicle_device(std::string_view alias) {
    return {.key = fmt::format("vehicle_{}", alias),
            .name = fmt::format("Tesla {}", alias),
            .manufacturer = "Tesla",
            .via = controller_key};
}

std::string value_of(std::string_view key) { return fmt::format("{{{{ value_json.{} }}}}", key); }

std::string text_of(std::string_view key, std::string_view instead) {
    return fmt::format("{{{{ value_json.{} | default('{}', true) }}}}", key, instead);
}

std::string short_text_of(std::string_view key) { return fmt::format("{{{{ value_json.{}[:250] }}}}", key); }

}  // namespace home_assistant
