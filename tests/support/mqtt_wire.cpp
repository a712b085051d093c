#include "support/mqtt_wire.hpp"

namespace support::mqtt {

namespace {

unsigned byte_at(std::string_view bytes, std::size_t position) {
    return static_cast<unsigned char>(bytes.at(position));
}

// The length of what follows, seven bits a byte; none while it is incomplete.
std::optional<std::size_t> variable_length(std::string_view bytes, std::size_t& position) {
    std::size_t length = 0;
    for (unsigned shift = 0; position < bytes.size(); shift += 7) {
        const auto byte = byte_at(bytes, position++);
        length |= static_cast<std::size_t>(byte & 0x7fU) << shift;
        if ((byte & 0x80U) == 0) {
            return length;
        }
    }
    return std::nullopt;
}

}  // namespace

std::string two_bytes(unsigned value) { return {static_cast<char>(value >> 8U), static_cast<char>(value & 0xffU)}; }

std::string text(std::string_view value) { return two_bytes(static_cast<unsigned>(value.size())) + std::string(value); }

unsigned two_bytes_at(std::string_view bytes, std::size_t position) {
    return byte_at(bytes, position) << 8U | byte_at(bytes, position + 1);
}

std::string encode(const Packet& packet) {
    std::string bytes(1, static_cast<char>(static_cast<unsigned>(packet.type) << 4U | packet.flags));
    std::size_t length = packet.body.size();
    do {
        const auto more = length > 0x7f ? 0x80U : 0U;
        bytes += static_cast<char>((length & 0x7fU) | more);
        length >>= 7U;
    } while (length > 0);
    return bytes + packet.body;
}

std::optional<Packet> cut_packet(std::string& buffer) {
    std::size_t position = 1;
    const auto length = variable_length(buffer, position);
    if (!length || buffer.size() < position + *length) {
        return std::nullopt;
    }
    const auto first = byte_at(buffer, 0);
    Packet packet{.type = static_cast<PacketType>(first >> 4U),
                  .flags = static_cast<std::uint8_t>(first & 0x0fU),
                  .body = buffer.substr(position, *length)};
    buffer.erase(0, position + *length);
    return packet;
}

Publish decode_publish(const Packet& packet, bool v5) {
    Publish publish{.qos = (packet.flags >> 1U) & 3U, .retained = (packet.flags & 1U) != 0};
    std::size_t position = 2 + two_bytes_at(packet.body, 0);
    publish.topic = packet.body.substr(2, position - 2);
    if (publish.qos > 0) {
        publish.packet_id = two_bytes_at(packet.body, position);
        position += 2;
    }
    if (v5) {
        const auto properties = variable_length(packet.body, position);
        position += properties.value_or(0);
    }
    publish.payload = packet.body.substr(position);
    return publish;
}

std::string encode_publish(const Publish& publish) {
    const auto flags = static_cast<std::uint8_t>(publish.qos << 1U | (publish.retained ? 1U : 0U));
    return encode(
        {.type = PacketType::publish,
         .flags = flags,
         .body = text(publish.topic) + (publish.qos > 0 ? two_bytes(publish.packet_id) : "") + publish.payload});
}

}  // namespace support::mqtt
