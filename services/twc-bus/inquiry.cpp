#include "twc-bus/inquiry.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "twc-bus/claim.hpp"

namespace twc_bus {

namespace {

using namespace std::chrono_literals;
using scheduling::Instant;

constexpr auto power_period = 5s;
constexpr auto slow_power_period = 60s;
constexpr int unanswered_power_limit = 5;
constexpr auto retry_period = 60s;
constexpr int most_attempts = 6;
// Short, because until they are over an unplugged car still counts as plugged.
constexpr auto unplug_check_period = 5s;
constexpr int empty_answers_to_unplug = 3;
constexpr int ready_answers_to_unplug = 2;

// No unit has delivered more; some report counters with a corrupted upper half (notes, 3.6).
constexpr std::uint32_t highest_believable_kwh = 1'000'000;
constexpr double highest_power_kw = 80 * 3 * 0.277;
constexpr std::uint32_t counter_tolerance_kwh = 2;
constexpr int doubts_until_believed = 10;

constexpr std::uint8_t ready = 0x00;
constexpr std::uint8_t fault = 0x02;
constexpr std::uint8_t busy = 0x05;
constexpr std::uint8_t last_known_state = 0x0A;

constexpr std::uint16_t live_volts = 80;
// No unit is fed more than 277 V line to neutral.
constexpr std::uint16_t highest_volts = 320;

}  // namespace

void Inquiry::plug_in(Instant now) {
    if (plugged_ == true) {
        return;
    }
    plugged_ = true;
    vin_attempts_ = {.made = 0, .next = now};
    vin_part_ = 1;
    vin_parts_ = {};
    unconfirmed_vin_.clear();
}

void Inquiry::unplug() {
    plugged_ = false;
    vin_.reset();
    vin_attempts_ = {};
    unplug_attempts_ = {};
}

void Inquiry::on_heartbeat(const SlaveHeartbeat& heartbeat, Instant now) {
    if (protocol_ == 0) {
        protocol_ = heartbeat.protocol;
        firmware_attempts_.next = now;
        serial_attempts_.next = now;
        power_attempts_.next = now;
    }
    const bool drawing = heartbeat.drawn_ca >= drawing_ca;
    if (heartbeat.state != ready || drawing) {
        ready_answers_ = 0;
        unplug_attempts_ = {};
        empty_vin_answers_ = 0;
        const bool says_something =
            heartbeat.state != fault && heartbeat.state != busy && heartbeat.state <= last_known_state;
        if (drawing || says_something) {
            plug_in(now);
        }
        return;
    }
    ++ready_answers_;
    if (ready_answers_ < ready_answers_to_unplug || plugged_ == false) {
        return;
    }
    if (!vin_) {
        unplug();
    } else if (!unplug_attempts_.next) {
        unplug_attempts_.next = now;
    }
}

std::optional<Query> Inquiry::due(Instant now) const {
    if (protocol_ != 2) {
        return std::nullopt;
    }
    if (unplug_attempts_.due(now)) {
        return Query::vin_1;
    }
    if (power_attempts_.due(now)) {
        return Query::power;
    }
    if (vin_attempts_.due(now)) {
        constexpr std::array parts{Query::vin_1, Query::vin_2, Query::vin_3};
        return parts.at(static_cast<std::size_t>(vin_part_ - 1));
    }
    if (firmware_attempts_.due(now)) {
        return Query::firmware;
    }
    return serial_attempts_.due(now) ? std::optional(Query::serial) : std::nullopt;
}

void Inquiry::asked(Query query, Instant now) {
    const auto count = [&](Attempts& attempts) {
        ++attempts.made;
        attempts.next = attempts.made < most_attempts ? std::optional(now + retry_period) : std::nullopt;
    };
    switch (query) {
        case Query::power:
            ++power_attempts_.made;
            power_attempts_.next =
                now + (power_attempts_.made > unanswered_power_limit ? slow_power_period : power_period);
            break;
        case Query::firmware:
            count(firmware_attempts_);
            break;
        case Query::serial:
            count(serial_attempts_);
            break;
        case Query::vin_1:
            if (unplug_attempts_.due(now)) {
                ++unplug_attempts_.made;
                const bool urgent = unplug_attempts_.made < most_attempts;
                unplug_attempts_.next = now + (urgent ? unplug_check_period : retry_period);
                break;
            }
            vin_parts_ = {};
            vin_part_ = 2;
            break;
        case Query::vin_2:
            vin_part_ = 3;
            break;
        case Query::vin_3:
            vin_part_ = 1;
            count(vin_attempts_);
            break;
        case Query::plug:
            break;
    }
}

void Inquiry::on_report(const PowerReport& report, Instant now) {
    power_attempts_.made = 0;
    if (std::ranges::any_of(report.volts, [](std::uint16_t volts) { return volts > highest_volts; })) {
        return;  // no mains has that: nothing in it is believed
    }
    accept_counter(report.lifetime_kwh, now);
    volts_ = report.volts;
    const auto live = [](std::uint16_t volts) { return volts >= live_volts; };
    auto phases = std::ranges::count_if(report.volts, live);
    if (report.half_amps) {
        const auto loaded = std::ranges::count_if(*report.half_amps, [](std::uint8_t half) { return half >= 2; });
        phases = loaded > 0 ? loaded : phases;
    }
    if (phases > 0) {
        phases_ = static_cast<int>(phases);
    }
}

void Inquiry::accept_counter(std::uint32_t kwh, Instant now) {
    if (kwh > highest_believable_kwh) {
        return;
    }
    const std::chrono::duration<double, std::ratio<3600>> hours = now - lifetime_at_;
    const auto most = lifetime_kwh_.value_or(kwh) + counter_tolerance_kwh +
                      static_cast<std::uint32_t>(std::max(0.0, hours.count()) * highest_power_kw);
    const bool plausible = !lifetime_kwh_ || (kwh >= *lifetime_kwh_ && kwh <= most);
    if (!plausible) {
        // A unit that insists was replaced or reset; or what we believed first was wrong.
        const bool insists = kwh >= doubted_kwh_ && kwh - doubted_kwh_ <= counter_tolerance_kwh;
        doubted_times_ = insists ? doubted_times_ + 1 : 1;
        doubted_kwh_ = kwh;
        if (doubted_times_ < doubts_until_believed) {
            return;
        }
    }
    doubted_times_ = 0;
    lifetime_kwh_ = kwh;
    lifetime_at_ = now;
}

void Inquiry::on_report(const FirmwareReport& report) {
    const auto& version = report.version;
    firmware_ = fmt::format("{}.{}.{}", version[0], version[1], version[2]);
    if (version[3] != 0) {
        *firmware_ += fmt::format(".{}", version[3]);
    }
    firmware_attempts_.next.reset();
}

void Inquiry::on_report(const SerialReport& report) {
    if (!report.serial.empty()) {
        serial_ = report.serial;
    }
    serial_attempts_.next.reset();
}

void Inquiry::on_report(const VinReport& report, Instant now) {
    vin_heard_at_ = now;
    if (report.part == 1 && unplug_attempts_.next) {
        empty_vin_answers_ = report.text.empty() ? empty_vin_answers_ + 1 : 0;
        if (empty_vin_answers_ >= empty_answers_to_unplug) {
            empty_vin_answers_ = 0;
            unplug();
        } else if (!report.text.empty()) {
            unplug_attempts_ = {.made = most_attempts, .next = now + retry_period};
        }
        return;
    }
    if (vin_attempts_.made == 0 && !vin_attempts_.next) {
        return;  // nobody asked
    }
    vin_parts_.at(static_cast<std::size_t>(report.part - 1)) = report.text;
    if (std::ranges::all_of(vin_parts_, [](const auto& part) { return part.has_value(); })) {
        judge_vin(now);
    }
}

bool Inquiry::vin_is_older_than(scheduling::Duration age, Instant now) const {
    return vin_ && vin_heard_at_ && now - *vin_heard_at_ > age;
}

// The check digit is mandatory in North America only: elsewhere a VIN counts once it was read the same twice.
void Inquiry::judge_vin(Instant now) {
    const std::string vin = *vin_parts_[0] + *vin_parts_[1] + *vin_parts_[2];
    vin_parts_ = {};
    if (!is_vin(vin)) {
        return;
    }
    if (has_valid_check_digit(vin) || vin == unconfirmed_vin_) {
        vin_ = vin;
        vin_attempts_.next.reset();
        return;
    }
    unconfirmed_vin_ = vin;
    vin_attempts_.next = now + retry_period;
}

}  // namespace twc_bus
