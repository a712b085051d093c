#pragma once

#include <string>

#include "house-sim/line_code.hpp"

namespace house_sim {

/// "C0 FD E2" as bytes.
inline Bytes bytes(const std::string& hex) {
    Bytes result;
    for (std::size_t i = 0; i < hex.size();) {
        if (hex[i] == ' ') {
            ++i;
            continue;
        }
        result.push_back(static_cast<std::uint8_t>(std::stoul(hex.substr(i, 2), nullptr, 16)));
        i += 2;
    }
    return result;
}

/// What a reader makes of a stream, checksums left out.
inline std::vector<Bytes> messages_in(const Bytes& stream) {
    SegmentReader reader;
    std::vector<Bytes> messages;
    for (const auto byte : stream) {
        if (auto message = reader.add(byte)) {
            messages.push_back(*message);
        }
    }
    return messages;
}

}  // namespace house_sim
