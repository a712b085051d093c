#pragma once

#include <atomic>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "support/mqtt_wire.hpp"
#include "support/socket.hpp"

namespace support {

/// A broker that answers as it is told, for what Mosquitto cannot be brought to do.
class FakeMqttBroker {
public:
    struct Manners {
        /// Answers an MQTT 5 CONNECT with these bytes and closes; empty: welcomes it.
        std::string refuse_v5;
        /// The SUBACK code; 0x80 and above refuse.
        int suback = 1;
    };

    explicit FakeMqttBroker(Manners manners) : manners_(std::move(manners)), thread_([this] { run(); }) {}
    FakeMqttBroker(const FakeMqttBroker&) = delete;
    FakeMqttBroker& operator=(const FakeMqttBroker&) = delete;
    ~FakeMqttBroker() {
        stopping_ = true;
        thread_.join();
    }

    int port() const { return listener_.port(); }
    /// The protocol level of every CONNECT so far: 4 is 3.1.1, 5 is 5.
    std::vector<int> levels() const {
        const std::scoped_lock lock(mutex_);
        return levels_;
    }
    std::vector<mqtt::Publish> published() const {
        const std::scoped_lock lock(mutex_);
        return published_;
    }

private:
    void run();
    void serve(const Socket& peer);
    /// False: close.
    bool answer(const Socket& peer, const mqtt::Packet& packet);
    bool welcome(const Socket& peer, const mqtt::Packet& connect);

    Manners manners_;
    Listener listener_;
    mutable std::mutex mutex_;
    std::vector<int> levels_;
    std::vector<mqtt::Publish> published_;
    bool v5_ = false;
    std::atomic<bool> stopping_{false};
    std::thread thread_;
};

}  // namespace support
