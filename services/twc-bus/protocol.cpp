#include "twc-bus/protocol.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace twc_bus {

namespace {

constexpr std::uint8_t request = 0xFB;
constexpr std::uint8_t announcement = 0xFC;
constexpr std::uint8_t answer = 0xFD;

constexpr std::size_t p1_length = 13;
constexpr std::size_t p2_length = 15;
constexpr std::size_t long_length = 19;

constexpr std::size_t vin_part_length = 7;
constexpr std::size_t vin_tail_length = 3;
constexpr std::size_t serial_length = 11;

using Body = std::span<const std::uint8_t>;

std::uint16_t word(Body body, std::size_t at) { return static_cast<std::uint16_t>((body[at] << 8U) | body[at + 1]); }

void put_word(Bytes& body, std::size_t at, unsigned value) {
    body[at] = static_cast<std::uint8_t>((value >> 8U) & 0xFFU);
    body[at + 1] = static_cast<std::uint8_t>(value & 0xFFU);
}

bool has_short_form(Body body) { return body.size() == p1_length || body.size() == p2_length; }
bool has_request_form(Body body) { return body.size() >= p1_length - 1 && body.size() <= p2_length; }
int protocol_of(Body body) { return body.size() == p1_length ? 1 : 2; }
std::size_t length_of(int protocol) { return protocol == 1 ? p1_length : p2_length; }

// Text ends at the first byte that is not printable: units pad with zeros.
std::string text_at(Body body, std::size_t at, std::size_t length) {
    std::string text;
    for (std::size_t i = at; i < at + length && body[i] > 0x20 && body[i] < 0x7F; ++i) {
        text.push_back(static_cast<char>(body[i]));
    }
    return text;
}

Bytes make_body(std::uint8_t type, std::uint8_t command, std::size_t length) {
    Bytes body(length, 0);
    body[0] = type;
    body[1] = command;
    return body;
}

void put_text(Bytes& body, std::size_t at, std::string_view text, std::size_t longest) {
    const auto shown = text.substr(0, longest);
    std::copy(shown.begin(), shown.end(), body.begin() + static_cast<std::ptrdiff_t>(at));
}

std::optional<Message> decode_master_link_ready(Body body) {
    if (!has_short_form(body)) {
        return std::nullopt;
    }
    return MasterLinkReady{.stage = body[1] == 0xE1 ? 1 : 2,
                           .master = word(body, 2),
                           .sign = body[4],
                           .max_ca = word(body, 5),
                           .length = body.size()};
}

std::optional<Message> decode_slave_link_ready(Body body) {
    if (!has_short_form(body)) {
        return std::nullopt;
    }
    return SlaveLinkReady{
        .slave = word(body, 2), .sign = body[4], .rating_ca = word(body, 5), .protocol = protocol_of(body)};
}

std::optional<Message> decode_master_heartbeat(Body body) {
    if (!has_short_form(body)) {
        return std::nullopt;
    }
    return MasterHeartbeat{.master = word(body, 2),
                           .slave = word(body, 4),
                           .command = body[6],
                           .limit_ca = word(body, 7),
                           .master_plugged = body[9] == 1,
                           .protocol = protocol_of(body)};
}

std::optional<Message> decode_slave_heartbeat(Body body) {
    if (!has_short_form(body)) {
        return std::nullopt;
    }
    return SlaveHeartbeat{.slave = word(body, 2),
                          .master = word(body, 4),
                          .state = body[6],
                          .limit_ca = word(body, 7),
                          .drawn_ca = word(body, 9),
                          .protocol = protocol_of(body)};
}

std::optional<Message> decode_power(Body body) {
    if (body.size() != p2_length && body.size() != long_length) {
        return std::nullopt;
    }
    PowerReport report{.sender = word(body, 2),
                       .lifetime_kwh = (static_cast<std::uint32_t>(word(body, 4)) << 16U) | word(body, 6),
                       .volts = {word(body, 8), word(body, 10), word(body, 12)}};
    if (body.size() == long_length) {
        report.half_amps = {body[14], body[15], body[16]};
    }
    return report;
}

std::optional<Message> decode_vin(Body body) {
    if (body.size() != long_length) {
        return std::nullopt;
    }
    const int part = body[1] == 0xF1 ? 3 : body[1] - 0xED;
    return VinReport{
        .slave = word(body, 2), .part = part, .text = text_at(body, 4, part == 3 ? vin_tail_length : vin_part_length)};
}

std::optional<Message> decode_request(Body body) {
    switch (body[1]) {
        case 0xE0:
            return decode_master_heartbeat(body);
        case 0xE2:
            return decode_master_link_ready(body);
        case 0xB4:
        case 0xEB:
        case 0xEC:
        case 0xED:
        case 0xEE:
        case 0xEF:
        case 0xF1:
            return has_request_form(body) ? std::optional<Message>(Request{.query = static_cast<Query>(body[1]),
                                                                           .master = word(body, 2),
                                                                           .slave = word(body, 4),
                                                                           .length = body.size()})
                                          : std::nullopt;
        case 0x19:
        case 0x1A:
        case 0x1B:
            return has_request_form(body)
                       ? std::optional<Message>(OldRequest{.command = body[1], .length = body.size()})
                       : std::nullopt;
        default:
            return std::nullopt;
    }
}

std::optional<Message> decode_announcement(Body body) {
    if (body[1] == 0xE1) {
        return decode_master_link_ready(body);
    }
    if (body[1] == 0x1D && body.size() == p1_length) {
        return Idle{};
    }
    if ((body[1] == 0xB1 || body[1] == 0xB2) && body.size() == p2_length) {
        return ContactorCommand{.close = body[1] == 0xB1, .master = word(body, 2), .slave = word(body, 4)};
    }
    return std::nullopt;
}

std::optional<Message> decode_short_answer(Body body) {
    switch (body[1]) {
        case 0x19:
        case 0x1A:
        case 0x1B:
            return OldReport{.command = body[1], .payload = Bytes(body.begin() + 2, body.end())};
        case 0xE0:
            return decode_slave_heartbeat(body);
        case 0xE2:
            return decode_slave_link_ready(body);
        default:
            break;
    }
    if (body.size() != p2_length) {
        return std::nullopt;
    }
    switch (body[1]) {
        case 0xB1:
        case 0xB2:
            return ContactorReport{.close = body[1] == 0xB1, .slave = word(body, 2)};
        case 0xB4:
            return PlugReport{.slave = word(body, 2), .plug = body[4]};
        case 0xEB:
            return decode_power(body);
        case 0xEC:
            return FirmwareReport{.slave = word(body, 2), .version = {body[4], body[5], body[6], body[7]}};
        default:
            return std::nullopt;
    }
}

std::optional<Message> decode_long_answer(Body body) {
    switch (body[1]) {
        case 0xEB:
            return decode_power(body);
        case 0xED:
            return SerialReport{.slave = word(body, 2), .serial = text_at(body, 4, serial_length)};
        case 0xEE:
        case 0xEF:
        case 0xF1:
            return decode_vin(body);
        default:
            return std::nullopt;
    }
}

struct Encoder {
    Bytes operator()(const MasterLinkReady& message) const {
        Bytes body = message.stage == 1 ? make_body(announcement, 0xE1, message.length)
                                        : make_body(request, 0xE2, message.length);
        put_word(body, 2, message.master);
        body[4] = message.sign;
        put_word(body, 5, message.max_ca);
        return body;
    }
    Bytes operator()(const SlaveLinkReady& message) const {
        Bytes body = make_body(answer, 0xE2, length_of(message.protocol));
        put_word(body, 2, message.slave);
        body[4] = message.sign;
        put_word(body, 5, static_cast<unsigned>(message.rating_ca));
        return body;
    }
    Bytes operator()(const MasterHeartbeat& message) const {
        Bytes body = make_body(request, 0xE0, length_of(message.protocol));
        put_word(body, 2, message.master);
        put_word(body, 4, message.slave);
        body[6] = message.command;
        put_word(body, 7, message.limit_ca);
        body[9] = message.master_plugged ? 1 : 0;
        return body;
    }
    Bytes operator()(const SlaveHeartbeat& message) const {
        Bytes body = make_body(answer, 0xE0, length_of(message.protocol));
        put_word(body, 2, message.slave);
        put_word(body, 4, message.master);
        body[6] = message.state;
        put_word(body, 7, static_cast<unsigned>(message.limit_ca));
        put_word(body, 9, static_cast<unsigned>(message.drawn_ca));
        return body;
    }
    Bytes operator()(const Idle& /*message*/) const { return make_body(announcement, 0x1D, p1_length); }
    Bytes operator()(const Request& message) const {
        Bytes body = make_body(request, static_cast<std::uint8_t>(message.query), message.length);
        put_word(body, 2, message.master);
        put_word(body, 4, message.slave);
        return body;
    }
    Bytes operator()(const PowerReport& message) const {
        Bytes body = make_body(answer, 0xEB, message.half_amps ? long_length : p2_length);
        put_word(body, 2, message.sender);
        put_word(body, 4, message.lifetime_kwh >> 16U);
        put_word(body, 6, message.lifetime_kwh & 0xFFFFU);
        for (std::size_t phase = 0; phase < 3; ++phase) {
            put_word(body, 8 + 2 * phase, message.volts[phase]);
            if (message.half_amps) {
                body[14 + phase] = (*message.half_amps)[phase];
            }
        }
        return body;
    }
    Bytes operator()(const FirmwareReport& message) const {
        Bytes body = make_body(answer, 0xEC, p2_length);
        put_word(body, 2, message.slave);
        std::copy(message.version.begin(), message.version.end(), body.begin() + 4);
        return body;
    }
    Bytes operator()(const SerialReport& message) const {
        Bytes body = make_body(answer, 0xED, long_length);
        put_word(body, 2, message.slave);
        put_text(body, 4, message.serial, serial_length);
        return body;
    }
    Bytes operator()(const VinReport& message) const {
        Bytes body =
            make_body(answer, static_cast<std::uint8_t>(message.part == 3 ? 0xF1 : 0xED + message.part), long_length);
        put_word(body, 2, message.slave);
        put_text(body, 4, message.text, message.part == 3 ? vin_tail_length : vin_part_length);
        return body;
    }
    Bytes operator()(const ContactorCommand& message) const {
        Bytes body = make_body(announcement, message.close ? 0xB1 : 0xB2, p2_length);
        put_word(body, 2, message.master);
        put_word(body, 4, message.slave);
        return body;
    }
    Bytes operator()(const ContactorReport& message) const {
        Bytes body = make_body(answer, message.close ? 0xB1 : 0xB2, p2_length);
        put_word(body, 2, message.slave);
        return body;
    }
    Bytes operator()(const PlugReport& message) const {
        Bytes body = make_body(answer, 0xB4, p2_length);
        put_word(body, 2, message.slave);
        body[4] = message.plug;
        return body;
    }
    Bytes operator()(const OldRequest& message) const { return make_body(request, message.command, message.length); }
    Bytes operator()(const OldReport& message) const {
        Bytes body = make_body(answer, message.command, 2 + message.payload.size());
        std::ranges::copy(message.payload, body.begin() + 2);
        return body;
    }
};

// The weights and letter values of the check digit are the same for every maker (49 CFR 565.15).
int vin_value(char c) {
    constexpr std::string_view letters = "ABCDEFGHJKLMNPRSTUVWXYZ";
    constexpr std::array values{1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 7, 9, 2, 3, 4, 5, 6, 7, 8, 9};
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    const auto at = letters.find(c);
    return at == std::string_view::npos ? -1 : values.at(at);
}

}  // namespace

std::string to_text(UnitId id) { return fmt::format("{:04x}", id); }

std::optional<UnitId> unit_id_from_text(std::string_view text) {
    if (text.size() != 4) {
        return std::nullopt;
    }
    unsigned id = 0;
    for (const char c : text) {
        constexpr std::string_view digits = "0123456789abcdef";
        const auto digit = digits.find(c >= 'A' && c <= 'F' ? static_cast<char>(c - 'A' + 'a') : c);
        if (digit == std::string_view::npos) {
            return std::nullopt;
        }
        id = id * 16 + static_cast<unsigned>(digit);
    }
    return static_cast<UnitId>(id);
}

bool is_plain(UnitId id) {
    const auto is_special = [](unsigned byte) { return byte == 0xC0 || byte == 0xDB; };
    return id != 0 && id != 0xFFFF && !is_special(id >> 8U) && !is_special(id & 0xFFU);
}

std::optional<Message> decode_message(std::span<const std::uint8_t> body) {
    if (body.size() < p1_length - 1) {
        return std::nullopt;
    }
    if (body[0] == request) {
        return decode_request(body);
    }
    if (body[0] == announcement) {
        return decode_announcement(body);
    }
    if (body[0] != answer) {
        return std::nullopt;
    }
    if (body.size() == long_length) {
        return decode_long_answer(body);
    }
    return has_short_form(body) ? decode_short_answer(body) : std::nullopt;
}

Bytes encode_message(const Message& message) { return std::visit(Encoder{}, message); }

bool is_vin(std::string_view text) {
    constexpr std::size_t vin_length = 17;
    return text.size() == vin_length && std::ranges::all_of(text, [](char c) { return vin_value(c) >= 0; });
}

bool has_valid_check_digit(std::string_view vin) {
    constexpr std::array weights{8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2};
    constexpr int modulus = 11;
    if (!is_vin(vin)) {
        return false;
    }
    int sum = 0;
    for (std::size_t i = 0; i < vin.size(); ++i) {
        sum += vin_value(vin[i]) * weights.at(i);
    }
    const int rest = sum % modulus;
    return vin[8] == (rest == modulus - 1 ? 'X' : static_cast<char>('0' + rest));
}

}  // namespace twc_bus
