#include "messaging/message_bus.hpp"

#include <algorithm>

namespace messaging {

namespace {

// Cuts the first level off `rest`; false when there is none left.
bool next_level(std::string_view& rest, std::string_view& level, bool& more) {
    if (!more) {
        return false;
    }
    const auto slash = rest.find('/');
    level = rest.substr(0, slash);
    more = slash != std::string_view::npos;
    rest = more ? rest.substr(slash + 1) : std::string_view{};
    return true;
}

}  // namespace

bool matches(std::string_view filter, std::string_view topic) {
    if (!topic.empty() && topic.front() == '$' && !filter.empty() && (filter.front() == '+' || filter.front() == '#')) {
        return false;
    }
    bool more_filter = true;
    bool more_topic = true;
    std::string_view wanted;
    std::string_view level;
    while (next_level(filter, wanted, more_filter)) {
        if (wanted == "#") {
            return true;
        }
        if (!next_level(topic, level, more_topic) || (wanted != "+" && wanted != level)) {
            return false;
        }
    }
    return !more_topic;
}

bool is_valid_topic(std::string_view topic) {
    constexpr std::size_t max_topic_bytes = 65535;
    return !topic.empty() && topic.size() <= max_topic_bytes &&
           std::ranges::none_of(topic, [](char c) { return c == '+' || c == '#' || c == '\0'; });
}

}  // namespace messaging
