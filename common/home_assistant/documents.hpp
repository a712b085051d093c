#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "home_assistant/entity.hpp"
#include "service/environment.hpp"

namespace home_assistant {

using Form = service::HomeAssistantSettings::Form;

/// Who announces, and where.
struct Announcer {
    std::string service;       ///< Node id in the topics, so that the broker can tell whose document it is.
    std::string site;          ///< Part of every id.
    std::string prefix;        ///< Discovery prefix.
    std::string status_topic;  ///< `online` while the service runs.
};

/// Discovery documents by topic.
using Documents = std::map<std::string, std::string>;

/// What to publish for these devices; nothing in form off. Keys have their full names, because openHAB and Domoticz
/// know no others. Unique ids are the same in both forms, `twc_<site>_<device>_<entity>`, so that Home Assistant keeps
/// names and history when the form changes. Both `object_id` (until 2025.9) and `default_entity_id` (from 2025.10) are
/// given.
Documents documents(const Announcer& announcer, Form form, const std::vector<Device>& devices);

/// The filter under which all documents of a service are.
std::string documents_filter(const Announcer& announcer);

/// Whether a document that was found there was published by this service at this site: another site may use the same
/// prefix, and so may somebody else.
bool is_ours(const Announcer& announcer, std::string_view payload);

/// Which form a topic belongs to.
Form form_of(const Announcer& announcer, std::string_view topic);

/// Tells Home Assistant to let go of what this topic announced, but to keep its settings for another topic that will
/// announce the same unique id.
inline constexpr const char* migration_document = R"({"migrate_discovery":true})";

/// `after`, and for every component that only `before` has the mark that it is gone; device form. Equal to `after` when
/// there is none.
std::string with_removals(const std::string& before, const std::string& after);

}  // namespace home_assistant
