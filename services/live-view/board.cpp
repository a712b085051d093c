#include "live-view/board.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace live_view {

namespace {

template <class Message>
std::optional<contract::WallTime> time_stamp(const Message& message) {
    if constexpr (requires { message.ts; }) {
        return message.ts;
    } else {
        return std::nullopt;
    }
}

double seconds(scheduling::Duration duration) { return std::max(0.0, std::chrono::duration<double>(duration).count()); }

template <class Kept>
auto seen(const Kept& kept, scheduling::Instant now) {
    return Seen<decltype(kept.value)>{kept.value, seconds(now - kept.sent)};
}

template <class Shelf>
auto only_one(const Shelf& shelf, scheduling::Instant now) {
    using Message = decltype(shelf.begin()->second.value);
    return shelf.empty() ? std::optional<Seen<Message>>() : seen(shelf.begin()->second, now);
}

}  // namespace

Board::Board(const contract::Topics& topics, std::string broker) : broker_(std::move(broker)) {
    keep_states(topics.ems_state(), site_);
    keep_states(topics.bus_state(), bus_);
    keep_states(topics.policy_state(), policy_);
    keep_states(topics.policy_override_state(), override_);
    keep_states(topics.policy_override_state("+"), charger_overrides_);
    keep_states(topics.charger_state("+"), chargers_);
    keep_states(topics.policy_charger_state("+"), charger_policies_);
    keep_states(topics.vehicle_state("+"), vehicles_);
    keep_states(topics.ems_source_state("+"), sources_);
    keep_words(topics.charger_availability("+"), chargers_online_);
    keep_words(topics.service_status("+"), services_online_);
}

template <class Message>
void Board::keep_states(const std::string& filter, Shelf<Message>& shelf) {
    routes_.push_back({filter, [&shelf](const std::string& id, const Arrival& arrival) {
                           if (arrival.delivery.payload.empty()) {
                               shelf.erase(id);  // how a writer takes its state back
                               return;
                           }
                           auto message = contract::from_text<Message>(arrival.delivery.payload);
                           auto sent = arrival.now;
                           if (const auto ts = time_stamp(message); ts && arrival.delivery.retained) {
                               const auto age = arrival.wall_now - *ts;
                               sent -= std::max(scheduling::Duration::zero(), scheduling::Duration(age));
                           }
                           shelf.insert_or_assign(id, Kept<Message>{std::move(message), sent});
                       }});
}

void Board::keep_words(const std::string& filter, std::map<std::string, bool>& online) {
    routes_.push_back({filter, [&online](const std::string& id, const Arrival& arrival) {
                           const auto& word = arrival.delivery.payload;
                           if (word.empty()) {
                               online.erase(id);
                           } else if (word == "online" || word == "offline") {
                               online[id] = word == "online";
                           } else {
                               throw contract::Invalid("payload: expected online or offline");
                           }
                       }});
}

std::vector<std::string> Board::filters() const {
    std::vector<std::string> result;
    for (const auto& route : routes_) {
        result.push_back(route.filter);
    }
    return result;
}

void Board::take(const messaging::Delivery& delivery, scheduling::Instant now, scheduling::WallTime wall_now) {
    const auto route = std::ranges::find_if(
        routes_, [&](const Route& candidate) { return messaging::matches(candidate.filter, delivery.topic); });
    if (route == routes_.end()) {
        return;
    }
    try {
        const auto id = contract::Topics::wildcard_level(route->filter, delivery.topic).value_or("");
        route->take(id, Arrival{delivery, now, wall_now});
    } catch (const contract::Invalid& error) {
        problem_ = fmt::format("{}: {}", delivery.topic, error.what());
    }
}

Model Board::model(scheduling::Instant now, scheduling::WallTime wall_now) const {
    Model model;
    model.broker = broker_;
    model.connected = connected_;
    model.now = wall_now;
    model.site = only_one(site_, now);
    model.bus = only_one(bus_, now);
    model.policy = only_one(policy_, now);
    model.override_state = only_one(override_, now);
    for (const auto& [id, kept] : chargers_) {
        model.chargers[id].state = seen(kept, now);
    }
    for (const auto& [id, kept] : charger_policies_) {
        model.chargers[id].policy = seen(kept, now);
    }
    for (const auto& [id, online] : chargers_online_) {
        model.chargers[id].online = online;
    }
    for (const auto& [id, kept] : charger_overrides_) {
        if (const auto charger = model.chargers.find(id); charger != model.chargers.end()) {
            charger->second.override_state = seen(kept, now);
        }
    }
    for (const auto& [alias, kept] : vehicles_) {
        model.vehicles.emplace(alias, seen(kept, now));
    }
    for (const auto& [name, kept] : sources_) {
        model.sources.emplace(name, seen(kept, now));
    }
    model.services = services_online_;
    model.problem = problem_;
    return model;
}

}  // namespace live_view
