#include "messaging/in_memory_broker.hpp"

#include <algorithm>
#include <stdexcept>

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
    for (const auto& observer : observers_) {
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

void InMemoryBroker::go_down() {
    up_ = false;
    const auto clients = clients_;
    for (auto* client : clients) {
        client->set_connected(false);
    }
}

void InMemoryBroker::go_up() {
    up_ = true;
    const auto clients = clients_;
    for (auto* client : clients) {
        client->set_connected(true);
    }
}

InMemoryClient::InMemoryClient(InMemoryBroker& broker, std::string client_id, std::optional<Publication> will)
    : broker_(broker), client_id_(std::move(client_id)), will_(std::move(will)), scope_(broker.loop_) {
    broker_.clients_.push_back(this);
    scope_.post([this] { set_connected(broker_.up_); });
}

InMemoryClient::~InMemoryClient() {
    std::erase(broker_.clients_, this);
    if (connected_ && will_) {
        broker_.accept(client_id_, *will_);
    }
}

void InMemoryClient::disconnect() {
    connected_ = false;
    will_.reset();
}

void InMemoryClient::set_connected(bool connected) {
    if (connected_ == connected) {
        return;
    }
    connected_ = connected;
    if (connected) {
        for (const auto& subscription : subscriptions_) {
            broker_.send_retained(*this, subscription->filter);
        }
        for (const auto& [topic, publication] : pending_retained_) {
            broker_.accept(client_id_, publication);
        }
        pending_retained_.clear();
    }
    for (const auto& handler : connection_handlers_) {
        handler(connected);
    }
}

void InMemoryClient::publish(const Publication& publication) {
    if (connected_) {
        broker_.accept(client_id_, publication);
    } else if (publication.retained) {
        pending_retained_[publication.topic] = publication;
    }
}

void InMemoryClient::subscribe(const std::string& filter, int /*qos*/, Handler handler) {
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
