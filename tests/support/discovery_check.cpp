#include "support/discovery_check.hpp"

#include <algorithm>
#include <cmath>
#include <span>

#include <fmt/format.h>

#include "contract/timestamp.hpp"
#include "support/template_subset.hpp"

namespace support {

namespace {

using nlohmann::json;
using Words = std::set<std::string>;

const std::map<std::string, Words> required_keys{
    {"sensor", {"state_topic"}},
    {"binary_sensor", {"state_topic"}},
    {"number", {"command_topic"}},
    {"select", {"command_topic", "options"}},
    {"switch", {"command_topic"}},
    {"button", {"command_topic"}},
    {"event", {"state_topic", "event_types"}},
};

const Words common_keys{"name",        "unique_id",       "object_id",          "default_entity_id",
                        "device",      "origin",          "availability",       "availability_mode",
                        "icon",        "entity_category", "enabled_by_default", "qos",
                        "state_topic", "value_template"};

const std::map<std::string, Words> own_keys{
    {"sensor",
     {"device_class", "unit_of_measurement", "state_class", "options", "last_reset_value_template",
      "suggested_display_precision", "expire_after"}},
    {"binary_sensor", {"device_class", "payload_on", "payload_off", "expire_after"}},
    {"number", {"command_topic", "min", "max", "step", "mode", "unit_of_measurement", "device_class"}},
    {"select", {"command_topic", "options"}},
    {"switch", {"command_topic", "payload_on", "payload_off", "state_on", "state_off"}},
    {"button", {"command_topic", "payload_press", "device_class"}},
    {"event", {"event_types", "device_class"}},
};

// Of sensors and numbers.
const std::map<std::string, Words> units_of_class{
    {"power", {"mW", "W", "kW", "MW"}},
    {"energy", {"Wh", "kWh", "MWh"}},
    {"energy_storage", {"Wh", "kWh", "MWh"}},
    {"current", {"mA", "A"}},
    {"voltage", {"mV", "V", "kV"}},
    {"battery", {"%"}},
    {"duration", {"s", "min", "h", "d", "ms"}},
    {"distance", {"km", "m", "mi"}},
    {"signal_strength", {"dB", "dBm"}},
    {"timestamp", {""}},
    {"enum", {""}},
};

const std::map<std::string, Words> state_classes_of_class{
    {"power", {"", "measurement"}},
    {"energy", {"", "total", "total_increasing"}},
    {"energy_storage", {"", "measurement"}},
    {"current", {"", "measurement"}},
    {"voltage", {"", "measurement"}},
    {"battery", {"", "measurement"}},
    {"duration", {"", "measurement", "total", "total_increasing"}},
    {"distance", {"", "measurement", "total", "total_increasing"}},
    {"signal_strength", {"", "measurement"}},
    {"timestamp", {""}},
    {"enum", {""}},
};

const Words binary_classes{"plug", "battery_charging", "problem", "connectivity", "running", "presence", "power"};

std::string text_at(const json& object, const char* key) {
    const auto found = object.find(key);
    return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

bool is_made_of(std::string_view text, std::string_view extra) {
    return !text.empty() && std::ranges::all_of(text, [&](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || extra.find(c) != std::string_view::npos;
    });
}

std::vector<std::string> levels(std::string_view topic) {
    std::vector<std::string> result;
    while (true) {
        const auto slash = topic.find('/');
        result.emplace_back(topic.substr(0, slash));
        if (slash == std::string_view::npos) {
            return result;
        }
        topic.remove_prefix(slash + 1);
    }
}

std::optional<double> as_number(const std::string& text) {
    const auto parsed = json::parse(text, nullptr, false);
    return parsed.is_number() && std::isfinite(parsed.get<double>()) ? std::optional(parsed.get<double>())
                                                                     : std::nullopt;
}

bool has_option(const json& config, const char* key, const std::string& word) {
    const auto found = config.find(key);
    return found != config.end() && found->is_array() && std::ranges::find(*found, json(word)) != found->end();
}

// The rules for one entity; problems go to the list with its name in front.
class EntityCheck {
public:
    EntityCheck(const Announced& announced, const AnnouncedEntity& entity, std::vector<std::string>& problems)
        : announced_(announced), entity_(entity), config_(entity.config), problems_(problems) {}

    void all() {
        if (!required_keys.contains(entity_.platform)) {
            complain("platform {} is not known", entity_.platform);
            return;
        }
        keys();
        ids();
        device();
        availability();
        category();
        if (entity_.platform == "sensor") {
            sensor();
        }
        if (entity_.platform == "number") {
            number();
        }
        if (entity_.platform == "binary_sensor" && config_.contains("device_class") &&
            !binary_classes.contains(text_at(config_, "device_class"))) {
            complain("device_class {} is none of a binary sensor", text_at(config_, "device_class"));
        }
        options();
        command();
        state();
    }

private:
    template <class... Args>
    void complain(const char* format, const Args&... args) {
        problems_.push_back(entity_.topic + " " + text_at(config_, "unique_id") + ": " +
                            fmt::format(fmt::runtime(format), args...));
    }

    void keys() {
        for (const auto& key : required_keys.at(entity_.platform)) {
            if (!config_.contains(key)) {
                complain("{} is missing", key);
            }
        }
        for (const auto& [key, value] : config_.items()) {
            if (!common_keys.contains(key) && !own_keys.at(entity_.platform).contains(key)) {
                complain("{} is no key of a {}", key, entity_.platform);
            }
        }
    }

    void ids() {
        if (text_at(config_, "name").empty()) {
            complain("name is missing");
        }
        if (!is_made_of(text_at(config_, "unique_id"), "-")) {
            complain("unique_id is missing or has characters beyond a-z 0-9 _ -");
        }
        const auto object_id = text_at(config_, "object_id");
        if (!is_made_of(object_id, "")) {
            complain("object_id is missing or has characters beyond a-z 0-9 _");
        }
        if (text_at(config_, "default_entity_id") != entity_.platform + "." + object_id) {
            complain("default_entity_id does not go with object_id");
        }
    }

    void device() {
        const auto device = config_.value("device", json::object());
        const auto identifiers = device.value("identifiers", json::array());
        if (!identifiers.is_array() || identifiers.empty()) {
            complain("device has no identifiers");
        }
        if (text_at(device, "name").empty()) {
            complain("device has no name");
        }
        if (text_at(config_.value("origin", json::object()), "name").empty()) {
            complain("origin has no name");
        }
    }

    void availability() {
        if (config_.contains("availability_topic")) {
            complain("availability and availability_topic exclude each other");
        }
        const auto list = config_.value("availability", json());
        if (!list.is_array() || list.empty()) {
            complain("availability is missing");
            return;
        }
        if (text_at(config_, "availability_mode") != "all") {
            complain("availability_mode is not all");
        }
        for (const auto& item : list) {
            const auto said = announced_.retained(text_at(item, "topic"));
            if (said != "online" && said != "offline") {
                complain("availability topic {} says neither online nor offline", text_at(item, "topic"));
            }
        }
    }

    void category() {
        const auto category = text_at(config_, "entity_category");
        const bool is_read_only =
            entity_.platform == "sensor" || entity_.platform == "binary_sensor" || entity_.platform == "event";
        if (category == "config" && is_read_only) {
            complain("entity_category config on what is only read");
        }
        if (config_.contains("entity_category") && category != "config" && category != "diagnostic") {
            complain("entity_category {} does not exist", category);
        }
    }

    void sensor() {
        const auto device_class = text_at(config_, "device_class");
        const auto unit = text_at(config_, "unit_of_measurement");
        const auto state_class = text_at(config_, "state_class");
        class_and_unit();
        const auto allowed = state_classes_of_class.find(device_class);
        if (allowed != state_classes_of_class.end() && !allowed->second.contains(state_class)) {
            complain("state_class {} is impossible with device_class {}", state_class, device_class);
        }
        if (!Words{"", "measurement", "total", "total_increasing"}.contains(state_class)) {
            complain("state_class {} does not exist", state_class);
        }
        if (config_.contains("last_reset_value_template") && state_class != "total") {
            complain("last_reset_value_template without state_class total");
        }
        if (config_.contains("options") != (device_class == "enum")) {
            complain("options and device_class enum go together");
        }
    }

    void class_and_unit() {
        const auto device_class = text_at(config_, "device_class");
        if (!config_.contains("device_class")) {
            return;
        }
        const auto units = units_of_class.find(device_class);
        if (units == units_of_class.end()) {
            complain("device_class {} does not exist", device_class);
        } else if (!units->second.contains(text_at(config_, "unit_of_measurement"))) {
            complain("unit {} is none of device_class {}", text_at(config_, "unit_of_measurement"), device_class);
        }
    }

    void number() {
        class_and_unit();
        if (config_.value("min", 1.0) >= config_.value("max", 100.0)) {
            complain("min is not below max");
        }
        if (config_.value("step", 1.0) < 0.001) {
            complain("step is below 0.001");
        }
        if (!Words{"auto", "box", "slider"}.contains(config_.value("mode", "auto"))) {
            complain("mode {} does not exist", config_.value("mode", "auto"));
        }
    }

    void options() {
        for (const char* word : {"unknown", "unavailable"}) {
            if (has_option(config_, "options", word)) {
                complain("{} is no option", word);
            }
        }
        for (const char* key : {"options", "event_types"}) {
            const auto list = config_.value(key, json::array());
            if (config_.contains(key) && (!list.is_array() || list.empty())) {
                complain("{} is no list of words", key);
            }
            if (std::set<json>(list.begin(), list.end()).size() != list.size()) {
                complain("{} names a word twice", key);
            }
        }
    }

    void command() {
        if (!config_.contains("command_topic")) {
            return;
        }
        const auto topic = text_at(config_, "command_topic");
        if (!announced_.is_heard(topic)) {
            complain("nobody has subscribed to command topic {}", topic);
        }
    }

    void state() {
        if (!config_.contains("state_topic")) {
            if (entity_.platform != "button") {
                complain("state_topic is missing: Home Assistant would guess");
            }
            return;
        }
        const auto topic = text_at(config_, "state_topic");
        if (entity_.platform == "event") {
            event(topic);
            return;
        }
        const auto payload = announced_.retained(topic);
        if (!payload) {
            complain("nothing is published on state topic {}", topic);
            return;
        }
        const auto snapshot = json::parse(*payload, nullptr, false);
        const auto key = first_key(text_at(config_, "value_template"));
        if (!snapshot.is_object() || !snapshot.contains(key)) {
            complain("{} has no key {}", topic, key);
            return;
        }
        try {
            acceptable(evaluate_template(text_at(config_, "value_template"), snapshot));
            if (config_.contains("last_reset_value_template")) {
                const auto reset = evaluate_template(text_at(config_, "last_reset_value_template"), snapshot);
                if (!contract::parse_timestamp(reset)) {
                    complain("last reset {} is no time", reset);
                }
            }
        } catch (const TemplateError& error) {
            complain("{}", error.what());
        }
    }

    void event(const std::string& topic) {
        if (announced_.retained(topic)) {
            complain("a retained event is never seen");
        }
        const auto seen = announced_.events.find(topic);
        if (seen == announced_.events.end()) {
            return;
        }
        for (const auto& type : seen->second) {
            if (!has_option(config_, "event_types", type)) {
                complain("event {} is none of its types", type);
            }
        }
    }

    // What Home Assistant makes of a state that the template gave.
    void acceptable(const std::string& state) {
        constexpr std::size_t longest = 255;
        if (state == "None") {
            none();
            return;
        }
        if (state.size() > longest) {
            complain("a state of {} bytes", state.size());
        }
        if (entity_.platform == "sensor") {
            sensor_state(state);
        } else if (entity_.platform == "number") {
            const auto number = as_number(state);
            if (!number || *number < config_.value("min", 1.0) || *number > config_.value("max", 100.0)) {
                complain("state {} is outside min to max", state);
            }
        } else if (entity_.platform == "select") {
            if (!has_option(config_, "options", state)) {
                complain("state {} is none of the options", state);
            }
        } else {
            const bool is_switch = entity_.platform == "switch";
            const auto on = text_at(config_, is_switch ? "state_on" : "payload_on");
            const auto off = text_at(config_, is_switch ? "state_off" : "payload_off");
            if (state != on && state != off) {
                complain("state {} is neither {} nor {}", state, on, off);
            }
        }
    }

    bool is_number() const {
        return config_.contains("state_class") || config_.contains("unit_of_measurement") ||
               config_.contains("suggested_display_precision");
    }

    // Unknown, but for texts (2024.3: mqtt/sensor.py).
    void none() {
        const bool is_text =
            entity_.platform == "sensor" && !is_number() && text_at(config_, "device_class") != "timestamp";
        if (is_text) {
            complain("the state None is shown as that word");
        }
    }

    void sensor_state(const std::string& state) {
        const auto device_class = text_at(config_, "device_class");
        if (device_class == "enum" && !has_option(config_, "options", state)) {
            complain("state {} is none of the options", state);
        } else if (device_class == "timestamp" && !contract::parse_timestamp(state)) {
            complain("state {} is no time with offset", state);
        } else if (is_number() && !as_number(state)) {
            complain("state {} is no number", state);
        }
    }

    const Announced& announced_;
    const AnnouncedEntity& entity_;
    const json& config_;
    std::vector<std::string>& problems_;
};

const Words shared_by_device{"availability",
                             "availability_mode",
                             "availability_template",
                             "availability_topic",
                             "command_topic",
                             "state_topic",
                             "qos",
                             "encoding",
                             "device",
                             "origin"};

void add_components(const std::string& topic, const json& document, std::vector<AnnouncedEntity>& entities) {
    const json components = document.value("components", json::object());
    for (const auto& [key, component] : components.items()) {
        json config = component;
        const std::string platform = text_at(config, "platform");
        config.erase("platform");
        for (const auto& [shared, value] : document.items()) {
            if (shared_by_device.contains(shared) && !config.contains(shared)) {
                config[shared] = value;
            }
        }
        entities.push_back({.topic = topic, .platform = platform, .config = std::move(config)});
    }
}

// What is wrong with the document as such.
std::string problem_of_document(const Announced& announced, const std::string& topic, const std::string& payload) {
    const auto parts = levels(topic.substr(std::min(topic.size(), announced.prefix.size() + 1)));
    if (!topic.starts_with(announced.prefix + "/") || (parts.size() != 4 && parts.size() != 3) ||
        parts.back() != "config") {
        return "not <prefix>/<platform>/[<node>/]<object>/config";
    }
    for (std::size_t i = 1; i + 1 < parts.size(); ++i) {
        if (!is_made_of(parts[i], "-ABCDEFGHIJKLMNOPQRSTUVWXYZ")) {
            return "an id has characters beyond a-z A-Z 0-9 _ -";
        }
    }
    const auto document = json::parse(payload, nullptr, false);
    if (!document.is_object()) {
        return "no JSON object";
    }
    if (parts.front() == "device") {
        for (const char* key : {"device", "origin", "components"}) {
            if (!document.contains(key)) {
                return std::string(key) + " is missing";
            }
        }
    }
    return "";
}

}  // namespace

std::vector<AnnouncedEntity> announced_entities(const Announced& announced) {
    std::vector<AnnouncedEntity> entities;
    for (const auto& [topic, payload] : announced.documents) {
        if (!problem_of_document(announced, topic, payload).empty()) {
            continue;
        }
        const auto document = json::parse(payload);
        const auto platform = levels(topic.substr(announced.prefix.size() + 1)).front();
        if (platform == "device") {
            add_components(topic, document, entities);
        } else {
            entities.push_back({.topic = topic, .platform = platform, .config = document});
        }
    }
    return entities;
}

std::vector<std::string> discovery_problems(const Announced& announced) {
    std::vector<std::string> problems;
    for (const auto& [topic, payload] : announced.documents) {
        if (const auto problem = problem_of_document(announced, topic, payload); !problem.empty()) {
            problems.push_back(topic + ": " + problem);
        }
    }
    std::map<std::string, std::string> owner_of_id;
    std::map<std::string, std::string> name_of_device;
    const auto entities = announced_entities(announced);
    for (const auto& entity : entities) {
        EntityCheck(announced, entity, problems).all();
        for (const char* key : {"unique_id", "default_entity_id"}) {
            const auto id = text_at(entity.config, key);
            if (!owner_of_id.try_emplace(id, entity.topic).second) {
                problems.push_back(fmt::format("{}: {} {} is there twice", entity.topic, key, id));
            }
        }
        const auto device = entity.config.value("device", json::object());
        const auto identifiers = device.value("identifiers", json::array()).dump();
        if (name_of_device.try_emplace(identifiers, text_at(device, "name")).first->second != text_at(device, "name")) {
            problems.push_back(fmt::format("{}: device {} has two names", entity.topic, identifiers));
        }
    }
    for (const auto& entity : entities) {
        const auto via = text_at(entity.config.value("device", json::object()), "via_device");
        if (!via.empty() && !name_of_device.contains(json::array({via}).dump())) {
            problems.push_back(fmt::format("{}: device {} is not announced", entity.topic, via));
        }
    }
    return problems;
}

}  // namespace support
