#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "twc-bus/byte_link.hpp"

/// The lowest transmit layer. Some frames destroy a Wall Connector for good and no unit clamps a limit to its
/// rating (TWC protocol notes, sections 4 and 8), so everything that is not known to be harmless is refused here.
namespace twc_bus {

/// Why this body must not be sent; none when it may. Allowed are FC E1, FB E2, FB E0 with command 00, 05, 08 or 09
/// and at most `max_ca`, and the requests FB EB, EC, ED, EE, EF and F1; each with a body of 13 or 15 bytes.
std::optional<std::string> refusal_to_send(std::span<const std::uint8_t> body, int max_ca);

/// The only way to write to the byte link.
class Transmitter {
public:
    /// `max_ca`: the most any charger may ever be offered, in hundredths of an amp.
    Transmitter(ByteLink& link, int max_ca) : link_(link), max_ca_(max_ca) {}

    /// False, and nothing is written, when the body is refused.
    bool send(std::span<const std::uint8_t> body);

    void open(ByteLink::Handlers handlers) { link_.open(std::move(handlers)); }
    void close() { link_.close(); }

    std::uint64_t sent() const { return sent_; }
    std::uint64_t refused() const { return refused_; }

private:
    ByteLink& link_;
    int max_ca_;
    std::uint64_t sent_ = 0;
    std::uint64_t refused_ = 0;
};

}  // namespace twc_bus
