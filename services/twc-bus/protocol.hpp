#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "twc-bus/frame.hpp"

/// Frame bodies <-> typed messages (TWC protocol notes, section 3). Type, command, length and IDs are judged as one
/// unit, because the checksum does not cover the type byte. Currents are in hundredths of an amp, as on the wire.
namespace twc_bus {

/// The last four digits of the serial number on newer units, opaque on older ones.
using UnitId = std::uint16_t;

/// "7744": four lower-case hexadecimal digits, the id of the charger in every topic.
std::string to_text(UnitId id);
std::optional<UnitId> unit_id_from_text(std::string_view text);
/// An ID to choose: not 0000 or FFFF, and without the bytes C0 and DB, which the bus escapes.
bool is_plain(UnitId id);

/// FC E1 and FB E2: a master says it is there. Unanswered; a slave with the same ID takes another one.
struct MasterLinkReady {
    int stage = 1;  ///< 1: FC E1, 2: FB E2
    UnitId master = 0;
    std::uint8_t sign = 0;
    std::uint16_t max_ca = 0;  ///< Some third-party masters announce a current; Tesla's send zero.
    std::size_t length = 13;   ///< of the body
    bool operator==(const MasterLinkReady&) const = default;
};

/// FD E2: a slave that hears no master, every 10 s. The length of the frame tells the protocol version.
struct SlaveLinkReady {
    UnitId slave = 0;
    std::uint8_t sign = 0;
    int rating_ca = 0;  ///< Hardware rating, neither rotary switch nor wiring.
    int protocol = 2;
    bool operator==(const SlaveLinkReady&) const = default;
};

/// Byte 6 of FB E0 (section 4). Only these four are ever sent.
namespace command {
inline constexpr std::uint8_t no_change = 0x00;
inline constexpr std::uint8_t initial_limit = 0x05;  ///< P1: limit at any time. P2: only until charging begins.
inline constexpr std::uint8_t resume_limit = 0x08;   ///< Answer to slave state 08 with limit 0.
inline constexpr std::uint8_t running_limit = 0x09;  ///< P2: limit while charging.
}  // namespace command

/// FB E0
struct MasterHeartbeat {
    UnitId master = 0;
    UnitId slave = 0;
    std::uint8_t command = command::no_change;
    std::uint16_t limit_ca = 0;
    bool master_plugged = false;
    int protocol = 2;  ///< 1: 13 byte body, 2: 15 byte body.
    bool operator==(const MasterHeartbeat&) const = default;
};

/// FD E0, only ever an answer.
struct SlaveHeartbeat {
    UnitId slave = 0;
    UnitId master = 0;
    std::uint8_t state = 0;  ///< section 5
    int limit_ca = 0;        ///< The limit the slave works to, as it says; not clamped by its rating.
    int drawn_ca = 0;
    int protocol = 2;
    bool operator==(const SlaveHeartbeat&) const = default;
};

/// FC 1D, sent by a real master that sees nobody.
struct Idle {
    bool operator==(const Idle&) const = default;
};

enum class Query : std::uint8_t {
    plug = 0xB4,
    power = 0xEB,
    firmware = 0xEC,
    serial = 0xED,
    vin_1 = 0xEE,
    vin_2 = 0xEF,
    vin_3 = 0xF1,
};

/// FB B4 and FB EB..F1
struct Request {
    Query query = Query::power;
    UnitId master = 0;
    UnitId slave = 0;
    std::size_t length = 15;  ///< of the body
    bool operator==(const Request&) const = default;
};

/// FD EB
struct PowerReport {
    UnitId sender = 0;
    std::uint32_t lifetime_kwh = 0;
    std::array<std::uint16_t, 3> volts{};                    ///< Line to neutral; 0: phase not there.
    std::optional<std::array<std::uint8_t, 3>> half_amps{};  ///< In 0.5 A; the 20 byte form of firmware 4.5.3 only.
    bool operator==(const PowerReport&) const = default;
};

/// FD EC
struct FirmwareReport {
    UnitId slave = 0;
    std::array<std::uint8_t, 4> version{};  ///< major, minor, revision, extended
    bool operator==(const FirmwareReport&) const = default;
};

/// FD ED
struct SerialReport {
    UnitId slave = 0;
    std::string serial;  ///< Up to 11 characters.
    bool operator==(const SerialReport&) const = default;
};

/// FD EE, EF and F1: 7, 7 and 3 characters of the car's VIN; empty when there is none.
struct VinReport {
    UnitId slave = 0;
    int part = 1;
    std::string text;
    bool operator==(const VinReport&) const = default;
};

/// FC B1 and FC B2. Sent only to chargers that are set to be stopped so (StopMeans::contactor).
struct ContactorCommand {
    bool close = false;
    UnitId master = 0;
    UnitId slave = 0;
    bool operator==(const ContactorCommand&) const = default;
};

/// FD B1 and FD B2
struct ContactorReport {
    bool close = false;
    UnitId slave = 0;
    bool operator==(const ContactorReport&) const = default;
};

/// FD B4
struct PlugReport {
    UnitId slave = 0;
    std::uint8_t plug = 0;  ///< 0 unplugged, 1 charging, 3 plugged and not charging
    bool operator==(const PlugReport&) const = default;
};

/// FB 19, 1A and 1B without IDs: serial, model and firmware in their oldest form. Never sent.
struct OldRequest {
    std::uint8_t command = 0x1B;
    std::size_t length = 15;
    bool operator==(const OldRequest&) const = default;
};

/// FD 19, 1A and 1B
struct OldReport {
    std::uint8_t command = 0x1B;
    Bytes payload;
    bool operator==(const OldReport&) const = default;
};

using Message = std::variant<MasterLinkReady, SlaveLinkReady, MasterHeartbeat, SlaveHeartbeat, Idle, Request,
                             PowerReport, FirmwareReport, SerialReport, VinReport, ContactorCommand, ContactorReport,
                             PlugReport, OldRequest, OldReport>;

/// None for a body that is no known message in every respect. Bytes that carry nothing known are not looked at.
std::optional<Message> decode_message(std::span<const std::uint8_t> body);
Bytes encode_message(const Message& message);

/// 17 characters of the VIN alphabet.
bool is_vin(std::string_view text);
/// The ninth character agrees with the rest. Mandatory in North America only.
bool has_valid_check_digit(std::string_view vin);

}  // namespace twc_bus
