#include "twc-bus/frame.hpp"

#include <optional>
#include <utility>

namespace twc_bus {

namespace {

constexpr std::uint8_t delimiter = 0xC0;
constexpr std::uint8_t escape = 0xDB;
constexpr std::uint8_t escaped_delimiter = 0xDC;
constexpr std::uint8_t escaped_escape = 0xDD;

constexpr std::size_t shortest_segment = 13;
// The longest real frame, 20 bytes all escaped, is 40; the rest is tolerance for noise before the delimiter.
constexpr std::size_t longest_segment = 48;

void append_escaped(Bytes& wire, std::uint8_t byte) {
    if (byte == delimiter) {
        wire.insert(wire.end(), {escape, escaped_delimiter});
    } else if (byte == escape) {
        wire.insert(wire.end(), {escape, escaped_escape});
    } else {
        wire.push_back(byte);
    }
}

std::optional<Bytes> unescape(const Bytes& segment) {
    Bytes plain;
    plain.reserve(segment.size());
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

std::uint8_t checksum(std::span<const std::uint8_t> body) {
    unsigned sum = 0;
    for (std::size_t i = 1; i < body.size(); ++i) {
        sum += body[i];
    }
    return static_cast<std::uint8_t>(sum & 0xFFU);
}

Bytes encode_frame(std::span<const std::uint8_t> body) {
    Bytes wire{delimiter};
    for (const auto byte : body) {
        append_escaped(wire, byte);
    }
    append_escaped(wire, checksum(body));
    wire.push_back(delimiter);
    return wire;
}

std::vector<Bytes> FrameDecoder::feed(std::span<const std::uint8_t> bytes) {
    std::vector<Bytes> bodies;
    for (const auto byte : bytes) {
        if (byte == delimiter) {
            end_segment(bodies);
            seen_delimiter_ = true;
        } else if (segment_.size() == longest_segment) {
            too_long_ = true;
        } else if (seen_delimiter_) {
            segment_.push_back(byte);
        }
    }
    return bodies;
}

void FrameDecoder::reset() {
    segment_.clear();
    too_long_ = false;
    seen_delimiter_ = false;
}

void FrameDecoder::end_segment(std::vector<Bytes>& bodies) {
    const Bytes segment = std::exchange(segment_, {});
    if (std::exchange(too_long_, false)) {
        ++counters_.bad_lengths;
        return;
    }
    if (segment.size() < shortest_segment) {
        counters_.short_segments += segment.empty() ? 0U : 1U;
        return;
    }
    auto body = unescape(segment);
    if (!body) {
        ++counters_.bad_escapes;
        return;
    }
    if (!accepts(body->size())) {
        ++counters_.bad_lengths;
        return;
    }
    const std::uint8_t received = body->back();
    body->pop_back();
    if (received != checksum(*body)) {
        ++counters_.bad_checksums;
        return;
    }
    ++counters_.frames;
    bodies.push_back(std::move(*body));
}

bool FrameDecoder::accepts(std::size_t length) const {
    const bool from_slave = length == 14 || length == 16 || length == 20;
    return from_slave || (lengths_ == AcceptedLengths::listening && (length == 13 || length == 15));
}

}  // namespace twc_bus
