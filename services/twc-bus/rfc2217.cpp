#include "twc-bus/rfc2217.hpp"

#include <algorithm>
#include <array>
#include <initializer_list>
#include <string_view>
#include <utility>

#include <fmt/format.h>

namespace twc_bus {

namespace {

// RFC 854, 855
constexpr std::uint8_t subnegotiation_end = 240;
constexpr std::uint8_t subnegotiation_begin = 250;
constexpr std::uint8_t will = 251;
constexpr std::uint8_t wont = 252;
constexpr std::uint8_t please_do = 253;
constexpr std::uint8_t please_dont = 254;
constexpr std::uint8_t iac = 255;

// Options: RFC 856, 858, 2217
constexpr std::uint8_t binary = 0;
constexpr std::uint8_t suppress_go_ahead = 3;
constexpr std::uint8_t com_port = 44;

// Commands of COM-PORT-OPTION as the client sends them; the server's answers are 100 above.
constexpr std::uint8_t set_baud_rate = 1;
constexpr std::uint8_t set_data_size = 2;
constexpr std::uint8_t set_parity = 3;
constexpr std::uint8_t set_stop_size = 4;
constexpr std::uint8_t set_control = 5;
constexpr std::uint8_t purge_data = 12;
constexpr std::uint8_t from_server = 100;
constexpr std::uint8_t suspend = from_server + 8;
constexpr std::uint8_t resume = from_server + 9;

constexpr std::uint32_t baud_rate = 9600;

struct Setting {
    std::uint8_t command;
    std::uint32_t value;
    std::size_t size;             ///< Bytes of the value, most significant first.
    std::string_view difference;  ///< How to call another value; empty: not worth a word.
};

constexpr std::array<Setting, 6> settings{{
    {set_baud_rate, baud_rate, 4, "{} baud, expected 9600"},
    {set_data_size, 8, 1, "{} data bits, expected 8"},
    {set_parity, 1, 1, "parity {} of RFC 2217, expected 1, which is none"},
    {set_stop_size, 1, 1, "stop size {} of RFC 2217, expected 1, which is one bit"},
    {set_control, 1, 1, ""},  // no flow control; an adapter without the wires has none anyway
    {purge_data, 3, 1, ""},   // both directions: nothing from before comes out now
}};

// Longer than any that is understood. Beyond `endless` its end is not believed to come: all data would be swallowed.
constexpr std::size_t longest_subnegotiation = 64;
constexpr std::size_t endless_subnegotiation = 1024;

void append_escaped(Bytes& bytes, std::uint8_t byte) {
    bytes.push_back(byte);
    if (byte == iac) {
        bytes.push_back(iac);
    }
}

void append(Bytes& bytes, std::initializer_list<std::uint8_t> more) { bytes.insert(bytes.end(), more); }

void append_setting(Bytes& bytes, const Setting& setting) {
    append(bytes, {iac, subnegotiation_begin, com_port, setting.command});
    for (std::size_t i = setting.size; i-- > 0;) {
        append_escaped(bytes, static_cast<std::uint8_t>(setting.value >> (8 * i)));
    }
    append(bytes, {iac, subnegotiation_end});
}

}  // namespace

Rfc2217::OptionState* Rfc2217::Side::find(std::uint8_t option) {
    switch (option) {
        case twc_bus::binary:
            return &binary;
        case twc_bus::suppress_go_ahead:
            return &suppress_go_ahead;
        case twc_bus::com_port:
            return &com_port;
        default:
            return nullptr;
    }
}

Bytes Rfc2217::opening() {
    return {iac, will, binary,  iac, please_do, binary, iac, will, suppress_go_ahead, iac, please_do, suppress_go_ahead,
            iac, will, com_port};
}

Rfc2217::Heard Rfc2217::receive(std::span<const std::uint8_t> bytes, scheduling::Instant now) {
    Heard heard;
    if (state_ == State::failed) {
        return heard;
    }
    for (const auto byte : bytes) {
        take(byte, heard, now);
        if (state_ == State::failed) {
            return {};
        }
    }
    return heard;
}

void Rfc2217::take(std::uint8_t byte, Heard& heard, scheduling::Instant now) {
    switch (phase_) {
        case Phase::data:
            if (byte == iac) {
                phase_ = Phase::command;
            } else if (state_ == State::up) {
                heard.payload.push_back(byte);
            }
            break;
        case Phase::command:
            take_command(byte, heard);
            break;
        case Phase::option:
            phase_ = Phase::data;
            negotiate(byte, heard, now);
            break;
        case Phase::subnegotiation:
            if (byte == iac) {
                phase_ = Phase::subnegotiation_command;
            } else {
                take_subnegotiation(byte);
            }
            break;
        case Phase::subnegotiation_command:
            if (byte == iac) {
                phase_ = Phase::subnegotiation;
                take_subnegotiation(byte);
            } else if (byte == subnegotiation_end) {
                phase_ = Phase::data;
                end_subnegotiation(now);
            } else {  // it was never ended: its content is worth nothing, the new command counts
                take_command(byte, heard);
            }
            break;
    }
}

void Rfc2217::take_command(std::uint8_t command, Heard& heard) {
    phase_ = Phase::data;
    switch (command) {
        case iac:
            if (state_ == State::up) {
                heard.payload.push_back(iac);
            }
            break;
        case will:
        case wont:
        case please_do:
        case please_dont:
            verb_ = command;
            phase_ = Phase::option;
            break;
        case subnegotiation_begin:
            subnegotiation_.clear();
            subnegotiation_size_ = 0;
            phase_ = Phase::subnegotiation;
            break;
        default:  // NOP, GA and others that mean nothing on a serial line
            break;
    }
}

void Rfc2217::take_subnegotiation(std::uint8_t byte) {
    ++subnegotiation_size_;
    if (subnegotiation_size_ <= longest_subnegotiation) {
        subnegotiation_.push_back(byte);
    } else if (subnegotiation_size_ > endless_subnegotiation) {
        fail("sends a Telnet subnegotiation without an end; expected an RFC 2217 server");
    }
}

void Rfc2217::negotiate(std::uint8_t option, Heard& heard, scheduling::Instant now) {
    switch (verb_) {
        case please_do:
            grant(ours_, option, will, wont, heard);
            break;
        case please_dont:
            withdraw(ours_, option, wont, heard);
            break;
        case will:
            grant(theirs_, option, please_do, please_dont, heard);
            break;
        default:
            withdraw(theirs_, option, please_dont, heard);
            break;
    }
    if (ours_.com_port == OptionState::yes && !settings_sent_) {
        on_com_port_agreed(heard, now);
    }
    go_up_if_confirmed();
}

void Rfc2217::grant(Side& side, std::uint8_t option, std::uint8_t yes, std::uint8_t no, Heard& heard) {
    auto* const known = side.find(option);
    if (known == nullptr) {
        if (!side.refused.test(option)) {
            side.refused.set(option);
            append(heard.reply, {iac, no, option});
        }
        return;
    }
    if (*known == OptionState::no) {
        append(heard.reply, {iac, yes, option});
    }
    *known = OptionState::yes;
}

void Rfc2217::withdraw(Side& side, std::uint8_t option, std::uint8_t no, Heard& heard) {
    auto* const known = side.find(option);
    if (known == nullptr) {
        return;  // never agreed to
    }
    if (*known == OptionState::yes) {
        append(heard.reply, {iac, no, option});
    }
    *known = OptionState::no;
    if (option == com_port && &side == &ours_) {
        fail(
            "refuses COM-PORT-OPTION (RFC 2217), expected a server that sets the serial port; if it carries raw "
            "bytes, set its port to 9600 8N1 and use tcp:// here");
    } else if (option == binary) {
        fail(
            "refuses binary transmission (RFC 856), so bytes would be changed on their way; expected a server that "
            "carries every byte, or raw bytes with tcp://");
    }
}

void Rfc2217::on_com_port_agreed(Heard& heard, scheduling::Instant now) {
    settings_sent_ = true;
    deadline_ = now + patience;
    for (const auto& setting : settings) {
        append_setting(heard.reply, setting);
    }
}

void Rfc2217::end_subnegotiation(scheduling::Instant now) {
    if (subnegotiation_size_ > longest_subnegotiation || subnegotiation_.size() < 2 ||
        subnegotiation_.front() != com_port || !settings_sent_) {
        return;
    }
    const auto command = subnegotiation_[1];
    if (command == set_baud_rate) {
        fail(
            "sends our own bytes back, expected the answers of an RFC 2217 server; if it carries raw bytes, use tcp:// "
            "here");
    } else if (command == suspend) {
        if (!suspended_until_) {  // once per resume, so that repetitions add up to no longer silence
            suspended_until_ = now + longest_suspension;
        }
    } else if (command == resume) {
        suspended_until_.reset();
    } else {
        check_setting(command, std::span(subnegotiation_).subspan(2));
    }
}

// Answers that are no settings (signatures, states of modem and line) are of no use to us.
void Rfc2217::check_setting(std::uint8_t answer, std::span<const std::uint8_t> value) {
    const auto* const setting = std::find_if(settings.begin(), settings.end(), [&](const Setting& candidate) {
        return candidate.command + from_server == answer && candidate.size == value.size();
    });
    if (setting == settings.end() || setting->difference.empty()) {
        return;
    }
    std::uint32_t got = 0;
    for (const auto byte : value) {
        got = (got << 8U) | byte;
    }
    if (got != setting->value) {
        fail(fmt::format("answers with {}; set its serial port to 9600 8N1 or allow clients to change it",
                         fmt::format(fmt::runtime(setting->difference), got)));
        return;
    }
    baud_rate_confirmed_ = baud_rate_confirmed_ || setting->command == set_baud_rate;
    go_up_if_confirmed();
}

void Rfc2217::go_up_if_confirmed() {
    if (state_ == State::negotiating && baud_rate_confirmed_ && ours_.binary == OptionState::yes &&
        theirs_.binary == OptionState::yes) {
        state_ = State::up;
    }
}

Bytes Rfc2217::outgoing(std::span<const std::uint8_t> payload, scheduling::Instant now) const {
    Bytes bytes;
    if (state_ != State::up || (suspended_until_ && now < *suspended_until_)) {
        return bytes;
    }
    bytes.reserve(payload.size() * 2);
    for (const auto byte : payload) {
        append_escaped(bytes, byte);
    }
    return bytes;
}

std::optional<scheduling::Instant> Rfc2217::deadline() const {
    return state_ == State::negotiating ? std::optional(deadline_) : std::nullopt;
}

void Rfc2217::on_time(scheduling::Instant now) {
    if (state_ != State::negotiating || now < deadline_) {
        return;
    }
    if (!settings_sent_) {
        fail(
            "does not answer the negotiation of COM-PORT-OPTION (RFC 2217), expected an answer within 3 s; if it "
            "carries raw bytes, use tcp:// here");
        return;
    }
    unconfirmed_ = baud_rate_confirmed_ ? "binary transmission" : "9600 baud";
    state_ = State::up;
}

void Rfc2217::fail(std::string problem) {
    state_ = State::failed;
    problem_ = std::move(problem);
}

}  // namespace twc_bus
