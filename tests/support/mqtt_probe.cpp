#include "support/mqtt_probe.hpp"

#include <atomic>
#include <stdexcept>
#include <unistd.h>

#include "support/mqtt_wire.hpp"

namespace support {

namespace {

using namespace std::chrono_literals;
using mqtt::PacketType;

std::string unique_client_id() {
    static std::atomic<int> count{0};
    return "probe-" + std::to_string(getpid()) + "-" + std::to_string(++count);
}

std::string connect_packet(const MqttProbe::Login& login) {
    constexpr unsigned clean_session = 0x02;
    constexpr unsigned with_login = 0xc0;
    const bool anonymous = login.user.empty();
    std::string body = mqtt::text("MQTT") + '\x04' + static_cast<char>(clean_session | (anonymous ? 0 : with_login)) +
                       mqtt::two_bytes(0) + mqtt::text(unique_client_id());
    if (!anonymous) {
        body += mqtt::text(login.user) + mqtt::text(login.password);
    }
    return mqtt::encode({.type = PacketType::connect, .body = body});
}

std::string subscribe_packet(const std::string& filter) {
    return mqtt::encode(
        {.type = PacketType::subscribe, .flags = 2, .body = mqtt::two_bytes(1) + mqtt::text(filter) + '\x01'});
}

// The next packet, or none when the peer is gone or silent.
std::optional<mqtt::Packet> await_packet(const Socket& socket, std::string& buffer) {
    for (int i = 0; i < 50; ++i) {
        if (auto packet = mqtt::cut_packet(buffer)) {
            return packet;
        }
        const auto bytes = socket.receive(100ms);
        if (!bytes) {
            return std::nullopt;
        }
        buffer += *bytes;
    }
    return std::nullopt;
}

}  // namespace

MqttProbe::MqttProbe(int port, Login login, std::string filter)
    : port_(port), login_(std::move(login)), filter_(std::move(filter)), thread_([this] { run(); }) {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, 10s, [this] { return subscribed_; })) {
        stopping_ = true;
        lock.unlock();
        thread_.join();
        throw std::runtime_error("the broker does not let the probe in");
    }
}

MqttProbe::~MqttProbe() {
    {
        const std::scoped_lock lock(mutex_);
        stopping_ = true;
        socket_.shut_down();
    }
    thread_.join();
}

void MqttProbe::run() {
    const auto ended = [this] {
        const std::scoped_lock lock(mutex_);
        return stopping_;
    };
    while (!ended()) {
        if (join_broker()) {
            listen();
        } else {
            std::this_thread::sleep_for(20ms);
        }
    }
}

bool MqttProbe::join_broker() {
    auto socket = Socket::connect(port_);
    std::string buffer;
    if (!socket.open() || !socket.send(connect_packet(login_))) {
        return false;
    }
    const auto answer = await_packet(socket, buffer);
    if (!answer || answer->type != PacketType::connack || answer->body.at(1) != 0 ||
        !socket.send(subscribe_packet(filter_))) {
        return false;
    }
    const auto subscribed = await_packet(socket, buffer);
    if (!subscribed || subscribed->type != PacketType::suback) {
        return false;
    }
    const std::scoped_lock lock(mutex_);
    socket_ = std::move(socket);
    subscribed_ = true;
    take("", buffer);
    return true;
}

void MqttProbe::listen() {
    std::string buffer;
    while (const auto bytes = socket_.receive(100ms)) {
        const std::scoped_lock lock(mutex_);
        if (stopping_) {
            return;
        }
        take(*bytes, buffer);
    }
    const std::scoped_lock lock(mutex_);
    subscribed_ = false;
}

// Under the lock.
void MqttProbe::take(const std::string& bytes, std::string& buffer) {
    buffer += bytes;
    const auto now = std::chrono::steady_clock::now();
    while (const auto packet = mqtt::cut_packet(buffer)) {
        if (packet->type == PacketType::puback) {
            last_acknowledged_ = mqtt::two_bytes_at(packet->body, 0);
        } else if (packet->type == PacketType::publish) {
            auto publish = mqtt::decode_publish(*packet);
            if (publish.qos == 1) {
                socket_.send(mqtt::encode({.type = PacketType::puback, .body = mqtt::two_bytes(publish.packet_id)}));
            }
            messages_.push_back({.topic = std::move(publish.topic),
                                 .payload = std::move(publish.payload),
                                 .retained = publish.retained,
                                 .at = now});
        }
    }
    changed_.notify_all();
}

bool MqttProbe::publish(const std::string& topic, const std::string& payload, bool retained) {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, 5s, [this] { return subscribed_; })) {
        return false;
    }
    last_packet_id_ = last_packet_id_ % 60000 + 2;
    const unsigned id = last_packet_id_;
    return socket_.send(mqtt::encode_publish(
               {.topic = topic, .payload = payload, .qos = 1, .retained = retained, .packet_id = id})) &&
           changed_.wait_for(lock, 5s, [&] { return last_acknowledged_ == id; });
}

std::vector<MqttProbe::Message> MqttProbe::messages() const {
    const std::scoped_lock lock(mutex_);
    return messages_;
}

std::vector<MqttProbe::Message> MqttProbe::messages_since(std::size_t mark) const {
    const std::scoped_lock lock(mutex_);
    return {messages_.begin() + static_cast<std::ptrdiff_t>(mark), messages_.end()};
}

std::vector<MqttProbe::Message> MqttProbe::messages_on(const std::string& topic) const {
    std::vector<Message> result;
    for (auto& message : messages()) {
        if (message.topic == topic) {
            result.push_back(std::move(message));
        }
    }
    return result;
}

std::optional<MqttProbe::Message> MqttProbe::latest(const std::string& topic) const {
    const auto all = messages_on(topic);
    return all.empty() ? std::nullopt : std::optional(all.back());
}

std::size_t MqttProbe::mark() const {
    const std::scoped_lock lock(mutex_);
    return messages_.size();
}

std::optional<MqttProbe::Message> MqttProbe::wait_for(const std::string& topic, const Predicate& predicate,
                                                      std::chrono::milliseconds timeout, std::size_t from) const {
    const auto end = std::chrono::steady_clock::now() + timeout;
    std::unique_lock lock(mutex_);
    std::size_t next = from;
    while (true) {
        for (; next < messages_.size(); ++next) {
            if (messages_[next].topic == topic && predicate(messages_[next].payload)) {
                return messages_[next];
            }
        }
        if (changed_.wait_until(lock, end) == std::cv_status::timeout && next == messages_.size()) {
            return std::nullopt;
        }
    }
}

std::optional<MqttProbe::Message> MqttProbe::wait_for(const std::string& topic, const std::string& payload,
                                                      std::chrono::milliseconds timeout, std::size_t from) const {
    return wait_for(
        topic, [&](const std::string& got) { return got == payload; }, timeout, from);
}

}  // namespace support
