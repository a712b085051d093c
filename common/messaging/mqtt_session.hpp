#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "messaging/message_bus.hpp"
#include "messaging/outbox.hpp"
#include "scheduling/scheduler.hpp"

namespace messaging {

enum class MqttProtocol { automatic, v5, v311 };

struct MqttTls {
    std::string ca_file;  ///< Empty: the system's roots.
    std::string certificate_file;
    std::string key_file;
    bool verify = true;
};

struct MqttOptions {
    std::string host = "localhost";
    int port = 1883;
    MqttProtocol protocol = MqttProtocol::automatic;  ///< Automatic: MQTT 5, and 3.1.1 if the broker refuses it.
    std::string client_id;
    std::string username;
    std::string password;
    std::optional<MqttTls> tls;
    std::chrono::seconds keep_alive{10};
    Publication online;   ///< Published at every connect; no topic: nothing (a mere onlooker).
    Publication offline;  ///< The will, and published before a clean end; no topic: none.
};

using MqttStatistics = BusStatistics;

/// The real MessageBus: Paho, one connection, reconnecting for ever with back-off. Paho calls back on threads of its
/// own; every callback only posts to the loop, so everything else here is single-threaded.
class MqttSession final : public MessageBus {
public:
    /// `on_fatal` is called when another client keeps taking over our client id.
    MqttSession(MqttOptions options, scheduling::Scheduler& loop, std::function<void(std::string)> on_fatal);
    MqttSession(const MqttSession&) = delete;
    MqttSession& operator=(const MqttSession&) = delete;
    /// Says offline and disconnects; a broker that does not answer gets half a second.
    ~MqttSession() override;

    /// Call after the service has made its subscriptions and first publications.
    void start();

    void publish(const Publication& publication) override;
    /// A filter that is none is logged and ignored: the broker would cut the connection, again and again.
    void subscribe(const std::string& filter, int qos, Handler handler) override;
    bool connected() const override { return connected_; }
    void on_connection_change(std::function<void(bool)> handler) override;

    MqttStatistics statistics() const override { return statistics_; }

private:
    class Paho;  // hides the library: its headers stay out of everyone's build

    struct Subscription {
        std::string filter;
        int qos;
        Handler handler;
    };

    struct Kept {
        Publication publication;
        scheduling::Instant since;
    };

    void connect();
    void give_up_attempt();
    void connect_failed(const std::string& cause, bool version_refused);
    void connection_made();
    void restore();
    void connection_lost();
    void notify_of_takeover();
    void retry_later();
    void arrived(const Delivery& delivery, std::uint64_t lost_before);
    void refused(const std::string& what, const std::string& topic, int reason_code);
    void send(const Publication& publication);
    bool hand_to_paho(const Publication& publication);
    void send_waiting();
    void answered();
    void request(const std::string& filter, int qos);

    scheduling::Scheduler& loop_;
    MqttOptions options_;
    std::function<void(std::string)> on_fatal_;
    std::vector<Subscription> subscriptions_;
    std::vector<std::function<void(bool)>> connection_handlers_;
    std::map<std::string, Kept> retained_;  ///< The last value of each topic: the broker may have lost it.
    std::deque<Publication> waiting_;       ///< For a connection.
    Outbox outbox_;                         ///< Of this connection.
    MqttStatistics statistics_;
    bool connected_ = false;
    bool using_v5_ = true;
    std::string logged_failure_;             ///< A new cause is news, the same one again is not.
    std::set<std::string> logged_refusals_;  ///< Since the last connect.
    std::chrono::milliseconds back_off_{};
    scheduling::Instant started_at_;
    scheduling::Instant connected_at_;
    int quick_losses_ = 0;
    bool overflow_logged_ = false;
    std::uint64_t attempts_ = 0;  ///< Clients made; callbacks of an earlier one are ignored.
    scheduling::TaskScope scope_;
    scheduling::Timer attempt_deadline_;
    std::unique_ptr<Paho> paho_;  ///< Last: destroyed first, while everything its callbacks touch still exists.
};

}  // namespace messaging
