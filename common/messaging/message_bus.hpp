#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "scheduling/scheduler.hpp"

namespace messaging {

/// A message to send.
struct Publication {
    std::string topic;
    std::string payload;
    bool retained = false;
    int qos = 0;
    std::chrono::seconds expires_after{0};  ///< 0: never. MQTT 5 message expiry; ignored by MQTT 3.1.1.
    std::string response_topic;             ///< MQTT 5, for requests; empty: none.
    std::string correlation_data;           ///< MQTT 5, for requests and replies; empty: none.

    bool operator==(const Publication&) const = default;
};

/// A message that arrived.
struct Delivery {
    std::string topic;
    std::string payload;
    bool retained = false;         ///< It was stored by the broker before we subscribed.
    std::string response_topic;    ///< MQTT 5; empty: the sender wants no reply.
    std::string correlation_data;  ///< MQTT 5; to be sent back with the reply.
};

/// Counters for `service/<svc>/metrics`.
struct BusStatistics {
    std::uint64_t connects = 0;
    std::uint64_t connection_losses = 0;
    std::uint64_t published = 0;
    std::uint64_t dropped = 0;  ///< Not sent or not handled: broker away, or a queue was full.
    std::uint64_t refused = 0;  ///< Publishes and subscribes the broker answered with "no".
};

/// QoS 1 messages that wait for the broker at most; the oldest are dropped first.
inline constexpr std::size_t max_waiting_publications = 200;

/// Publish and subscribe, as one service sees it. Loop thread only; handlers run on the loop.
class MessageBus {
public:
    using Handler = std::function<void(const Delivery&)>;

    MessageBus() = default;
    MessageBus(const MessageBus&) = delete;
    MessageBus& operator=(const MessageBus&) = delete;
    virtual ~MessageBus() = default;

    /// Never blocks. While the broker is away, the last value of each retained topic and a bounded number of
    /// QoS 1 messages without expiry are kept and sent after the reconnect; everything else is dropped.
    virtual void publish(const Publication& publication) = 0;

    /// Lasts for the life of the bus, over every reconnect. Filters of one bus must not overlap.
    virtual void subscribe(const std::string& filter, int qos, Handler handler) = 0;
    /// For an owner that may go before the bus: its handler is not called any more then.
    void subscribe(const scheduling::TaskScope& owner, const std::string& filter, int qos, Handler handler);

    virtual bool connected() const = 0;
    /// Called at every change of `connected()`, with the new value, after subscriptions were requested.
    virtual void on_connection_change(std::function<void(bool)> handler) = 0;
    void on_connection_change(const scheduling::TaskScope& owner, std::function<void(bool)> handler);

    virtual BusStatistics statistics() const { return {}; }
};

/// MQTT wildcard match. `+` is one level, `#` the rest; a filter that starts with a wildcard never matches `$…`.
bool matches(std::string_view filter, std::string_view topic);

/// True when the name can be published to: UTF-8, not empty, no wildcard, no NUL and at most 65535 bytes.
bool is_valid_topic(std::string_view topic);

/// True when one can subscribe to it: as a topic, but `+` may be a whole level and `#` the last one. A broker answers
/// anything else by cutting the connection.
bool is_valid_filter(std::string_view filter);

}  // namespace messaging
