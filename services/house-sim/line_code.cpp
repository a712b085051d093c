#include "house-sim/line_code.hpp"

#include <numeric>
#include <utility>

namespace house_sim {

namespace {

constexpr std::uint8_t delimiter = 0xC0;
constexpr std::uint8_t escape = 0xDB;
constexpr std::uint8_t escaped_delimiter = 0xDC;
constexpr std::uint8_t escaped_escape = 0xDD;
constexpr std::size_t shortest_segment = 13;
constexpr std::size_t longest_segment = 48;

// Over all bytes but the first.
std::uint8_t checksum(std::span<const std::uint8_t> message) {
    return static_cast<std::uint8_t>(std::accumulate(message.begin() + 1, message.end(), 0U));
}

// Masters send 13 to 16 bytes, checksum included; 20 only units do, and one request nobody understands.
bool is_known_length(std::size_t length) { return (length >= 13 && length <= 16) || length == 20; }

std::optional<Bytes> unescape(std::span<const std::uint8_t> segment) {
    Bytes plain;
    for (std::size_t i = 0; i < segment.size(); ++i) {
        if (segment[i] != escape) {
            plain.push_back(segment[i]);
            continue;
        }
        ++i;
        if (i == segment.size() || (segment[i] != escaped_delimiter && segment[i] != escaped_escape)) {
            return std::nullopt;
        }
        plain.push_back(segment[i] == escaped_delimiter ? delimiter : escape);
    }
    return plain;
}

}  // namespace

Bytes to_wire(std::span<const std::uint8_t> message) {
    Bytes wire{delimiter};
    const auto put = [&wire](std::uint8_t byte) {
        if (byte == delimiter || byte == escape) {
            wire.push_back(escape);
            wire.push_back(byte == delimiter ? escaped_delimiter : escaped_escape);
        } else {
            wire.push_back(byte);
        }
    };
    for (const auto byte : message) {
        put(byte);
    }
    put(checksum(message));
    wire.push_back(delimiter);
    return wire;
}

std::optional<Bytes> SegmentReader::add(std::uint8_t byte) {
    if (byte == delimiter) {
        return finish();
    }
    if (segment_.size() <= longest_segment) {  // one more than allowed marks it as too long
        segment_.push_back(byte);
    }
    return std::nullopt;
}

std::optional<Bytes> SegmentReader::finish() {
    const Bytes segment = std::exchange(segment_, {});
    if (segment.empty()) {
        return std::nullopt;
    }
    if (segment.size() < shortest_segment) {
        ++refused_.too_short;
        return std::nullopt;
    }
    auto message = unescape(segment);
    if (!message) {
        ++refused_.bad_escape;
        return std::nullopt;
    }
    if (segment.size() > longest_segment || !is_known_length(message->size())) {
        ++refused_.bad_length;
        return std::nullopt;
    }
    const std::uint8_t sent_checksum = message->back();
    message->pop_back();
    if (checksum(*message) != sent_checksum) {
        ++refused_.bad_checksum;
        return std::nullopt;
    }
    return message;
}

}  // namespace house_sim
