#include "support/mqtt5_client.hpp"

#include <algorithm>
#include <atomic>
#include <stdexcept>
#include <unistd.h>
#include <utility>

#include <fmt/format.h>

namespace support {

namespace {

using namespace std::chrono_literals;
using mqtt::PacketType;

constexpr auto patience = 30s;

std::string connect_body(const Mqtt5Client::Login& login) {
    static std::atomic<int> count{0};
    constexpr unsigned clean_start = 0x02;
    constexpr unsigned with_login = 0xc0;
    const std::string client_id = fmt::format("hand-made-{}-{}", getpid(), ++count);
    const bool anonymous = login.user.empty();
    std::string body = mqtt::text("MQTT") + '\x05' + static_cast<char>(clean_start | (anonymous ? 0 : with_login)) +
                       mqtt::two_bytes(0) + '\0' + mqtt::text(client_id);
    if (!anonymous) {
        body += mqtt::text(login.user) + mqtt::text(login.password);
    }
    return body;
}

}  // namespace

Mqtt5Client::Mqtt5Client(int port, const Login& login) : socket_(Socket::connect(port)) {
    expect_sent({.type = PacketType::connect, .body = connect_body(login)});
    connack_ = static_cast<unsigned char>(next(PacketType::connack).body.at(1));
}

bool Mqtt5Client::send(const mqtt::Packet& packet) const {
    return socket_.open() && socket_.send(mqtt::encode(packet));
}

void Mqtt5Client::expect_sent(const mqtt::Packet& packet) const {
    if (!send(packet)) {
        throw std::runtime_error("the broker has closed the connection");
    }
}

void Mqtt5Client::take(const mqtt::Packet& packet) {
    if (packet.type == PacketType::puback) {
        const int reason = packet.body.size() > 2 ? static_cast<unsigned char>(packet.body[2]) : 0;
        acknowledged_[mqtt::two_bytes_at(packet.body, 0)] = reason;
    } else if (packet.type == PacketType::publish) {
        auto publish = mqtt::decode_publish(packet, true);
        if (publish.qos == 1) {
            expect_sent({.type = PacketType::puback, .body = mqtt::two_bytes(publish.packet_id)});
        }
        received_.push_back({std::move(publish.topic), std::move(publish.payload), publish.retained});
    }
}

mqtt::Packet Mqtt5Client::next(PacketType type) {
    const auto end = std::chrono::steady_clock::now() + patience;
    while (std::chrono::steady_clock::now() < end) {
        if (const auto packet = mqtt::cut_packet(buffer_)) {
            take(*packet);
            if (packet->type == type) {
                return *packet;
            }
            continue;
        }
        const auto bytes = socket_.receive(100ms);
        if (!bytes) {
            throw std::runtime_error("the broker has closed the connection");
        }
        buffer_ += *bytes;
    }
    throw std::runtime_error(fmt::format("the broker sent no packet of type {}", static_cast<int>(type)));
}

void Mqtt5Client::subscribe(const std::string& filter) {
    const std::string no_properties(1, '\0');
    expect_sent({.type = PacketType::subscribe,
                 .flags = 2,
                 .body = mqtt::two_bytes(1) + no_properties + mqtt::text(filter) + '\x01'});
    next(PacketType::suback);
}

unsigned Mqtt5Client::post(const std::string& topic, const std::string& payload, const Options& options) {
    constexpr char response_topic_property = 0x08;
    std::string properties;
    if (!options.response_topic.empty()) {
        properties = response_topic_property + mqtt::text(options.response_topic);
    }
    if (properties.size() > 0x7f) {
        throw std::runtime_error("a response topic longer than this client can send");
    }
    last_id_ = last_id_ % 60000 + 1;
    const auto flags = static_cast<std::uint8_t>(options.qos << 1U | (options.retained ? 1U : 0U));
    expect_sent({.type = PacketType::publish,
                 .flags = flags,
                 .body = mqtt::text(topic) + (options.qos > 0 ? mqtt::two_bytes(last_id_) : "") +
                         static_cast<char>(properties.size()) + properties + payload});
    return last_id_;
}

int Mqtt5Client::await(unsigned packet_id) {
    while (!acknowledged_.contains(packet_id)) {
        next(PacketType::puback);
    }
    return acknowledged_.extract(packet_id).mapped();
}

int Mqtt5Client::publish(const std::string& topic, const std::string& payload) {
    return await(post(topic, payload, {}));
}

std::vector<Mqtt5Client::Message> Mqtt5Client::received_until(const std::string& topic, const std::string& payload) {
    std::size_t looked_at = 0;
    while (true) {
        for (; looked_at < received_.size(); ++looked_at) {
            if (received_[looked_at].topic == topic && received_[looked_at].payload == payload) {
                auto rest =
                    std::vector(received_.begin() + static_cast<std::ptrdiff_t>(looked_at) + 1, received_.end());
                received_.resize(looked_at);
                return std::exchange(received_, std::move(rest));
            }
        }
        next(PacketType::publish);
    }
}

bool Mqtt5Client::receives(const std::string& topic, const std::string& payload, std::chrono::milliseconds within) {
    const auto end = std::chrono::steady_clock::now() + within;
    while (true) {
        while (const auto packet = mqtt::cut_packet(buffer_)) {
            take(*packet);
        }
        if (std::ranges::any_of(received_, [&](const Message& message) {
                return message.topic == topic && message.payload == payload;
            })) {
            return true;
        }
        const auto bytes = socket_.receive(20ms);
        if (!bytes || std::chrono::steady_clock::now() > end) {
            return false;
        }
        buffer_ += *bytes;
    }
}

}  // namespace support
