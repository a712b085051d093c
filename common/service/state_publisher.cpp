#include "service/state_publisher.hpp"

#include <cmath>

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
    return value.is_string() ? value.get<std::string>() : value.dump();
}

}  // namespace

StatePublisher::StatePublisher(const Environment& environment, std::string snapshot_topic,
                               std::vector<contract::FieldTraits> traits, Pace pace)
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
    for (const auto& [key, value] : snapshot.items()) {
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
    if (!published_at_ || now - *published_at_ >= pace_.at_least_every) {
        publish_now();
    } else if (!is_worth_publishing(latest_)) {
        // What waited for its turn has moved back: only the regular repetition is still due.
        timer_.set(*published_at_ + pace_.at_least_every, [this] { publish_now(); });
    } else if (now - *published_at_ >= pace_.at_most_every) {
        publish_now();
    } else {
        timer_.set(*published_at_ + pace_.at_most_every, [this] { publish_now(); });
    }
}

void StatePublisher::publish_now() {
    if (refresh_) {
        latest_ = refresh_();
    }
    published_ = latest_;
    published_at_ = environment_.loop.now();
    timer_.set(*published_at_ + pace_.at_least_every, [this] { publish_now(); });
    environment_.bus.publish({.topic = topic_, .payload = latest_.dump(), .retained = true, .qos = pace_.qos});
    if (!environment_.flat_topics) {
        return;
    }
    for (const auto& [key, value] : latest_.items()) {
        publish_flat(key == "state" ? "status" : key, value);
    }
}

void StatePublisher::publish_flat(const std::string& key, const nlohmann::json& value) {
    if (value.is_structured()) {
        std::size_t index = 0;
        for (const auto& [name, item] : value.items()) {
            publish_flat(key + "/" + (value.is_array() ? std::to_string(++index) : name), item);
        }
        return;
    }
    put(branch_ + "/" + key, flat_text(value));
}

// An unchanged flat value is not sent again: the broker keeps it, and the bus restores it after a reconnect.
void StatePublisher::put(const std::string& topic, const std::string& payload) {
    auto [known, is_new] = flat_published_.try_emplace(topic, payload);
    if (!is_new && known->second == payload) {
        return;
    }
    known->second = payload;
    environment_.bus.publish({.topic = topic, .payload = payload, .retained = true, .qos = pace_.qos});
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
