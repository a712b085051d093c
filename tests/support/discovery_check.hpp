#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace support {

/// What a Home Assistant would see, and who is there to hear it.
struct Announced {
    std::string prefix = "homeassistant";
    std::map<std::string, std::string> documents;  ///< Payloads by topic, all of them under the prefix.
    std::function<std::optional<std::string>(const std::string& topic)> retained;
    std::function<bool(const std::string& topic)> is_heard;  ///< Somebody has subscribed to it.
    std::map<std::string, std::set<std::string>> events;     ///< Event types by topic, as they were seen.
};

/// One entity as Home Assistant builds it, whichever form it came in: what the device document shares is filled in.
struct AnnouncedEntity {
    std::string topic;  ///< Of its document.
    std::string platform;
    nlohmann::json config;
};

/// Documents that are no JSON objects are left out.
std::vector<AnnouncedEntity> announced_entities(const Announced& announced);

/// Every breach of Home Assistant's rules, one a line; empty: it would take all of it without a word. Also that command
/// topics are heard, that state topics hold something whose template gives an acceptable state, and that no unique id
/// is there twice.
std::vector<std::string> discovery_problems(const Announced& announced);

}  // namespace support
