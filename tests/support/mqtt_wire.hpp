#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

/// Just enough of the MQTT wire format to be the other side of our client, independent of the library it uses.
namespace support::mqtt {

enum class PacketType : std::uint8_t {
    connect = 1,
    connack = 2,
    publish = 3,
    puback = 4,
    subscribe = 8,
    suback = 9,
    pingreq = 12,
    pingresp = 13,
    disconnect = 14,
};

struct Packet {
    PacketType type{};
    std::uint8_t flags = 0;
    std::string body;  ///< Variable header and payload.
};

std::string encode(const Packet& packet);
/// Cuts the first whole packet off `buffer`; none while it is incomplete.
std::optional<Packet> cut_packet(std::string& buffer);

std::string two_bytes(unsigned value);
/// A string with its length in front.
std::string text(std::string_view value);
unsigned two_bytes_at(std::string_view bytes, std::size_t position);

struct Publish {
    std::string topic;
    std::string payload;
    unsigned qos = 0;
    bool retained = false;
    unsigned packet_id = 0;
};

/// For MQTT 3.1.1; `v5`: with the (skipped) properties of MQTT 5.
Publish decode_publish(const Packet& packet, bool v5 = false);
std::string encode_publish(const Publish& publish);

}  // namespace support::mqtt
