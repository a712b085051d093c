#include "twc-bus/transmit_filter.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

namespace twc_bus {

namespace {

UnitId receiver_of(std::span<const std::uint8_t> body) { return static_cast<UnitId>((body[4] << 8) | body[5]); }

std::optional<std::string> refusal_of_heartbeat(std::span<const std::uint8_t> body, const Limits& limits) {
    const std::uint8_t command = body[6];
    const int limit_ca = (body[7] << 8) | body[8];
    const int max_ca = limits.max_ca(receiver_of(body));
    if (command != 0x00 && command != 0x05 && command != 0x08 && command != 0x09) {
        return fmt::format("heartbeat command {:02X} is not on the list", command);
    }
    if (command == 0x00 && limit_ca != 0) {
        return "a heartbeat without change carries a limit";
    }
    if (limit_ca > max_ca) {
        return fmt::format("a limit of {:.2f} A is above the configured {:.2f} A", limit_ca / 100.0, max_ca / 100.0);
    }
    return std::nullopt;
}

}  // namespace

std::optional<std::string> refusal_to_send(std::span<const std::uint8_t> body, const TransmitRules& rules) {
    if (body.size() != 13 && body.size() != 15) {
        return fmt::format("a body of {} bytes", body.size());
    }
    switch ((body[0] << 8) | body[1]) {
        case 0xFCE1:
        case 0xFBE2:
        case 0xFBEB:
        case 0xFBEC:
        case 0xFBED:
        case 0xFBEE:
        case 0xFBEF:
        case 0xFBF1:
            return std::nullopt;
        case 0xFBE0:
            return refusal_of_heartbeat(body, rules.limits);
        case 0xFCB1:
        case 0xFCB2:
            if (!rules.contactor_commands.contains(receiver_of(body))) {
                return fmt::format("{:02X} {:02X} to a charger without stop: contactor", body[0], body[1]);
            }
            return std::nullopt;
        default:
            return fmt::format("{:02X} {:02X} is not on the list", body[0], body[1]);
    }
}

std::optional<std::string> refusal_of_raw(std::span<const std::uint8_t> body) {
    const int word = body.size() < 2 ? 0 : (body[0] << 8) | body[1];
    if (word == 0xFBE0 || word == 0xFCB1 || word == 0xFCB2) {
        return fmt::format("{:02X} {:02X} changes what a charger may draw; publish to bus/limit/set instead", body[0],
                           body[1]);
    }
    return std::nullopt;
}

std::optional<std::string> refusal_to_answer(std::span<const std::uint8_t> body, UnitId own_id, int max_ca) {
    const auto has_length = [&](std::size_t one, std::size_t other) {
        return body.size() == one || body.size() == other;
    };
    const std::size_t size = body.size();
    if (size != 13 && size != 15 && size != 19) {
        return fmt::format("a body of {} bytes", size);
    }
    bool fits = false;
    switch ((body[0] << 8) | body[1]) {
        case 0xFDE2:
        case 0xFDE0:
            fits = has_length(13, 15);
            break;
        case 0xFDEB:
            fits = has_length(15, 19);
            break;
        case 0xFDEC:
            fits = size == 15;
            break;
        case 0xFDED:
        case 0xFDEE:
        case 0xFDEF:
        case 0xFDF1:
            fits = size == 19;
            break;
        default:
            return fmt::format("{:02X} {:02X} is not on the list of a slave", body[0], body[1]);
    }
    if (!fits) {
        return fmt::format("{:02X} {:02X} with a body of {} bytes", body[0], body[1], size);
    }
    if (((body[2] << 8) | body[3]) != own_id) {
        return fmt::format("the sender {:02X}{:02X} is not {}", body[2], body[3], to_text(own_id));
    }
    const int drawn_ca = body[1] == 0xE0 ? (body[9] << 8) | body[10] : 0;
    if (drawn_ca > max_ca) {
        return fmt::format("{:.2f} A drawn are above the rated {:.2f} A", drawn_ca / 100.0, max_ca / 100.0);
    }
    return std::nullopt;
}

bool GuardedLink::write_unless(const std::optional<std::string>& refusal, std::span<const std::uint8_t> body) {
    if (refusal) {
        ++refused_;
        spdlog::error("frame not sent: {}", *refusal);
        return false;
    }
    ++sent_;
    link_.write(encode_frame(body));
    return true;
}

}  // namespace twc_bus
