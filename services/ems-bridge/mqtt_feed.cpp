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
        if (topic != message.topic) {
            continue;
        }
        mapping::Answer single;
        single.documents[document] = to_document(message.payload);
        const auto at = time_of(message, single);
        if (!at) {
            continue;
        }
        answer_.documents[document] = std::move(single.documents[document]);
        at_[document] = *at;
        for (const auto& rule : mapping_.rules) {
            const auto needed = mapping::documents(rule.expression);
            const bool is_complete =
                std::ranges::all_of(needed, [&](const std::string& name) { return at_.contains(name); });
            if (!needed.contains(document) || !is_complete) {
                continue;
            }
            auto oldest = *at;
            for (const auto& name : needed) {
                oldest = std::min(oldest, at_.at(name));
            }
            try {
                values.push_back({rule.quantity, mapping::evaluate(rule, answer_), oldest});
            } catch (const mapping::MappingError& error) {
                answer_.documents.erase(document);
                at_.erase(document);
                throw SourceError(ErrorKind::malformed, fmt::format("{}: {}", message.topic, error.what()));
            }
        }
    }
    return values;
}

}  // namespace ems_bridge
