#include "messaging/in_memory_broker.hpp"

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace messaging {

std::unique_ptr<InMemoryClient> InMemoryBroker::connect(const std::string& client_id, std::optional<Publication> will) {
    return std::make_unique<InMemoryClient>(*this, client_id, std::move(will));
}

bool InMemoryBroker::expired(const Kept& kept) const {
    const auto lifetime = kept.publication.expires_after;
    return lifetime.count() > 0 && loop_.now() - kept.since >= lifetime;
}

std::optional<std::string> InMemoryBroker::retained(const std::string& topic) const {
    const auto found = retained_.find(topic);
    return found == retained_.end() || expired(found->second) ? std::nullopt
                                                              : std::optional(found->second.publication.payload);
}

std::map<std::string, std::string> InMemoryBroker::all_retained() const {
    std::map<std::string, std::string> all;
    for (const auto& [topic, kept] : retained_) {
        if (!expired(kept)) {
            all.emplace(topic, kept.publication.payload);
        }
    }
    return all;
}

void InMemoryBroker::accept(const std::string& client_id, const Publication& publication) {
    if (!is_valid_topic(publication.topic)) {
        throw std::invalid_argument("not a topic to publish to: " + publication.topic);
    }
    for (const auto observers = observers_; const auto& observer : observers) {  // a copy: one may add another
        observer(client_id, publication);
    }
    if (publication.retained && publication.payload.empty()) {
        retained_.erase(publication.topic);
    } else if (publication.retained) {
        retained_[publication.topic] = {publication, loop_.now()};
    }
    for (auto* client : clients_) {
        for (const auto& subscription : client->subscriptions_) {
            if (client->connected_ && matches(subscription->filter, publication.topic)) {
                client->deliver(*subscription, publication, false);
            }
        }
    }
}

void InMemoryBroker::send_retained(InMemoryClient& client, const std::string& filter) {
    for (const auto& subscription : client.subscriptions_) {
        if (subscription->filter != filter) {
            continue;
        }
        for (const auto& [topic, kept] : retained_) {
            if (matches(filter, topic) && !expired(kept)) {
                client.deliver(*subscription, kept.publication, true);
            }
        }
    }
}

bool InMemoryBroker::is_heard(const std::string& topic) const {
    return std::ranges::any_of(clients_, [&](const InMemoryClient* client) {
        return std::ranges::any_of(client->subscriptions_,
                                   [&](const auto& subscription) { return matches(subscription->filter, topic); });
    });
}

void InMemoryBroker::go_down() {
    up_ = false;
    for_each_client([](InMemoryClient& client) { client.leave(); });
}

void InMemoryBroker::go_up() {
    up_ = true;
    // Everyone is back before anyone speaks, so that the order of the clients does not matter.
    for_each_client([](InMemoryClient& client) { client.join(); });
    for_each_client([](InMemoryClient& client) { client.catch_up(); });
}

// Over a copy, and only those that still exist: a client's handler may destroy another client.
void InMemoryBroker::for_each_client(const std::function<void(InMemoryClient&)>& action) {
    for (const auto clients = clients_; auto* client : clients) {
        if (std::ranges::find(clients_, client) != clients_.end()) {
            action(*client);
        }
    }
}

InMemoryClient::InMemoryClient(InMemoryBroker& broker, std::string client_id, std::optional<Publication> will)
    : broker_(broker), client_id_(std::move(client_id)), will_(std::move(will)), scope_(broker.loop_) {
    broker_.clients_.push_back(this);
    scope_.post([this] {
        if (broker_.up_) {
            join();
            catch_up();
        }
    });
}

InMemoryClient::~InMemoryClient() {  // NOLINT(bugprone-exception-escape)
    std::erase(broker_.clients_, this);
    if (connected_ && will_) {
        broker_.accept(client_id_, *will_);
    }
}

void InMemoryClient::disconnect() {
    connected_ = false;
    ended_ = true;
    will_.reset();
}

void InMemoryClient::leave() {
    if (!connected_) {
        return;
    }
    connected_ = false;
    ++statistics_.connection_losses;
    notify();
}

void InMemoryClient::join() {
    if (connected_ || ended_) {
        return;
    }
    connected_ = true;
    is_behind_ = true;
    ++statistics_.connects;
    for (const auto& subscription : subscriptions_) {
        broker_.send_retained(*this, subscription->filter);
    }
}

// Like MqttSession: every retained value again, because the broker may have lost them.
void InMemoryClient::catch_up() {
    if (!std::exchange(is_behind_, false)) {
        return;
    }
    for (const auto& [topic, kept] : retained_) {
        if (!broker_.expired(kept)) {
            send(kept.publication);
        }
    }
    for (const auto waiting = std::exchange(waiting_, {}); const auto& publication : waiting) {
        send(publication);
    }
    notify();
}

void InMemoryClient::notify() {
    const bool connected = connected_;
    for (const auto handlers = connection_handlers_; const auto& handler : handlers) {  // a copy: one may add another
        handler(connected);
    }
}

void InMemoryClient::send(const Publication& publication) {
    ++statistics_.published;
    broker_.accept(client_id_, publication);
}

void InMemoryClient::publish(const Publication& publication) {
    if (!is_valid_topic(publication.topic)) {
        throw std::invalid_argument("not a topic to publish to: " + publication.topic);
    }
    if (publication.retained) {
        retained_[publication.topic] = {publication, broker_.loop_.now()};
    }
    if (connected_) {
        send(publication);
    } else if (!publication.retained && publication.qos > 0 && publication.expires_after.count() == 0) {
        waiting_.push_back(publication);
        if (waiting_.size() > max_waiting_publications) {
            waiting_.pop_front();
            ++statistics_.dropped;
        }
    } else if (!publication.retained) {
        ++statistics_.dropped;
    }
}

void InMemoryClient::subscribe(const std::string& filter, int /*qos*/, Handler handler) {
    if (!is_valid_filter(filter)) {
        throw std::invalid_argument("not a filter to subscribe to: " + filter);
    }
    subscriptions_.push_back(std::make_shared<Subscription>(Subscription{filter, std::move(handler)}));
    if (connected_) {
        broker_.send_retained(*this, filter);
    }
}

void InMemoryClient::on_connection_change(std::function<void(bool)> handler) {
    connection_handlers_.push_back(std::move(handler));
}

void InMemoryClient::deliver(const Subscription& subscription, const Publication& publication, bool from_store) {
    scope_.post([handler = subscription.handler, publication, from_store] {
        handler({.topic = publication.topic,
                 .payload = publication.payload,
                 .retained = from_store,
                 .response_topic = publication.response_topic,
                 .correlation_data = publication.correlation_data});
    });
}

}  // namespace messaging
