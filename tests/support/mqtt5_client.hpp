#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "support/mqtt_wire.hpp"
#include "support/socket.hpp"

namespace support {

/// A hand-made MQTT 5 client that does one thing at a time and sees every reason code; our own client turns them into
/// log lines, and MQTT 3.1.1 has none for a publication. Throws std::runtime_error when the broker hangs up or does not
/// answer within half a minute.
class Mqtt5Client {
public:
    static constexpr int not_authorized = 0x87;

    struct Login {
        std::string user;  ///< Empty: nobody.
        std::string password;
    };
    struct Message {
        std::string topic;
        std::string payload;
        bool retained = false;
    };
    struct Options {
        bool retained = false;
        unsigned qos = 1;
        std::string response_topic;  ///< Empty: none.
    };

    explicit Mqtt5Client(int port, const Login& login = {});

    /// The reason code of the CONNACK; 0: let in.
    int connack() const { return connack_; }

    void subscribe(const std::string& filter);

    /// QoS 1: the reason code of the PUBACK; below 0x80 the broker took it.
    int publish(const std::string& topic, const std::string& payload);
    /// Sends and does not wait; QoS 1: the packet id for `await`.
    unsigned post(const std::string& topic, const std::string& payload, const Options& options);
    int await(unsigned packet_id);

    /// All that was delivered until now and then up to the first message on `topic` with this payload, which is not
    /// among them.
    std::vector<Message> received_until(const std::string& topic, const std::string& payload);

    /// Whether this is delivered within that time, or was already and not yet returned.
    bool receives(const std::string& topic, const std::string& payload, std::chrono::milliseconds within);

private:
    bool send(const mqtt::Packet& packet) const;
    void expect_sent(const mqtt::Packet& packet) const;
    /// Takes what comes until a packet of this type, which it returns; publications are kept and acknowledged.
    mqtt::Packet next(mqtt::PacketType type);
    void take(const mqtt::Packet& packet);

    Socket socket_;
    std::string buffer_;
    std::vector<Message> received_;
    std::map<unsigned, int> acknowledged_;  ///< Packet id, reason code.
    unsigned last_id_ = 0;
    int connack_ = 0;
};

}  // namespace support
