#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

/// Wire bytes <-> frame bodies (TWC protocol notes, section 2). A body is everything between the delimiters after
/// unescaping, without the checksum: type, command, IDs, payload.
namespace twc_bus {

using Bytes = std::vector<std::uint8_t>;

/// Sum of every byte but the first, modulo 256. The first byte is protected by nothing: whoever reads a body must
/// check type, command, length and IDs together.
std::uint8_t checksum(std::span<const std::uint8_t> body);

/// The bytes for the wire: delimiters, escapes, checksum (escaped as well). No trailing byte.
Bytes encode_frame(std::span<const std::uint8_t> body);

/// Which frame lengths, checksum included, are believed.
enum class AcceptedLengths {
    slaves,     ///< 14, 16 and 20: all that Wall Connectors send
    listening,  ///< also 13 and 15, which other programs acting as master send
};

/// What became of the bytes. Runs of delimiters are not counted.
struct FrameCounters {
    std::uint64_t frames = 0;
    std::uint64_t short_segments = 0;  ///< Under 13 raw bytes: trailing bytes, noise, torn frames.
    std::uint64_t bad_escapes = 0;
    std::uint64_t bad_lengths = 0;  ///< Also segments that grew past the cap of 48 raw bytes.
    std::uint64_t bad_checksums = 0;
};

/// Splits the stream at every delimiter and keeps what verifies. It has no phase that noise could flip: a lost or
/// an extra delimiter costs at most the frame it happened in. What comes before the first delimiter is ignored.
class FrameDecoder {
public:
    explicit FrameDecoder(AcceptedLengths lengths = AcceptedLengths::slaves) : lengths_(lengths) {}

    /// The bodies that ended in these bytes, in order.
    std::vector<Bytes> feed(std::span<const std::uint8_t> bytes);

    /// Forgets a frame that has begun, after the line was interrupted.
    void reset();

    const FrameCounters& counters() const { return counters_; }

private:
    void end_segment(std::vector<Bytes>& bodies);
    bool accepts(std::size_t length) const;

    AcceptedLengths lengths_;
    FrameCounters counters_;
    Bytes segment_;
    bool seen_delimiter_ = false;
    bool too_long_ = false;
};

}  // namespace twc_bus
