#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "messaging/message_bus.hpp"
#include "scheduling/scheduler.hpp"

namespace messaging {

class InMemoryClient;

/// A broker in memory: retained messages, expiry, wildcards and last wills, delivered through the loop in order.
/// Lets several services and a test meet in one process and in virtual time.
class InMemoryBroker {
public:
    explicit InMemoryBroker(scheduling::Scheduler& loop) : loop_(loop) {}

    /// Each service has a client of its own. The broker must outlive its clients.
    std::unique_ptr<InMemoryClient> connect(const std::string& client_id, std::optional<Publication> will = {});

    /// What a freshly subscribed client would be given now; none: nothing retained there.
    std::optional<std::string> retained(const std::string& topic) const;
    std::map<std::string, std::string> all_retained() const;

    /// Sees every message as it is published, before any delivery.
    void tap(std::function<void(const std::string& client_id, const Publication&)> observer) {
        observers_.push_back(std::move(observer));
    }

    /// Cuts everyone off, as a broker restart does; retained messages survive, wills are not sent.
    void go_down();
    void go_up();
    /// Forgets every retained message, as a broker without persistence does when it restarts.
    void lose_retained() { retained_.clear(); }
    bool is_up() const { return up_; }
    /// Whether anyone has subscribed to a filter that matches.
    bool is_heard(const std::string& topic) const;

private:
    friend class InMemoryClient;

    struct Kept {
        Publication publication;
        scheduling::Instant since;
    };

    void accept(const std::string& client_id, const Publication& publication);
    bool expired(const Kept& kept) const;
    void for_each_client(const std::function<void(InMemoryClient&)>& action);
    void send_retained(InMemoryClient& client, const std::string& filter);

    scheduling::Scheduler& loop_;
    std::map<std::string, Kept> retained_;
    std::vector<InMemoryClient*> clients_;
    std::vector<std::function<void(const std::string&, const Publication&)>> observers_;
    bool up_ = true;
};

/// One client of the in-memory broker, with the semantics of `MessageBus`.
class InMemoryClient final : public MessageBus {
public:
    InMemoryClient(InMemoryBroker& broker, std::string client_id, std::optional<Publication> will);
    InMemoryClient(const InMemoryClient&) = delete;
    InMemoryClient& operator=(const InMemoryClient&) = delete;
    /// Vanishes like a killed process: the broker sends its will. Call `disconnect` first for a clean end.
    ~InMemoryClient() override;  // NOLINT(bugprone-exception-escape): out of memory in a test may end it

    void publish(const Publication& publication) override;
    void subscribe(const std::string& filter, int qos, Handler handler) override;
    bool connected() const override { return connected_; }
    void on_connection_change(std::function<void(bool)> handler) override;

    BusStatistics statistics() const override { return statistics_; }

    /// A clean end: no will, and nothing is sent or received any more.
    void disconnect();

private:
    friend class InMemoryBroker;

    struct Subscription {
        std::string filter;
        Handler handler;
    };

    void join();
    void leave();
    void catch_up();
    void notify();
    void send(const Publication& publication);
    void deliver(const Subscription& subscription, const Publication& publication, bool from_store);

    InMemoryBroker& broker_;
    std::string client_id_;
    std::optional<Publication> will_;
    std::vector<std::shared_ptr<Subscription>> subscriptions_;
    std::vector<std::function<void(bool)>> connection_handlers_;
    std::map<std::string, InMemoryBroker::Kept> retained_;
    std::deque<Publication> waiting_;
    BusStatistics statistics_;
    bool connected_ = false;
    bool is_behind_ = false;  ///< Connected, but has not said yet what it kept.
    bool ended_ = false;
    scheduling::TaskScope scope_;
};

}  // namespace messaging
