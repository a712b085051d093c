#pragma once

#include <optional>
#include <string>

#include "house-sim/car.hpp"
#include "house-sim/line_code.hpp"
#include "house-sim/random.hpp"
#include "scheduling/scheduler.hpp"

namespace house_sim {

/// What a unit's firmware can answer (TWC protocol notes 2.4, 2.6).
enum class Firmware {
    p1,       ///< Protocol 1, up to early 2017: 14-byte messages, no questions answered.
    v4_4_13,  ///< Early protocol 2: energy and voltage in a 16-byte reply.
    v4_5_3,   ///< 2018 to 2019: the 20-byte replies, VIN and serial number.
};

/// A Wall Connector in slave mode, with the oddities seen in the field as switches.
struct WallConnectorConfig {
    std::uint16_t id = 0x7744;
    std::uint8_t sign = 0x52;  ///< A random-looking byte of its announcement.
    double rating_a = 32;      ///< 32 in Europe, 80 in North America.
    Firmware firmware = Firmware::v4_5_3;
    std::string serial;  ///< 11 characters; empty: made from the id.
    int phases = 1;
    int first_phase = 1;  ///< The house phase its L1 hangs on, 1..3.
    double answer_delay_min_s = 0.010;
    double answer_delay_max_s = 0.150;
    std::optional<std::uint8_t> trailing_byte = 0xFC;  ///< What it leaves on the line after a frame.
    double current_offset_a = 0;                       ///< Idle reading, such as 0.25.
    double current_gain = 1;                           ///< Units read up to 5 % high.
    double contactor_opens_after_s = 25;               ///< Of silence; 20 to 30 were seen.
    double lifetime_kwh = 2201;

    bool ignores_first_09 = false;      ///< The first command 09 is lost if it comes before charging.
    bool zero_offer_stops = false;      ///< Command 09 with 0 A: false: the car goes on near 6 A; true: current ends.
    bool chatters_at_zero = false;      ///< Protocol 1: relay clicks when the master answers limit 0 with "no change".
    bool energy_counter_jumps = false;  ///< Reports a counter with a corrupted upper half.
    bool clamps_pilot = false;          ///< Whether the pilot stays inside the rating; nobody has measured it.
};

/// What a unit sees of the car on its plug.
struct CarSignals {
    bool plugged = false;
    bool asleep = false;
    bool wants_power = false;
    double current_a = 0;  ///< per phase
    int phases = 0;        ///< drawing
    std::string vin;
};

/// The unit as a state machine without clock or line: messages in, messages out (notes 5 and 9.4).
class WallConnector {
public:
    using Instant = scheduling::Instant;

    WallConnector(WallConnectorConfig config, std::uint64_t seed, Instant now);

    const WallConnectorConfig& config() const { return config_; }
    std::uint16_t id() const { return id_; }

    /// Lets time pass. `day_s`: simulated seconds, for the energy counter.
    void advance(Instant now, double day_s, const CarSignals& car, const Voltages& voltage_v);

    /// The reply to a message of the master (without checksum); none: not addressed, not understood, or mute.
    std::optional<Bytes> answer(const Bytes& message, Instant now);

    /// Its unsolicited announcement, if one is due.
    std::optional<Bytes> announce(Instant now);
    Instant next_announcement() const { return next_announcement_; }

    /// The current it offers the car, 0 when the contactor is open.
    double pilot_a() const;

    /// As if its reset button had been held.
    void reset(Instant now);

    std::uint8_t state() const { return state_; }
    double limit_a() const { return limit_centiamps_ / 100.0; }
    double lifetime_kwh() const { return lifetime_kwh_; }
    /// Heartbeats arrive; otherwise its light is red.
    bool linked(Instant now) const;
    bool contactor_tripped() const { return tripped_; }
    std::uint64_t trips() const { return trips_; }
    /// A destructive command reached it: it will never answer again.
    bool wrecked() const { return wrecked_; }

private:
    void enter(std::uint8_t state, Instant now);
    void follow_plug(Instant now);
    void follow_link(Instant now);
    void follow_charging(Instant now);
    void follow_rest(Instant now);
    void follow_current(Instant now);
    void follow_adjustment(Instant now);
    bool draws() const;

    std::optional<Bytes> answer_linkready(const Bytes& message, Instant now);
    std::optional<Bytes> answer_addressed(const Bytes& message, Instant now);
    std::optional<Bytes> answer_request(std::uint8_t command);
    std::optional<Bytes> answer_action(std::uint8_t kind, std::uint8_t command);
    std::optional<Bytes> answer_heartbeat(const Bytes& message, Instant now);
    std::optional<Bytes> answer_old_request(std::uint8_t command) const;
    void obey(std::uint8_t command, std::uint16_t centiamps, Instant now);
    void obey_protocol_1(std::uint8_t command, std::uint16_t centiamps, Instant now);
    void obey_protocol_2(std::uint8_t command, std::uint16_t centiamps, Instant now);
    void obey_09(std::uint16_t centiamps, bool is_charging, Instant now);
    void stop_by_zero(Instant now);
    bool set_limit(std::uint16_t centiamps, Instant now);
    void change_identity();

    Bytes heartbeat_reply(std::uint16_t master);
    Bytes power_reply() const;
    Bytes text_reply(std::uint8_t command, const std::string& text) const;
    Bytes reply(std::uint8_t command) const;
    Bytes announcement() const;
    std::uint16_t measured_centiamps();
    bool is_protocol_1() const { return config_.firmware == Firmware::p1; }

    WallConnectorConfig config_;
    Random random_;
    std::uint16_t id_;
    std::uint8_t sign_;
    std::string serial_;
    CarSignals car_;
    Voltages voltage_v_{};

    std::uint8_t state_ = 0;
    Instant state_since_;
    std::uint16_t limit_centiamps_ = 0;
    double adjust_s_ = 0;       ///< How long it shows state 09.
    double pilot_shift_a_ = 0;  ///< Command 07 in progress.
    bool zero_offered_ = false;
    bool first_09_seen_ = false;
    bool contactor_forbidden_ = false;  ///< By command B2.
    bool tripped_ = false;              ///< The contactor opened because the master fell silent.
    bool show_error_once_ = false;
    bool mute_ = false;
    bool wrecked_ = false;
    std::optional<Instant> last_heartbeat_;
    Instant next_announcement_;
    std::uint64_t linkready_requests_ = 0;
    std::uint64_t trips_ = 0;
    double lifetime_kwh_;
};

}  // namespace house_sim
