#include "service/state_publisher.hpp"

#include <cmath>
#include <utility>

namespace service {

namespace {

// "twc/charger/7744/state" -> "twc/charger/7744"
std::string without_last_level(const std::string& topic) { return topic.substr(0, topic.rfind('/')); }

bool moved(const nlohmann::json& before, const nlohmann::json& after, double dead_band) {
    if (dead_band > 0 && before.is_number() && after.is_number()) {
        // A value that returned to zero is news however small the step was.
        const bool became_zero = after == 0 && before != 0;
        return became_zero || std::abs(after.get<double>() - before.get<double>()) >= dead_band;
    }
    if (dead_band > 0 && before.is_array() && after.is_array() && before.size() == after.size()) {
        for (std::size_t i = 0; i < before.size(); ++i) {
            if (moved(before[i], after[i], dead_band)) {
                return true;
            }
        }
        return false;
    }
    return before != after;
}

std::string flat_text(const nlohmann::json& value) {
    if (value.is_null()) {
        return "";
    }
    return value.is_string() ? contract::valid_utf8(value.get<std::string>()) : contract::to_text(value);
}

}  // namespace

StatePublisher::StatePublisher(const Environment& environment, std::string snapshot_topic,
                               const std::vector<contract::FieldTraits>& traits, Pace pace)
    : environment_(environment),
      topic_(std::move(snapshot_topic)),
      branch_(without_last_level(topic_)),
      pace_(pace),
      timer_(environment.loop) {
    for (const auto& field : traits) {
        traits_.emplace(field.name, field);
    }
}

bool StatePublisher::is_worth_publishing(const nlohmann::json& snapshot) const {
    if (published_.is_null() || published_.size() != snapshot.size()) {
        return true;
    }
    for (const auto& [key, value] : snapshot.items()) {  // NOLINT(readability-use-anyofallof): no range
        const auto traits = traits_.find(key);
        if (traits != traits_.end() && traits->second.is_timing) {
            continue;
        }
        const auto before = published_.find(key);
        const double dead_band = traits == traits_.end() ? 0 : traits->second.dead_band;
        if (before == published_.end() || moved(*before, value, dead_band)) {
            return true;
        }
    }
    return false;
}

void StatePublisher::update(const nlohmann::json& snapshot) {
    latest_ = snapshot;
    const auto now = environment_.loop.now();
    // What waited for its turn may have moved back: only the regular repetition is still due then.
    const auto pause = is_worth_publishing(latest_) ? pace_.at_most_every : pace_.at_least_every;
    if (!published_at_ || now - *published_at_ >= pause) {
        publish_now();
    } else {
        timer_.set(*published_at_ + pause, [this] { publish_now(); });
    }
}

void StatePublisher::publish_now() {
    if (refresh_) {
        latest_ = refresh_();
    }
    published_ = latest_;
    published_at_ = environment_.loop.now();
    timer_.set(*published_at_ + pace_.at_least_every, [this] { publish_now(); });
    environment_.bus.publish(
        {.topic = topic_, .payload = contract::to_text(latest_), .retained = true, .qos = pace_.qos});
    if (!environment_.flat_topics) {
        return;
    }
    const auto before = std::exchange(flat_published_, {});
    for (const auto& [key, value] : latest_.items()) {
        publish_flat(key == "state" ? "status" : key, value, before);
    }
    // A list became shorter or a key went: what it said before must not live on in the broker.
    for (const auto& [topic, payload] : before) {
        if (flat_published_.try_emplace(topic, "").second && !payload.empty()) {
            put(topic, "");
        }
    }
}

void StatePublisher::publish_flat(const std::string& key, const nlohmann::json& value, const FlatValues& before) {
    if (value.is_array() && !value.empty() && value.front().is_object()) {
        return;  // a table, such as the slots of a tariff: hundreds of topics that nobody could read
    }
    if (value.is_structured()) {
        std::size_t index = 0;
        for (const auto& [name, item] : value.items()) {
            publish_flat(key + "/" + (value.is_array() ? std::to_string(++index) : name), item, before);
        }
        return;
    }
    const std::string topic = branch_ + "/" + key;
    const std::string payload = flat_text(value);
    flat_published_[topic] = payload;
    // An unchanged flat value is not sent again: the broker keeps it, and the bus restores it after a reconnect.
    const auto known = before.find(topic);
    if (known == before.end() || known->second != payload) {
        put(topic, payload);
    }
}

void StatePublisher::put(const std::string& topic, const std::string& payload) {
    environment_.bus.publish({.topic = topic, .payload = payload, .retained = true, .qos = pace_.qos});
}

void StatePublisher::repeat() {
    if (published_at_) {
        publish_now();
    }
}

void StatePublisher::clear() {
    timer_.cancel();
    published_ = nullptr;
    published_at_.reset();
    environment_.bus.publish({.topic = topic_, .payload = "", .retained = true, .qos = 1});
    for (const auto& [topic, payload] : flat_published_) {
        environment_.bus.publish({.topic = topic, .payload = "", .retained = true, .qos = 1});
    }
    flat_published_.clear();
}

}  // namespace service
