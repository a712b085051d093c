#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "contract/schema.hpp"
#include "service/environment.hpp"

namespace service {

/// How often a state may and must be published (topics.md rule 7).
struct Pace {
    scheduling::Duration at_most_every = std::chrono::seconds(1);
    scheduling::Duration at_least_every = std::chrono::seconds(60);
    int qos = 0;
};

/// Publishes one retained JSON snapshot `<branch>/state` and, if wanted, a flat scalar `<branch>/<key>` for each of
/// its fields: at once when something moved beyond its dead band, not more often than the pace allows, the last
/// change always, and everything again after a reconnect. A key named `state` goes to `<branch>/status`, because
/// `<branch>/state` is the snapshot.
class StatePublisher {
public:
    StatePublisher(const Environment& environment, std::string snapshot_topic,
                   const std::vector<contract::FieldTraits>& traits, Pace pace = {});

    /// Flat values are scalars: lists become `key/1…`, unknown becomes an empty retained payload. Lists of objects are
    /// in the snapshot alone.
    void update(const nlohmann::json& snapshot);

    template <contract::Described Message>
    void update(const Message& message) {
        update(contract::to_json(message));
    }

    /// Asked for the snapshot to send whenever one is sent, also repeated or late, so that ages in it are true.
    void refresh_with(std::function<nlohmann::json()> refresh) { refresh_ = std::move(refresh); }

    /// Sends the snapshot again, for someone who has just come to listen; nothing before the first update.
    void repeat();

    /// Makes the broker forget the snapshot and its flat topics.
    void clear();

private:
    using FlatValues = std::map<std::string, std::string>;

    bool is_worth_publishing(const nlohmann::json& snapshot) const;
    void publish_now();
    void publish_flat(const std::string& key, const nlohmann::json& value, const FlatValues& before);
    void put(const std::string& topic, const std::string& payload);

    const Environment& environment_;
    std::string topic_;
    std::string branch_;
    std::map<std::string, contract::FieldTraits> traits_;
    Pace pace_;
    scheduling::Timer timer_;
    std::function<nlohmann::json()> refresh_;
    nlohmann::json latest_;
    nlohmann::json published_;
    FlatValues flat_published_;  ///< By topic.
    std::optional<scheduling::Instant> published_at_;
};

template <contract::Described Message>
StatePublisher make_state_publisher(const Environment& environment, std::string topic, Pace pace = {}) {
    return {environment, std::move(topic), contract::field_traits<Message>(), pace};
}

}  // namespace service
