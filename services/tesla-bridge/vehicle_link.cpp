#include "tesla-bridge/vehicle_link.hpp"

namespace tesla_bridge {

const char* to_word(CommandKind kind) {
    switch (kind) {
        case CommandKind::charge_start:
            return "charge_start";
        case CommandKind::charge_stop:
            return "charge_stop";
        case CommandKind::set_amps:
            return "set_amps";
        case CommandKind::set_limit:
            return "set_limit";
        case CommandKind::wake:
            return "wake";
    }
    return "unknown";
}

std::string to_words(const Command& command) {
    const bool has_value = command.kind == CommandKind::set_amps || command.kind == CommandKind::set_limit;
    return has_value ? std::string(to_word(command.kind)) + " " + std::to_string(command.value) : to_word(command.kind);
}

}  // namespace tesla_bridge
