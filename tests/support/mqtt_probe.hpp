#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "support/socket.hpp"

namespace support {

/// A client that hears everything a broker lets it hear and remembers when; a hand-made one, so that it cannot be wrong
/// in the way our own client may be. Comes back by itself when the broker does.
class MqttProbe {
public:
    struct Message {
        std::string topic;
        std::string payload;
        bool retained = false;  ///< It was stored by the broker when we came.
        std::chrono::steady_clock::time_point at;
    };
    struct Login {
        std::string user;
        std::string password;
    };
    using Predicate = std::function<bool(const std::string& payload)>;

    /// Returns once it is connected and subscribed; throws std::runtime_error when the broker does not let it in.
    explicit MqttProbe(int port, Login login = {}, std::string filter = "#");
    MqttProbe(const MqttProbe&) = delete;
    MqttProbe& operator=(const MqttProbe&) = delete;
    ~MqttProbe();

    /// QoS 1: returns once the broker has it; false when it does not take it in time.
    bool publish(const std::string& topic, const std::string& payload, bool retained = false);

    std::vector<Message> messages() const;
    std::vector<Message> messages_on(const std::string& topic) const;
    /// Those after a `mark`.
    std::vector<Message> messages_since(std::size_t mark) const;
    /// The last one that came on a topic.
    std::optional<Message> latest(const std::string& topic) const;

    /// A position in the record: `wait_for` looks only at what came after it.
    std::size_t mark() const;

    /// The first message on `topic` after `from` for which the predicate holds, past or to come; none after `timeout`.
    std::optional<Message> wait_for(const std::string& topic, const Predicate& predicate,
                                    std::chrono::milliseconds timeout = std::chrono::seconds(5),
                                    std::size_t from = 0) const;
    /// Exactly this payload.
    std::optional<Message> wait_for(const std::string& topic, const std::string& payload,
                                    std::chrono::milliseconds timeout = std::chrono::seconds(5),
                                    std::size_t from = 0) const;

private:
    void run();
    bool join_broker();
    void listen();
    void take(const std::string& bytes, std::string& buffer);

    int port_;
    Login login_;
    std::string filter_;
    mutable std::mutex mutex_;
    mutable std::condition_variable changed_;
    std::vector<Message> messages_;
    unsigned last_packet_id_ = 1;
    unsigned last_acknowledged_ = 0;
    bool subscribed_ = false;
    bool stopping_ = false;
    Socket socket_;  ///< Replaced by the thread only, under the mutex.
    std::thread thread_;
};

}  // namespace support
