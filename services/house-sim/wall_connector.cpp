#include "house-sim/wall_connector.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include <fmt/format.h>

namespace house_sim {

namespace {

using namespace std::chrono_literals;

// First byte of a message.
constexpr std::uint8_t request = 0xFB;
constexpr std::uint8_t action = 0xFC;
constexpr std::uint8_t response = 0xFD;

constexpr std::uint8_t heartbeat = 0xE0;
constexpr std::uint8_t linkready_1 = 0xE1;
constexpr std::uint8_t linkready_2 = 0xE2;

// Body lengths without checksum.
constexpr std::size_t protocol_1_length = 13;
constexpr std::size_t protocol_2_length = 15;
constexpr std::size_t long_length = 19;

// States of a unit (notes 5).
constexpr std::uint8_t ready = 0x00;
constexpr std::uint8_t charging = 0x01;
constexpr std::uint8_t error = 0x02;
constexpr std::uint8_t plugged = 0x03;
constexpr std::uint8_t waiting = 0x04;
constexpr std::uint8_t raising = 0x06;
constexpr std::uint8_t lowering = 0x07;
constexpr std::uint8_t starting = 0x08;
constexpr std::uint8_t adjusting = 0x09;
constexpr std::uint8_t adjusted = 0x0A;

constexpr auto announcement_period = 10s;
constexpr auto link_patience = 10s;
constexpr auto plug_settles = 1s;
constexpr auto raise_lasts = 44s;
constexpr auto lowering_lasts = 10s;
constexpr auto lowering_shown = 13s;
constexpr auto adjusted_shown = 2s;
constexpr auto start_patience = 10s;
constexpr double probe_step_a = 2;
constexpr std::uint16_t probe_step_centiamps = 200;
constexpr std::uint16_t fallback_centiamps = 600;  // what is left of the limit after a stop
constexpr double fallback_a = 6;
constexpr double drawing_a = 0.3;
constexpr double charging_a = 3.6;  // the start phase was seen up to 3.54 A
constexpr double joules_per_kwh = 3.6e6;

constexpr std::uint8_t high(std::uint16_t value) { return static_cast<std::uint8_t>(value >> 8U); }
constexpr std::uint8_t low(std::uint16_t value) { return static_cast<std::uint8_t>(value & 0xFFU); }

std::uint16_t word_at(const Bytes& message, std::size_t index) {
    return static_cast<std::uint16_t>(static_cast<unsigned>(message.at(index)) << 8U | message.at(index + 1));
}

bool is_destructive(std::uint8_t kind, std::uint8_t command) {
    return (kind == action && (command == 0x19 || command == 0x1A)) || (kind == request && command == 0xE8);
}

// The old requests that every unit on the bus answers at once.
bool has_no_ids(const Bytes& message) {
    const std::uint8_t command = message[1];
    return command == 0x19 || command == 0x1A || command == 0x1B || (command == 0xB4 && word_at(message, 2) == 0);
}

// Room for `length` bytes before the checksum, zeros to the end.
Bytes padded(Bytes message, std::size_t length) {
    message.resize(length, 0);
    return message;
}

scheduling::Duration seconds(double value) {
    return std::chrono::duration_cast<scheduling::Duration>(std::chrono::duration<double>(value));
}

}  // namespace

WallConnector::WallConnector(WallConnectorConfig config, std::uint64_t seed, Instant now)
    : config_(std::move(config)),
      random_(seed),
      id_(config_.id),
      sign_(config_.sign),
      serial_(config_.serial.empty() ? fmt::format("A18F000{:04X}", config_.id) : config_.serial),
      state_since_(now),
      next_announcement_(now + seconds(random_.uniform(0.3, 3))),
      lifetime_kwh_(config_.lifetime_kwh) {}

bool WallConnector::linked(Instant now) const { return last_heartbeat_ && now - *last_heartbeat_ < link_patience; }

void WallConnector::enter(std::uint8_t state, Instant now) {
    if (state_ != state) {
        state_ = state;
        state_since_ = now;
    }
}

void WallConnector::advance(Instant now, double day_s, const CarSignals& car, const Voltages& voltage_v) {
    const bool was_plugged = std::exchange(car_, car).plugged;
    voltage_v_ = voltage_v;
    double volts = 0;
    for (int phase = 0; phase < car.phases; ++phase) {
        volts += voltage_v.at(static_cast<std::size_t>(phase));
    }
    lifetime_kwh_ += volts * car.current_a * day_s / joules_per_kwh;
    if (car.plugged != was_plugged) {
        follow_plug(now);
    }
    follow_link(now);
    if (car_.plugged && !tripped_ && !mute_) {
        follow_charging(now);
        follow_adjustment(now);
    }
}

void WallConnector::follow_plug(Instant now) {
    limit_centiamps_ = 0;
    pilot_shift_a_ = 0;
    zero_offered_ = false;
    first_09_seen_ = false;
    contactor_forbidden_ = false;
    tripped_ = false;
    show_error_once_ = false;
    enter(car_.plugged && !car_.asleep ? plugged : ready, now);
    state_since_ = now;
}

void WallConnector::follow_link(Instant now) {
    if (!last_heartbeat_ || tripped_ || now - *last_heartbeat_ < seconds(config_.contactor_opens_after_s)) {
        return;
    }
    if (car_.plugged) {
        tripped_ = true;
        trips_ += car_.current_a > drawing_a ? 1U : 0U;
        show_error_once_ = true;
        limit_centiamps_ = 0;
        pilot_shift_a_ = 0;
        zero_offered_ = false;
        enter(error, now);
    }
}

void WallConnector::follow_charging(Instant now) {
    if (car_.asleep) {
        enter(ready, now);
    } else if (state_ == ready) {
        enter(plugged, now);
    } else if (state_ == plugged || state_ == waiting) {
        follow_rest(now);
    } else {
        follow_current(now);
    }
}

void WallConnector::follow_rest(Instant now) {
    if (zero_offered_) {
        return;
    }
    if (draws()) {
        enter(starting, now);
    } else if (state_ == plugged && car_.wants_power && now - state_since_ >= plug_settles) {
        enter(waiting, now);
    }
}

void WallConnector::follow_current(Instant now) {
    if (!draws() && (!car_.wants_power || pilot_a() <= 0)) {
        if (!is_protocol_1()) {
            limit_centiamps_ = std::min(limit_centiamps_, fallback_centiamps);
        }
        enter(plugged, now);
        return;
    }
    const bool has_started = car_.current_a >= charging_a || (draws() && now - state_since_ >= start_patience);
    if (state_ == starting && has_started) {
        enter(charging, now);
    }
}

bool WallConnector::draws() const { return car_.current_a >= drawing_a; }

void WallConnector::follow_adjustment(Instant now) {
    const auto shown = now - state_since_;
    if (state_ == lowering && shown >= lowering_lasts) {
        pilot_shift_a_ = 0;
    }
    if ((state_ == raising && shown >= raise_lasts) || (state_ == lowering && shown >= lowering_shown)) {
        enter(adjusted, now);
    } else if ((state_ == adjusting && shown >= seconds(adjust_s_)) ||
               (state_ == adjusted && shown >= adjusted_shown)) {
        enter(charging, now);
    }
}

double WallConnector::pilot_a() const {
    if (!car_.plugged || tripped_ || contactor_forbidden_ || mute_) {
        return 0;
    }
    double pilot = limit_a();
    if (is_protocol_1()) {
        return config_.clamps_pilot ? std::min(pilot, config_.rating_a) : pilot;
    }
    if (zero_offered_) {
        return config_.zero_offer_stops ? 0 : fallback_a;
    }
    if (pilot <= 0) {
        return 0;
    }
    pilot = std::max(pilot + pilot_shift_a_, fallback_a);
    return config_.clamps_pilot ? std::min(pilot, config_.rating_a) : pilot;
}

void WallConnector::reset(Instant now) {
    state_ = ready;
    state_since_ = now;
    limit_centiamps_ = 0;
    pilot_shift_a_ = 0;
    zero_offered_ = false;
    first_09_seen_ = false;
    contactor_forbidden_ = false;
    tripped_ = false;
    show_error_once_ = false;
    mute_ = false;
    last_heartbeat_.reset();
    linkready_requests_ = 0;
    next_announcement_ = now + seconds(random_.uniform(0.3, 3));
}

void WallConnector::change_identity() {
    id_ = static_cast<std::uint16_t>(random_.bits());
    sign_ = random_.byte();
}

std::optional<Bytes> WallConnector::answer(const Bytes& message, Instant now) {
    if (mute_ || wrecked_ || message.size() < protocol_1_length - 1) {
        return std::nullopt;
    }
    const std::uint8_t kind = message[0];
    const std::uint8_t command = message[1];
    if (is_destructive(kind, command)) {
        wrecked_ = true;
        return std::nullopt;
    }
    if ((kind == action && command == linkready_1) || (kind == request && command == linkready_2)) {
        return answer_linkready(message, now);
    }
    if (kind == request && has_no_ids(message)) {
        return is_protocol_1() ? std::nullopt : answer_old_request(command);
    }
    return word_at(message, 4) == id_ ? answer_addressed(message, now) : std::nullopt;
}

std::optional<Bytes> WallConnector::answer_addressed(const Bytes& message, Instant now) {
    const bool is_request = message[0] == request;
    if (is_request && message[1] == heartbeat) {
        return answer_heartbeat(message, now);
    }
    if (is_protocol_1()) {
        return std::nullopt;
    }
    return is_request ? answer_request(message[1]) : answer_action(message[0], message[1]);
}

std::optional<Bytes> WallConnector::answer_linkready(const Bytes& message, Instant now) {
    if (word_at(message, 2) == id_) {
        change_identity();
        return std::nullopt;
    }
    // Protocol 1 units were seen to announce themselves from the second FB E2 on (notes 12, row 3).
    linkready_requests_ += message[0] == request ? 1U : 0U;
    const bool announces = message[0] == request && is_protocol_1() && linkready_requests_ > 1 && !linked(now);
    return announces ? std::optional(announcement()) : std::nullopt;
}

std::optional<Bytes> WallConnector::answer_heartbeat(const Bytes& message, Instant now) {
    last_heartbeat_ = now;
    next_announcement_ = now + announcement_period;
    const std::uint8_t command = message.at(6);
    const std::uint16_t centiamps = word_at(message, 7);
    if (command == 0x02 && (message[7] & 0x07U) != 0) {
        enter(error, now);
        Bytes last_words = heartbeat_reply(word_at(message, 2));
        mute_ = true;
        return last_words;
    }
    obey(command, centiamps, now);
    Bytes answer = heartbeat_reply(word_at(message, 2));
    if (tripped_) {
        show_error_once_ = false;
        enter(starting, now);  // stays there until a new limit arrives
    }
    return answer;
}

void WallConnector::obey(std::uint8_t command, std::uint16_t centiamps, Instant now) {
    if (tripped_ && (command == 0x05 || command == 0x08 || command == 0x09) && centiamps > 0 && !show_error_once_) {
        tripped_ = false;
        limit_centiamps_ = centiamps;
        enter(waiting, now);
        return;
    }
    if (tripped_) {
        return;
    }
    if (is_protocol_1()) {
        obey_protocol_1(command, centiamps, now);
    } else {
        obey_protocol_2(command, centiamps, now);
    }
}

void WallConnector::obey_protocol_1(std::uint8_t command, std::uint16_t centiamps, Instant now) {
    if (command == 0x05 || command == 0x08) {
        limit_centiamps_ = centiamps;
        if (centiamps == 0 && car_.plugged && !car_.asleep) {
            zero_offered_ = true;
            enter(plugged, now);
        } else if (centiamps > 0) {
            zero_offered_ = false;
        }
    } else if (command == 0x00 && config_.chatters_at_zero && zero_offered_ && car_.plugged) {
        // Each second: 01 with limit 0, then 03 with limit 6.00, and the relay clicks (notes 5.1).
        const bool rests = state_ == plugged;
        limit_centiamps_ = rests ? 0 : fallback_centiamps;
        enter(rests ? charging : plugged, now);
    }
}

void WallConnector::obey_protocol_2(std::uint8_t command, std::uint16_t centiamps, Instant now) {
    const bool is_charging =
        state_ == charging || state_ == adjusting || state_ == raising || state_ == lowering || state_ == adjusted;
    if (!is_charging && (command == 0x05 || command == 0x08)) {
        set_limit(centiamps, now);
    } else if (is_charging && command == 0x06 && state_ != raising) {
        limit_centiamps_ = static_cast<std::uint16_t>(limit_centiamps_ + probe_step_centiamps);
        enter(raising, now);
    } else if (is_charging && command == 0x07 && state_ != lowering) {
        pilot_shift_a_ = -probe_step_a;
        enter(lowering, now);
    } else if (command == 0x09) {
        obey_09(centiamps, is_charging, now);
    }
}

void WallConnector::obey_09(std::uint16_t centiamps, bool is_charging, Instant now) {
    const bool is_lost = config_.ignores_first_09 && !first_09_seen_ && !is_charging && centiamps > 0;
    first_09_seen_ = first_09_seen_ || centiamps > 0;
    if (is_lost) {
        return;
    }
    const bool has_changed = set_limit(centiamps, now);
    if (has_changed && (is_charging || (draws() && state_ == plugged))) {
        adjust_s_ = random_.uniform(6, 10);
        enter(adjusting, now);
        state_since_ = now;
    }
}

// True when a limit above zero changed.
bool WallConnector::set_limit(std::uint16_t centiamps, Instant now) {
    if (centiamps == 0) {
        stop_by_zero(now);
        return false;
    }
    zero_offered_ = false;
    pilot_shift_a_ = 0;
    return std::exchange(limit_centiamps_, centiamps) != centiamps;
}

void WallConnector::stop_by_zero(Instant now) {
    if (zero_offered_) {
        return;
    }
    if (car_.plugged && draws()) {
        zero_offered_ = true;
        limit_centiamps_ = fallback_centiamps;
        enter(plugged, now);
    } else {
        limit_centiamps_ = 0;
    }
}

std::uint16_t WallConnector::measured_centiamps() {
    // The last digits of a real reading move all the time while current flows.
    const double jitter = draws() ? random_.uniform(-0.04, 0.04) : 0;
    const double shown = car_.current_a * config_.current_gain + config_.current_offset_a + jitter;
    return static_cast<std::uint16_t>(std::lround(std::clamp(shown * 100, 0.0, 65535.0)));
}

Bytes WallConnector::heartbeat_reply(std::uint16_t master) {
    const std::uint16_t drawn = measured_centiamps();
    return padded({response, heartbeat, high(id_), low(id_), high(master), low(master), state_, high(limit_centiamps_),
                   low(limit_centiamps_), high(drawn), low(drawn)},
                  is_protocol_1() ? protocol_1_length : protocol_2_length);
}

std::optional<Bytes> WallConnector::answer_request(std::uint8_t command) {
    const bool is_newest = config_.firmware == Firmware::v4_5_3;
    constexpr std::size_t vin_part = 7;
    if (command == 0xEB) {
        return power_reply();
    }
    if (command == 0xB4) {
        return answer_old_request(command);
    }
    if (!is_newest) {
        return std::nullopt;
    }
    const std::string vin = car_.plugged && !car_.asleep ? car_.vin : "";
    switch (command) {
        case 0xEC: {
            Bytes firmware = reply(command);
            firmware.insert(firmware.end(), {4, 5, 3, 0});
            return padded(std::move(firmware), protocol_2_length);
        }
        case 0xED:
            return text_reply(command, serial_);
        case 0xEE:
            return text_reply(command, vin.substr(0, vin_part));
        case 0xEF:
            return text_reply(command, vin.size() > vin_part ? vin.substr(vin_part, vin_part) : "");
        case 0xF1:
            return text_reply(command, vin.size() > 2 * vin_part ? vin.substr(2 * vin_part) : "");
        default:
            return std::nullopt;
    }
}

std::optional<Bytes> WallConnector::answer_action(std::uint8_t kind, std::uint8_t command) {
    const bool known = kind == action && config_.firmware == Firmware::v4_5_3 && (command == 0xB1 || command == 0xB2);
    if (!known) {
        return std::nullopt;
    }
    contactor_forbidden_ = command == 0xB2;
    return padded(reply(command), protocol_2_length);
}

std::optional<Bytes> WallConnector::answer_old_request(std::uint8_t command) const {
    const auto with_text = [](std::uint8_t code, const std::string& text) {
        Bytes message{response, code};
        message.insert(message.end(), text.begin(), text.end());
        return message;
    };
    switch (command) {
        case 0x19:
            return padded(with_text(command, serial_), protocol_1_length);
        case 0x1A:
            return padded(with_text(command, config_.rating_a > 40 ? "EVWTS80HL" : "EVW2T32HL"), protocol_2_length);
        case 0x1B: {
            const bool newest = config_.firmware == Firmware::v4_5_3;
            return padded({response, command, 4, static_cast<std::uint8_t>(newest ? 5 : 4),
                           static_cast<std::uint8_t>(newest ? 3 : 13)},
                          protocol_2_length);
        }
        default:
            break;
    }
    const std::uint8_t drawing_state = draws() ? 1 : 3;
    Bytes plug = reply(command);
    plug.push_back(car_.plugged ? drawing_state : std::uint8_t{0});
    return padded(std::move(plug), protocol_2_length);
}

Bytes WallConnector::reply(std::uint8_t command) const { return {response, command, high(id_), low(id_)}; }

Bytes WallConnector::text_reply(std::uint8_t command, const std::string& text) const {
    Bytes message = reply(command);
    message.insert(message.end(), text.begin(), text.end());
    return padded(std::move(message), long_length);
}

Bytes WallConnector::power_reply() const {
    Bytes message = reply(0xEB);
    constexpr std::uint32_t corrupted_upper_half = 0x400000;
    const auto kwh =
        static_cast<std::uint32_t>(lifetime_kwh_) + (config_.energy_counter_jumps ? corrupted_upper_half : 0);
    for (const unsigned shift : {24U, 16U, 8U, 0U}) {
        message.push_back(static_cast<std::uint8_t>(kwh >> shift));
    }
    for (std::size_t phase = 0; phase < 3; ++phase) {
        const bool wired = static_cast<int>(phase) < config_.phases;
        const auto volts = static_cast<std::uint16_t>(wired ? std::lround(voltage_v_.at(phase)) : 0);
        message.push_back(high(volts));
        message.push_back(low(volts));
    }
    if (config_.firmware != Firmware::v4_5_3) {
        return padded(std::move(message), protocol_2_length);
    }
    for (int phase = 0; phase < 3; ++phase) {
        const double amps = phase < car_.phases ? car_.current_a : 0;
        message.push_back(static_cast<std::uint8_t>(std::lround(std::clamp(amps * 2, 0.0, 255.0))));
    }
    return padded(std::move(message), long_length);
}

Bytes WallConnector::announcement() const {
    const auto rating = static_cast<std::uint16_t>(std::lround(config_.rating_a * 100));
    return padded({response, linkready_2, high(id_), low(id_), sign_, high(rating), low(rating)},
                  is_protocol_1() ? protocol_1_length : protocol_2_length);
}

std::optional<Bytes> WallConnector::announce(Instant now) {
    if (now < next_announcement_) {
        return std::nullopt;
    }
    next_announcement_ = std::max(next_announcement_ + announcement_period, now);
    if (mute_ || wrecked_) {
        return std::nullopt;
    }
    return announcement();
}

}  // namespace house_sim
