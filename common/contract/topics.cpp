#include "contract/topics.hpp"

#include <algorithm>

#include "messaging/message_bus.hpp"

namespace contract {

std::optional<std::string> Topics::wildcard_level(std::string_view filter, std::string_view topic, int index) {
    if (!messaging::matches(filter, topic)) {
        return std::nullopt;
    }
    while (!filter.empty()) {
        const std::string_view wanted = filter.substr(0, filter.find('/'));
        const std::string_view level = topic.substr(0, topic.find('/'));
        if (wanted == "+" && index-- == 0) {
            return std::string(level);
        }
        filter.remove_prefix(std::min(filter.size(), wanted.size() + 1));
        topic.remove_prefix(std::min(topic.size(), level.size() + 1));
    }
    return std::nullopt;
}

bool is_valid_id(std::string_view id) {
    constexpr std::size_t longest = 64;
    return !id.empty() && id.size() <= longest && std::ranges::all_of(id, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
    });
}

}  // namespace contract
