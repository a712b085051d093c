#pragma once

#include <cmath>
#include <cstdint>

namespace house_sim {

/// Random numbers that are the same on every machine for the same seed (the distributions of the standard library
/// are not). SplitMix64.
class Random {
public:
    explicit Random(std::uint64_t seed) : state_(seed) {}

    std::uint64_t bits() {
        state_ += 0x9E3779B97F4A7C15U;
        std::uint64_t mixed = state_;
        mixed = (mixed ^ (mixed >> 30U)) * 0xBF58476D1CE4E5B9U;
        mixed = (mixed ^ (mixed >> 27U)) * 0x94D049BB133111EBU;
        return mixed ^ (mixed >> 31U);
    }
    double uniform(double min, double max) { return min + (max - min) * static_cast<double>(bits() >> 11U) * 0x1p-53; }
    double exponential(double mean) { return -mean * std::log1p(-uniform(0, 1)); }
    bool chance(double probability) { return uniform(0, 1) < probability; }
    std::uint8_t byte() { return static_cast<std::uint8_t>(bits() >> 56U); }

    /// An independent stream, so that what one model draws does not shift what another one sees.
    static Random stream(std::uint64_t seed, std::uint64_t number) {
        Random mixer(seed ^ (number * 0xD1342543DE82EF95U));
        return Random(mixer.bits());
    }

private:
    std::uint64_t state_;
};

}  // namespace house_sim
