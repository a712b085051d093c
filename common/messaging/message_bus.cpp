#include "messaging/message_bus.hpp"

#include <optional>
#include <utility>

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

// How many bytes follow the first one of a UTF-8 sequence; none when it cannot be the first.
std::optional<std::size_t> continuation_bytes(unsigned char first) {
    if (first < 0x80) {
        return 0;
    }
    if (first >= 0xc2 && first < 0xe0) {
        return 1;
    }
    if (first >= 0xe0 && first < 0xf0) {
        return 2;
    }
    return first >= 0xf0 && first < 0xf5 ? std::optional<std::size_t>(3) : std::nullopt;
}

// Surrogates, and sequences longer than they need to be.
bool is_forbidden_sequence(unsigned char first, unsigned char second) {
    return (first == 0xe0 && second < 0xa0) || (first == 0xed && second > 0x9f) || (first == 0xf0 && second < 0x90) ||
           (first == 0xf4 && second > 0x8f);
}

bool is_utf8(std::string_view text) {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    for (std::size_t i = 0; i < text.size();) {
        const auto following = continuation_bytes(byte(i));
        if (!following || i + *following >= text.size()) {
            return false;
        }
        for (std::size_t k = 1; k <= *following; ++k) {
            if ((byte(i + k) & 0xc0U) != 0x80) {
                return false;
            }
        }
        if (*following > 0 && is_forbidden_sequence(byte(i), byte(i + 1))) {
            return false;
        }
        i += 1 + *following;
    }
    return true;
}

bool is_name(std::string_view name) {
    constexpr std::size_t max_bytes = 65535;
    return !name.empty() && name.size() <= max_bytes && name.find('\0') == std::string_view::npos && is_utf8(name);
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
    return is_name(topic) && topic.find_first_of("+#") == std::string_view::npos;
}

bool is_valid_filter(std::string_view filter) {
    if (!is_name(filter)) {
        return false;
    }
    bool more = true;
    std::string_view level;
    while (next_level(filter, level, more)) {
        const bool has_wildcard = level.find_first_of("+#") != std::string_view::npos;
        if (has_wildcard && (level.size() > 1 || (level == "#" && more))) {
            return false;
        }
    }
    return true;
}

void MessageBus::subscribe(const scheduling::TaskScope& owner, const std::string& filter, int qos, Handler handler) {
    subscribe(filter, qos, [alive = owner.alive(), handler = std::move(handler)](const Delivery& delivery) {
        if (!alive.expired()) {
            handler(delivery);
        }
    });
}

void MessageBus::on_connection_change(const scheduling::TaskScope& owner, std::function<void(bool)> handler) {
    on_connection_change([alive = owner.alive(), handler = std::move(handler)](bool connected) {
        if (!alive.expired()) {
            handler(connected);
        }
    });
}

}  // namespace messaging
