#pragma once

#include <deque>
#include <vector>

#include "house-sim/line_code.hpp"
#include "house-sim/wall_connector.hpp"

namespace house_sim {

/// What goes wrong on the wire. All off: a clean line.
struct LineNoise {
    double flip_per_byte = 0;    ///< Probability that a byte arrives changed, both ways.
    double drop_per_byte = 0;    ///< Probability that a byte is lost, both ways.
    double junk_per_frame = 0;   ///< Probability of one to five junk bytes before a unit's frame.
    bool splits_frames = false;  ///< Frames arrive in pieces, as over a serial bridge.
    bool echoes_master = false;  ///< The adapter returns what the master sends.
    bool collides = false;       ///< Two that talk at once destroy each other's frames.
};

/// The two wires and up to three units on them: bytes of the master in, bytes for the master out, each when a
/// 9600 baud line would have carried it.
class BusLine {
public:
    using Instant = scheduling::Instant;

    BusLine(const std::vector<WallConnectorConfig>& units, LineNoise noise, std::uint64_t seed, Instant now);

    /// Bytes the master wrote. They occupy the line for as long as they take to send.
    void receive(std::span<const std::uint8_t> bytes, Instant now);

    /// When `take` will next have something; call it then. Never in the far future: units announce themselves.
    Instant due() const;

    /// Everything that has fully arrived at the master by `now`.
    Bytes take(Instant now);

    std::vector<WallConnector>& units() { return units_; }
    const std::vector<WallConnector>& units() const { return units_; }

    void set_noise(const LineNoise& noise) { noise_ = noise; }
    const LineNoise& noise() const { return noise_; }
    /// A cut cable: nothing passes either way.
    void set_cut(bool cut) { cut_ = cut; }
    bool cut() const { return cut_; }

    const SegmentReader::Refused& refused() const { return reader_.refused(); }
    std::uint64_t messages_heard() const { return messages_heard_; }

private:
    struct Emission {
        Instant begins;
        Instant ends;
        Bytes bytes;
    };

    void hear(const Bytes& message, Instant now);
    void send(const WallConnector& unit, std::span<const std::uint8_t> message, Instant from);
    void emit(Emission emission);
    void announce(Instant now);
    void garble(Bytes& bytes);
    Bytes with_noise(const Bytes& bytes);
    bool collides_with_unit(Instant begins, Instant ends);

    std::vector<WallConnector> units_;
    LineNoise noise_;
    Random random_;
    SegmentReader reader_;
    std::deque<Emission> emissions_;  ///< In order of `ends`.
    Instant master_quiet_at_;
    Instant message_began_;
    bool cut_ = false;
    std::uint64_t messages_heard_ = 0;
};

}  // namespace house_sim
