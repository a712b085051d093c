#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <variant>
#include <vector>

/// Home Assistant's view of us, as plain values. Names of classes, units and platforms are those of its MQTT
/// integration.
namespace home_assistant {

/// A value that is read. `None` out of the template is unknown.
struct Sensor {
    std::string device_class{};          ///< power, energy, enum, timestamp, …; empty: none.
    std::string unit{};                  ///< Has to fit the class; empty: none.
    std::string state_class{};           ///< measurement, total, total_increasing; empty: no statistics.
    std::vector<std::string> options{};  ///< With class enum: every state there is, without unknown and unavailable.
    std::string last_reset_template{};   ///< With state class total: when the count began, as a time.
    std::optional<int> decimals{};       ///< To be shown.
};

/// The template gives True, False or None.
struct BinarySensor {
    std::string device_class{};  ///< plug, problem, presence, …; empty: none.
};

/// A number that people set. Home Assistant refuses a state outside `min` to `max`.
struct Number {
    std::string command_topic;
    double min = 0;
    double max = 100;
    double step = 1;
    std::string unit{};
    std::string device_class{};
};

/// One of several words.
struct Select {
    std::string command_topic;
    std::vector<std::string> options;  ///< Every state there is.
};

/// The template gives True, False or None.
struct Switch {
    std::string command_topic;
    std::string payload_on = "on";
    std::string payload_off = "off";
};

struct Button {
    std::string command_topic;
    std::string payload;
};

/// Something that happens: JSON with `event_type` on the state topic, never retained.
struct Event {
    std::vector<std::string> types;
};

enum class Category {
    none,        ///< For daily use.
    config,      ///< A setting. Not for what is only read.
    diagnostic,  ///< Read by those who look for a fault.
};

/// One entity of a device.
struct Entity {
    std::string key;   ///< Last part of its ids, such as `power_w`: `[a-z0-9_]`, unique in the device.
    std::string name;  ///< Shown behind the name of the device.
    std::variant<Sensor, BinarySensor, Number, Select, Switch, Button, Event> kind;
    std::string state_topic{};     ///< Empty for a button.
    std::string value_template{};  ///< Of the state; empty: the payload itself.
    /// How often the state is published at least, changed or not; Home Assistant shows it as unavailable after three
    /// times as long. None where only changes are published.
    std::optional<std::chrono::seconds> repeated_every{};
    Category category = Category::none;
    bool enabled = true;  ///< False: there, but has to be switched on first.
    std::string icon{};   ///< `mdi:…`; empty: that of the class.
};

/// A device, or the part of it that one service knows: the same key from two services is the same device.
struct Device {
    std::string key;  ///< Such as `charger_7744`; with the site it makes the identifier.
    std::string name;
    std::string manufacturer{};
    std::string model{};
    std::string via{};  ///< Key of the device it is reached through; empty: none.
    /// Beside the status of the service, all of which have to say `online`. Retained.
    std::vector<std::string> availability_topics{};
    std::vector<Entity> entities{};
};

}  // namespace home_assistant
