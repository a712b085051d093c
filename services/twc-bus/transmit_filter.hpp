#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <string>

#include "twc-bus/allocator.hpp"
#include "twc-bus/byte_link.hpp"
#include "twc-bus/protocol.hpp"

/// The lowest transmit layer. Some frames destroy a Wall Connector for good and no unit clamps a limit to its
/// rating (TWC protocol notes, sections 4 and 8), so everything that is not known to be harmless is refused here.
namespace twc_bus {

/// What depends on the configuration.
struct TransmitRules {
    Limits limits;                        ///< The most each charger is ever offered.
    std::set<UnitId> contactor_commands;  ///< Chargers that may get FC B1 and FC B2.
};

/// Why this body must not be sent; none when it may. Allowed are FC E1, FB E2, FB E0 with command 00, 05, 08 or 09
/// and at most what its receiver may ever have, the requests FB EB, EC, ED, EE, EF and F1, and FC B1 and FC B2 to
/// chargers named for it; each with a body of 13 or 15 bytes.
std::optional<std::string> refusal_to_send(std::span<const std::uint8_t> body, const TransmitRules& rules);

/// Why a body that people typed in must not be sent, beside refusal_to_send; none when it may. Heartbeats and contactor
/// commands are refused: what is granted is decided for all chargers together.
std::optional<std::string> refusal_of_raw(std::span<const std::uint8_t> body);

/// The same for whoever acts as a slave: only what a Wall Connector in slave mode says of itself. Allowed are FD E2,
/// FD E0, FD EB, EC, ED, EE, EF and F1 in the lengths such units use, from `own_id`; in FD E0 no current above `max_ca`
/// may be reported as drawn. Nothing a master says is among them.
std::optional<std::string> refusal_to_answer(std::span<const std::uint8_t> body, UnitId own_id, int max_ca);

/// A byte link that only lets pass what was judged; what is refused is counted and told.
class GuardedLink {
public:
    void open(ByteLink::Handlers handlers) { link_.open(std::move(handlers)); }
    void close() { link_.close(); }

    std::uint64_t sent() const { return sent_; }
    std::uint64_t refused() const { return refused_; }

protected:
    explicit GuardedLink(ByteLink& link) : link_(link) {}

    /// False, and nothing is written, with a refusal.
    bool write_unless(const std::optional<std::string>& refusal, std::span<const std::uint8_t> body);

private:
    ByteLink& link_;
    std::uint64_t sent_ = 0;
    std::uint64_t refused_ = 0;
};

/// The only way to write to the byte link in role `master`.
class Transmitter : public GuardedLink {
public:
    Transmitter(ByteLink& link, TransmitRules rules) : GuardedLink(link), rules_(std::move(rules)) {}

    /// False, and nothing is written, when the body is refused.
    bool send(std::span<const std::uint8_t> body) { return write_unless(refusal(body), body); }

    /// Why it would be refused; none: it would not.
    std::optional<std::string> refusal(std::span<const std::uint8_t> body) const {
        return refusal_to_send(body, rules_);
    }

private:
    TransmitRules rules_;
};

/// The only way to write to the byte link in role `slave`.
class AnswerTransmitter : public GuardedLink {
public:
    /// `max_ca`: what the installation behind is rated for, in hundredths of an amp.
    AnswerTransmitter(ByteLink& link, int max_ca) : GuardedLink(link), max_ca_(max_ca) {}

    /// False, and nothing is written, when the body is refused.
    bool send(std::span<const std::uint8_t> body, UnitId own_id) {
        return write_unless(refusal_to_answer(body, own_id, max_ca_), body);
    }

private:
    int max_ca_;
};

}  // namespace twc_bus
