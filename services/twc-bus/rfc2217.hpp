#pragma once

#include <bitset>
#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "scheduling/scheduler.hpp"
#include "twc-bus/frame.hpp"

namespace twc_bus {

/// The client's side of one connection to a serial port over Telnet (RFC 854, 855, 856, 858 and 2217): sets the far
/// serial port to 9600 baud, 8 data bits, no parity, 1 stop bit, no flow control, and carries bytes unchanged. Pure.
/// Every option is answered once per change of its state (RFC 1143), so that no server makes it answer for ever.
class Rfc2217 {
public:
    /// The server has this long to agree to COM-PORT-OPTION, and then this long to confirm the settings.
    static constexpr std::chrono::seconds patience{3};
    /// A server that suspends us and does not resume is written to again: chargers need their heartbeats.
    static constexpr std::chrono::seconds longest_suspension{2};

    enum class State {
        negotiating,
        up,
        failed,  ///< `problem` says why; nothing is understood or sent any more.
    };

    /// What bytes of the server come to.
    struct Heard {
        Bytes payload;  ///< From the serial line. What comes before the line is up is dropped: greetings of servers.
        Bytes reply;    ///< To be sent as it is.
    };

    /// Begins a connection; `opening` must be sent as it is.
    explicit Rfc2217(scheduling::Instant now) : deadline_(now + patience) {}
    static Bytes opening();

    Heard receive(std::span<const std::uint8_t> bytes, scheduling::Instant now);

    /// Payload as it must be sent. Empty while the line is not up or the server has suspended us: a frame that comes
    /// late is worth less than none.
    Bytes outgoing(std::span<const std::uint8_t> payload, scheduling::Instant now) const;

    /// When `on_time` wants to be called; none once the line is up or has failed.
    std::optional<scheduling::Instant> deadline() const;
    void on_time(scheduling::Instant now);

    State state() const { return state_; }
    /// Why it failed, what was expected and what to do about it, in words; empty before.
    const std::string& problem() const { return problem_; }
    /// What the server never confirmed, in words, when the line went up all the same; else empty.
    const std::string& unconfirmed() const { return unconfirmed_; }

private:
    enum class Phase { data, command, option, subnegotiation, subnegotiation_command };
    enum class OptionState : std::uint8_t { no, requested, yes };

    /// One direction of the options: ours (WILL, answered by DO) or the server's (DO, answered by WILL).
    struct Side {
        OptionState binary = OptionState::requested;
        OptionState suppress_go_ahead = OptionState::requested;
        OptionState com_port = OptionState::no;
        std::bitset<256> refused{};  ///< Options nobody here knows: answered once.

        OptionState* find(std::uint8_t option);
    };

    void take(std::uint8_t byte, Heard& heard, scheduling::Instant now);
    void take_command(std::uint8_t command, Heard& heard);
    void take_subnegotiation(std::uint8_t byte);
    void negotiate(std::uint8_t option, Heard& heard, scheduling::Instant now);
    static void grant(Side& side, std::uint8_t option, std::uint8_t yes, std::uint8_t no, Heard& heard);
    void withdraw(Side& side, std::uint8_t option, std::uint8_t no, Heard& heard);
    void on_com_port_agreed(Heard& heard, scheduling::Instant now);
    void end_subnegotiation(scheduling::Instant now);
    void check_setting(std::uint8_t answer, std::span<const std::uint8_t> value);
    void go_up_if_confirmed();
    void fail(std::string problem);

    State state_ = State::negotiating;
    Phase phase_ = Phase::data;
    std::uint8_t verb_ = 0;  ///< WILL, WONT, DO or DONT, whose option is still to come.
    Bytes subnegotiation_;   ///< Its first bytes.
    std::size_t subnegotiation_size_ = 0;
    Side ours_{.com_port = OptionState::requested};
    Side theirs_;
    bool settings_sent_ = false;
    bool baud_rate_confirmed_ = false;
    std::optional<scheduling::Instant> suspended_until_;
    scheduling::Instant deadline_;
    std::string problem_;
    std::string unconfirmed_;
};

}  // namespace twc_bus
