#include "home_assistant/documents.hpp"

#include <algorithm>
#include <cctype>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "contract/schema.hpp"
#include "service/version.hpp"

namespace home_assistant {

namespace {

using nlohmann::json;

constexpr const char* origin_name = "twc-mqtt";
constexpr const char* device_platform = "device";

void put(json& object, const char* key, const std::string& value) {
    if (!value.empty()) {
        object[key] = value;
    }
}

// Fills in what is particular to each kind and returns the name of its platform.
class Describe {
public:
    explicit Describe(json& object) : object_(object) {}

    const char* operator()(const Sensor& sensor) const {
        put(object_, "device_class", sensor.device_class);
        put(object_, "unit_of_measurement", sensor.unit);
        put(object_, "state_class", sensor.state_class);
        put(object_, "last_reset_value_template", sensor.last_reset_template);
        if (!sensor.options.empty()) {
            object_["options"] = sensor.options;
        }
        if (sensor.decimals) {
            object_["suggested_display_precision"] = *sensor.decimals;
        }
        return "sensor";
    }
    const char* operator()(const BinarySensor& sensor) const {
        put(object_, "device_class", sensor.device_class);
        object_["payload_on"] = "True";
        object_["payload_off"] = "False";
        return "binary_sensor";
    }
    const char* operator()(const Number& number) const {
        command(number.command_topic);
        object_["min"] = number.min;
        object_["max"] = number.max;
        object_["step"] = number.step;
        object_["mode"] = "box";
        put(object_, "unit_of_measurement", number.unit);
        put(object_, "device_class", number.device_class);
        return "number";
    }
    const char* operator()(const Select& select) const {
        command(select.command_topic);
        object_["options"] = select.options;
        return "select";
    }
    const char* operator()(const Switch& toggle) const {
        command(toggle.command_topic);
        object_["payload_on"] = toggle.payload_on;
        object_["payload_off"] = toggle.payload_off;
        object_["state_on"] = "True";
        object_["state_off"] = "False";
        return "switch";
    }
    const char* operator()(const Button& button) const {
        command(button.command_topic);
        object_["payload_press"] = button.payload;
        return "button";
    }
    const char* operator()(const Event& event) const {
        object_["event_types"] = event.types;
        return "event";
    }

private:
    void command(const std::string& topic) const {
        object_["command_topic"] = topic;
        object_["qos"] = 1;
    }

    json& object_;
};

std::string identifier(const Announcer& announcer, const std::string& device_key) {
    return fmt::format("twc_{}_{}", announcer.site, device_key);
}

// "Wall Connector 7744" -> "wall_connector_7744"
std::string slug(const std::string& name) {
    std::string result;
    std::ranges::transform(name, std::back_inserter(result), [](unsigned char c) {
        return std::isalnum(c) != 0 ? static_cast<char>(std::tolower(c)) : '_';
    });
    return result;
}

// The ordinary site is left out: these are the names people read.
std::string object_id(const Announcer& announcer, const Device& device, const Entity& entity) {
    const std::string site = announcer.site == "home" ? "" : slug(announcer.site) + "_";
    return fmt::format("{}{}_{}", site, slug(device.name), entity.key);
}

struct Component {  // NOLINT(bugprone-exception-escape): so it is said of every json that is moved
    std::string platform;
    std::string unique_id;
    json body;
};

Component component(const Announcer& announcer, const Device& device, const Entity& entity) {
    Component result;
    result.platform = std::visit(Describe(result.body), entity.kind);
    result.unique_id = fmt::format("{}_{}", identifier(announcer, device.key), entity.key);
    json& body = result.body;
    body["name"] = entity.name;
    body["unique_id"] = result.unique_id;
    const std::string id = object_id(announcer, device, entity);
    body["object_id"] = id;
    body["default_entity_id"] = fmt::format("{}.{}", result.platform, id);
    put(body, "state_topic", entity.state_topic);
    put(body, "value_template", entity.value_template);
    put(body, "icon", entity.icon);
    if (entity.category != Category::none) {
        body["entity_category"] = entity.category == Category::config ? "config" : "diagnostic";
    }
    if (!entity.enabled) {
        body["enabled_by_default"] = false;
    }
    const bool may_expire = result.platform == "sensor" || result.platform == "binary_sensor";
    if (entity.repeated_every && may_expire) {
        body["expire_after"] = 3 * entity.repeated_every->count();
    }
    return result;
}

// What is said once in a device document, and in each of its entities otherwise.
json shared_part(const Announcer& announcer, const Device& device) {
    json about{{"identifiers", json::array({identifier(announcer, device.key)})}, {"name", device.name}};
    put(about, "manufacturer", device.manufacturer);
    put(about, "model", device.model);
    if (!device.via.empty()) {
        about["via_device"] = identifier(announcer, device.via);
    }
    json availability = json::array({{{"topic", announcer.status_topic}}});
    for (const auto& topic : device.availability_topics) {
        availability.push_back({{"topic", topic}});
    }
    return {{"device", std::move(about)},
            {"origin", {{"name", origin_name}, {"sw_version", service::version}}},
            {"availability", std::move(availability)},
            {"availability_mode", "all"}};
}

std::string topic_of(const Announcer& announcer, const std::string& platform, const std::string& id) {
    return fmt::format("{}/{}/{}/{}/config", announcer.prefix, platform, announcer.service, id);
}

}  // namespace

Documents documents(const Announcer& announcer, Form form, const std::vector<Device>& devices) {
    Documents result;
    for (const auto& device : devices) {
        json whole = shared_part(announcer, device);
        for (const auto& entity : device.entities) {
            auto [platform, unique_id, body] = component(announcer, device, entity);
            if (form == Form::entity) {
                body.update(whole);
                result.emplace(topic_of(announcer, platform, unique_id), contract::to_text(body));
            } else if (form == Form::device) {
                body["platform"] = platform;
                whole["components"][entity.key] = std::move(body);
            }
        }
        if (form == Form::device && whole.contains("components")) {
            result.emplace(topic_of(announcer, device_platform, identifier(announcer, device.key)),
                           contract::to_text(whole));
        }
    }
    return result;
}

std::string documents_filter(const Announcer& announcer) { return topic_of(announcer, "+", "+"); }

bool is_ours(const Announcer& announcer, std::string_view payload) {
    const auto document = json::parse(payload, nullptr, false);
    if (!document.is_object() || !document.contains("origin") || !document.contains("availability")) {
        return false;
    }
    const auto& origin = document["origin"];
    const auto& availability = document["availability"];
    return origin.is_object() && origin.contains("name") && origin["name"] == origin_name && availability.is_array() &&
           std::ranges::any_of(availability, [&](const json& item) {
               return item.is_object() && item.contains("topic") && item["topic"] == announcer.status_topic;
           });
}

Form form_of(const Announcer& announcer, std::string_view topic) {
    return topic.starts_with(fmt::format("{}/{}/", announcer.prefix, device_platform)) ? Form::device : Form::entity;
}

std::string with_removals(const std::string& before, const std::string& after) {
    const auto old_document = json::parse(before, nullptr, false);
    auto document = json::parse(after, nullptr, false);
    if (!old_document.is_object() || !old_document.contains("components") || !document.contains("components")) {
        return after;
    }
    bool any = false;
    for (const auto& [key, body] : old_document["components"].items()) {
        if (!document["components"].contains(key) && body.is_object() && body.contains("platform")) {
            document["components"][key] = {{"platform", body["platform"]}};
            any = true;
        }
    }
    return any ? contract::to_text(document) : after;
}

}  // namespace home_assistant
