#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace house_sim {

using Bytes = std::vector<std::uint8_t>;

/// What the simulated bus puts on the wire for a message: checksum appended, escaped, between two delimiters.
/// (TWC protocol notes 2.1 and 2.3. Written apart from the bus master's own code, so that a mistake in one of them
/// shows.)
Bytes to_wire(std::span<const std::uint8_t> message);

/// Cuts the byte stream of the bus into messages. Every delimiter ends one segment and begins the next, so noise and
/// lost delimiters cost at most the segment they hit (notes 2.5).
class SegmentReader {
public:
    struct Refused {
        std::uint64_t too_short = 0;  ///< noise and trailing bytes between frames
        std::uint64_t bad_escape = 0;
        std::uint64_t bad_length = 0;
        std::uint64_t bad_checksum = 0;
        bool operator==(const Refused&) const = default;
    };

    /// The message that this byte completes, without its checksum.
    std::optional<Bytes> add(std::uint8_t byte);
    const Refused& refused() const { return refused_; }

private:
    std::optional<Bytes> finish();

    Bytes segment_;
    Refused refused_;
};

}  // namespace house_sim
