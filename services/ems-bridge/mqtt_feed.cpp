#include "ems-bridge/mqtt_feed.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace ems_bridge {

namespace {

// JSON where it is JSON; else the text as it is: "-1846.0 W", "NaN", "unavailable".
nlohmann::json to_document(std::string_view payload) {
    try {
        return contract::parse_json(payload);
    } catch (const contract::Invalid&) {
        return std::string(payload);
    }
}

}  // namespace

scheduling::Instant instant_of(contract::WallTime measured_at, scheduling::Instant now, contract::WallTime wall_now) {
    const auto age = std::max(contract::WallTime::duration{0}, wall_now - measured_at);
    return now - std::chrono::duration_cast<scheduling::Duration>(age);
}

std::optional<scheduling::Instant> MqttFeed::time_of(const Message& message, const mapping::Answer& answer) const {
    if (mapping_.time) {
        mapping::Mapping only_time{.rules = {}, .time = mapping_.time};
        if (const auto measured_at = mapping::apply(only_time, answer).measured_at) {
            return instant_of(*measured_at, message.now, message.wall_now);
        }
    }
    if (message.retained && !program_.accept_retained) {
        return std::nullopt;
    }
    return message.now;
}

std::vector<MqttFeed::Value> MqttFeed::accept(const Message& message) {
    std::vector<Value> values;
    for (const auto& [document, topic] : program_.topics) {
        if (topic == message.topic && store(document, message)) {
            append_values(document, message.topic, values);
        }
    }
    return values;
}

bool MqttFeed::store(const std::string& document, const Message& message) {
    mapping::Answer single;
    auto& content = single.documents[document] = to_document(message.payload);
    const auto at = time_of(message, single);
    if (at) {
        answer_.documents[document] = std::move(content);
        at_[document] = *at;
    }
    return at.has_value();
}

std::optional<scheduling::Instant> MqttFeed::oldest_of(const std::set<std::string>& documents) const {
    std::optional<scheduling::Instant> oldest;
    for (const auto& name : documents) {
        const auto at = at_.find(name);
        if (at == at_.end()) {
            return std::nullopt;
        }
        oldest = std::min(oldest.value_or(at->second), at->second);
    }
    return oldest;
}

void MqttFeed::append_values(const std::string& document, std::string_view topic, std::vector<Value>& values) {
    for (const auto& rule : mapping_.rules) {
        const auto needed = mapping::documents(rule.expression);
        const auto oldest = needed.contains(document) ? oldest_of(needed) : std::nullopt;
        if (!oldest) {
            continue;
        }
        try {
            values.push_back({rule.quantity, mapping::evaluate(rule, answer_), *oldest});
        } catch (const mapping::MappingError& error) {
            answer_.documents.erase(document);
            at_.erase(document);
            throw SourceError(ErrorKind::malformed, fmt::format("{}: {}", topic, error.what()));
        }
    }
}

}  // namespace ems_bridge
