#include "support/fake_mqtt_broker.hpp"

namespace support {

using namespace std::chrono_literals;
using mqtt::PacketType;

void FakeMqttBroker::run() {
    while (!stopping_) {
        const auto peer = listener_.accept(10ms);
        if (peer.open()) {
            serve(peer);
        }
    }
}

void FakeMqttBroker::serve(const Socket& peer) {
    std::string buffer;
    while (!stopping_) {
        const auto bytes = peer.receive(10ms);
        if (!bytes) {
            return;
        }
        buffer += *bytes;
        while (const auto packet = mqtt::cut_packet(buffer)) {
            if (!answer(peer, *packet)) {
                return;
            }
        }
    }
}

bool FakeMqttBroker::answer(const Socket& peer, const mqtt::Packet& packet) {
    const std::string no_properties = v5_ ? std::string(1, '\0') : "";
    switch (packet.type) {
        case PacketType::connect:
            return welcome(peer, packet);
        case PacketType::subscribe:
            return peer.send(
                mqtt::encode({.type = PacketType::suback,
                              .body = packet.body.substr(0, 2) + no_properties + static_cast<char>(manners_.suback)}));
        case PacketType::publish: {
            const auto publish = mqtt::decode_publish(packet, v5_);
            {
                const std::scoped_lock lock(mutex_);
                published_.push_back(publish);
            }
            return publish.qos == 0 ||
                   peer.send(mqtt::encode({.type = PacketType::puback, .body = mqtt::two_bytes(publish.packet_id)}));
        }
        case PacketType::pingreq:
            return peer.send(mqtt::encode({.type = PacketType::pingresp}));
        default:
            return packet.type != PacketType::disconnect;
    }
}

bool FakeMqttBroker::welcome(const Socket& peer, const mqtt::Packet& connect) {
    const int level = static_cast<unsigned char>(connect.body.at(6));
    {
        const std::scoped_lock lock(mutex_);
        levels_.push_back(level);
    }
    v5_ = level == 5;
    if (v5_ && !manners_.refuse_v5.empty()) {
        peer.send(manners_.refuse_v5);
        return false;
    }
    return peer.send(mqtt::encode({.type = PacketType::connack, .body = std::string(v5_ ? 3 : 2, '\0')}));
}

}  // namespace support
