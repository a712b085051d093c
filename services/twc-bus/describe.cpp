#include "twc-bus/describe.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace twc_bus {

namespace {

constexpr double amps(int ca) { return ca / 100.0; }

const char* name_of(Query query) {
    switch (query) {
        case Query::plug:
            return "plug state";
        case Query::power:
            return "energy and volts";
        case Query::firmware:
            return "firmware";
        case Query::serial:
            return "serial number";
        case Query::vin_1:
            return "VIN, first part";
        case Query::vin_2:
            return "VIN, second part";
        case Query::vin_3:
            return "VIN, third part";
    }
    return "something";
}

std::string order_of(const MasterHeartbeat& heartbeat) {
    const double limit_a = amps(heartbeat.limit_ca);
    switch (heartbeat.command) {
        case command::no_change:
            return "no change";
        case command::initial_limit:
            return fmt::format("limit {:.2f} A (05)", limit_a);
        case command::resume_limit:
            return fmt::format("limit {:.2f} A (08)", limit_a);
        case command::running_limit:
            return fmt::format("limit {:.2f} A (09)", limit_a);
        default:
            return fmt::format("command {:02X} with {:.2f} A", heartbeat.command, limit_a);
    }
}

struct Words {
    std::string operator()(const MasterLinkReady& m) const {
        return fmt::format("master {} is there (stage {}, sign {:02X})", to_text(m.master), m.stage, m.sign);
    }
    std::string operator()(const SlaveLinkReady& m) const {
        return fmt::format("charger {} looks for a master: rated {:.2f} A, protocol {}, sign {:02X}", to_text(m.slave),
                           amps(m.rating_ca), m.protocol, m.sign);
    }
    std::string operator()(const MasterHeartbeat& m) const {
        return fmt::format("{} -> {}: {}", to_text(m.master), to_text(m.slave), order_of(m));
    }
    std::string operator()(const SlaveHeartbeat& m) const {
        return fmt::format("{} -> {}: {} ({:02X}), works to {:.2f} A, draws {:.2f} A", to_text(m.slave),
                           to_text(m.master), state_word(m.state), m.state, amps(m.limit_ca), amps(m.drawn_ca));
    }
    std::string operator()(const Idle& /*message*/) const { return "a master sees nobody"; }
    std::string operator()(const Request& m) const {
        return fmt::format("{} asks {} for {}", to_text(m.master), to_text(m.slave), name_of(m.query));
    }
    std::string operator()(const PowerReport& m) const {
        const std::string currents =
            m.half_amps
                ? fmt::format(", {:.1f} A", fmt::join(std::array{(*m.half_amps)[0] / 2.0, (*m.half_amps)[1] / 2.0,
                                                                 (*m.half_amps)[2] / 2.0},
                                                      " / "))
                : "";
        return fmt::format("{}: {} kWh, {} V{}", to_text(m.sender), m.lifetime_kwh, fmt::join(m.volts, " / "),
                           currents);
    }
    std::string operator()(const FirmwareReport& m) const {
        return fmt::format("{}: firmware {}", to_text(m.slave), fmt::join(m.version, "."));
    }
    std::string operator()(const SerialReport& m) const {
        return fmt::format("{}: serial number \"{}\"", to_text(m.slave), m.serial);
    }
    std::string operator()(const VinReport& m) const {
        return fmt::format("{}: VIN part {} \"{}\"", to_text(m.slave), m.part, m.text);
    }
    std::string operator()(const ContactorCommand& m) const {
        return fmt::format("{} orders {} to {} its contactor", to_text(m.master), to_text(m.slave),
                           m.close ? "close" : "open");
    }
    std::string operator()(const ContactorReport& m) const {
        return fmt::format("{}: was ordered to {} its contactor", to_text(m.slave), m.close ? "close" : "open");
    }
    std::string operator()(const PlugReport& m) const {
        return fmt::format("{}: plug state {:02X}", to_text(m.slave), m.plug);
    }
    std::string operator()(const OldRequest& m) const { return fmt::format("request {:02X} without IDs", m.command); }
    std::string operator()(const OldReport& m) const { return fmt::format("report {:02X} without IDs", m.command); }
};

}  // namespace

const char* state_word(std::uint8_t state) {
    switch (state) {
        case 0x00:
            return "ready";
        case 0x01:
            return "charging";
        case 0x02:
            return "fault";
        case 0x03:
            return "plugged";
        case 0x04:
            return "waiting";
        case 0x05:
            return "busy";
        case 0x06:
        case 0x07:
        case 0x09:
        case 0x0A:
            return "adjusting";
        case 0x08:
            return "starting";
        default:
            return "unknown";
    }
}

std::string describe(const Message& message) { return std::visit(Words{}, message); }

}  // namespace twc_bus
