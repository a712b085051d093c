#include "twc-bus/slave_unit.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace twc_bus {

namespace {

using namespace std::chrono_literals;
using scheduling::Instant;

// A master needs a moment to let go of the line; the byte behind its frame is that moment (notes, 2.1).
constexpr auto answer_delay = 3ms;
constexpr auto answer_delay_at_most = 20ms;
// Later than that the master has given up on the answer and may be talking to someone else.
constexpr auto answer_is_useless_after = 150ms;

constexpr auto announce_period = 10s;
constexpr auto announces_after_silence = 10s;
constexpr auto contactor_opens_after = 25s;
constexpr auto quiet_after_bytes = 20ms;
// Somebody else was asked something: the line belongs to the answer.
constexpr auto quiet_for_answer = 300ms;

constexpr auto echo_within = 5s;
constexpr auto impostor_within = 60s;

constexpr auto settling_time = 6s;
constexpr auto raise_lasts = 44s;
constexpr auto draw_less_for = 10s;
constexpr auto lower_lasts = 13s;
constexpr auto finished_shown_for = 10s;
constexpr int probe_ca = 200;

constexpr std::uint8_t error_command = 0x02;
constexpr std::uint8_t raise_command = 0x06;
constexpr std::uint8_t lower_command = 0x07;

constexpr std::uint8_t charging_state = 0x01;
constexpr std::uint8_t error_state = 0x02;
constexpr std::uint8_t stopped_state = 0x03;
constexpr std::uint8_t asking_state = 0x04;
constexpr std::uint8_t raised_state = 0x06;
constexpr std::uint8_t lowered_state = 0x07;
constexpr std::uint8_t asking_again_state = 0x08;
constexpr std::uint8_t settling_state = 0x09;
constexpr std::uint8_t finished_state = 0x0A;

constexpr int highest_word = 0xFFFF;

constexpr double amps(int ca) { return ca / 100.0; }

// Looks random, differs with the ID, and is the same after every start.
std::uint8_t sign_of(UnitId id) {
    const unsigned mixed = (id >> 8U) ^ (id & 0xFFU) ^ 0x5AU;
    return static_cast<std::uint8_t>(mixed == 0 ? 1 : mixed);
}

// Two units that were switched on together must not talk over each other for ever.
scheduling::Duration first_announcement_after(UnitId id) { return 500ms + (id % 128) * 8ms; }

UnitId id_after(UnitId id) {
    do {
        id = static_cast<UnitId>(id + 1);
    } while (!is_plain(id));
    return id;
}

struct SenderOfAnswer {
    std::optional<UnitId> operator()(const SlaveLinkReady& message) const { return message.slave; }
    std::optional<UnitId> operator()(const SlaveHeartbeat& message) const { return message.slave; }
    std::optional<UnitId> operator()(const PowerReport& message) const { return message.sender; }
    std::optional<UnitId> operator()(const FirmwareReport& message) const { return message.slave; }
    std::optional<UnitId> operator()(const SerialReport& message) const { return message.slave; }
    std::optional<UnitId> operator()(const VinReport& message) const { return message.slave; }
    template <class Other>
    std::optional<UnitId> operator()(const Other& /*message*/) const {
        return std::nullopt;
    }
};

}  // namespace

SlaveUnit::SlaveUnit(const SlaveSettings& settings, const Mains& mains, double energy_kwh, Instant now)
    : settings_(settings),
      mains_(mains),
      id_(settings.id),
      sign_(sign_of(settings.id)),
      state_(asking_state),
      energy_kwh_(energy_kwh),
      counted_to_(now),
      announce_at_(now),
      line_free_at_(now) {}

// --- what it is allowed and what it says -------------------------------------------------------------------------

int SlaveUnit::granted_ca() const {
    if (fault_ || contactor_open_ || !heard_at_) {
        return 0;
    }
    const int usable_ca = std::min(limit_ca_, settings_.rating_ca);
    return draws_less_until_ ? std::max(0, usable_ca - probe_ca) : usable_ca;
}

int SlaveUnit::drawn_ca() const { return std::min(settings_.drawn_ca.value_or(highest_word), granted_ca()); }

bool SlaveUnit::is_charging() const {
    return state_ == charging_state || state_ == raised_state || state_ == lowered_state || state_ == settling_state ||
           state_ == finished_state;
}

PowerReport SlaveUnit::power_report() const {
    constexpr int half_amp_ca = 50;
    PowerReport report{.sender = id_, .lifetime_kwh = static_cast<std::uint32_t>(energy_kwh_)};
    report.half_amps.emplace();
    for (std::size_t phase = 0; phase < static_cast<std::size_t>(mains_.phases); ++phase) {
        report.volts.at(phase) = static_cast<std::uint16_t>(std::lround(mains_.voltage_v));
        report.half_amps->at(phase) = static_cast<std::uint8_t>(drawn_ca() / half_amp_ca);
    }
    return report;
}

Standing SlaveUnit::standing(Instant now) const {
    if (!master_) {
        return Standing::no_master;
    }
    if (fault_) {
        return Standing::error;
    }
    if (!heard_at_) {
        return Standing::gone;
    }
    if (now - *heard_at_ >= announces_after_silence) {
        return Standing::silent;
    }
    if (contactor_open_) {
        return Standing::disconnected;
    }
    if (limit_ca_ > 0) {
        return Standing::granted;
    }
    return state_ == stopped_state ? Standing::stopped : Standing::asks;
}

std::string SlaveUnit::words(Instant now) const {
    std::string who = "slave " + to_text(id_);
    if (id_was_taken_) {
        who += fmt::format(" ({} is taken)", to_text(settings_.id));
    }
    const auto master = to_text(master_.value_or(0));
    switch (standing(now)) {
        case Standing::no_master:
            return who + ": no master is heard";
        case Standing::asks:
            return fmt::format("{}: asks master {} for a limit", who, master);
        case Standing::granted:
            return limit_ca_ > settings_.rating_ca
                       ? fmt::format("{}: master {} grants {:g} A, rated {:g} A", who, master, amps(limit_ca_),
                                     amps(settings_.rating_ca))
                       : fmt::format("{}: master {} grants {:g} A", who, master, amps(granted_ca()));
        case Standing::stopped:
            return fmt::format("{}: master {} grants nothing", who, master);
        case Standing::disconnected:
            return fmt::format("{}: master {} ordered the contactor open", who, master);
        case Standing::silent:
            return fmt::format("{}: master {} is silent, the grant ends {} s after its last heartbeat", who, master,
                               std::chrono::seconds(contactor_opens_after).count());
        case Standing::gone:
            return fmt::format("{}: master {} is gone, nothing is granted", who, master);
        case Standing::error:
            return fmt::format("{}: master {} reported an error, {}; silent until twc-bus is started again", who,
                               master, *fault_);
    }
    return who;
}

// --- time ---------------------------------------------------------------------------------------------------------

void SlaveUnit::pass_time(Instant now) {
    if (now > counted_to_) {
        const std::chrono::duration<double, std::ratio<3600>> hours = now - counted_to_;
        energy_kwh_ += amps(drawn_ca()) * mains_.voltage_v * mains_.phases / 1000 * hours.count();
        counted_to_ = now;
    }
    if (heard_at_ && now - *heard_at_ >= contactor_opens_after) {
        lose_master();
    }
    if (draws_less_until_ && now >= *draws_less_until_) {
        draws_less_until_.reset();
    }
    if (state_ends_ && now >= *state_ends_) {
        end_adjustment(now);
    }
    if (pending_ && now - pending_->asked > answer_is_useless_after) {
        pending_.reset();
    }
}

// As a real unit: off, and asking for a new limit when a master returns.
void SlaveUnit::lose_master() {
    heard_at_.reset();
    newest_command_.reset();
    limit_ca_ = 0;
    contactor_open_ = false;
    state_ = asking_again_state;
    state_ends_.reset();
    draws_less_until_.reset();
}

void SlaveUnit::end_adjustment(Instant now) {
    state_ends_.reset();
    if (state_ == raised_state || state_ == lowered_state) {
        adjust(finished_state, finished_shown_for, now);
    } else {
        state_ = charging_state;
    }
}

void SlaveUnit::adjust(std::uint8_t state, scheduling::Duration duration, Instant now) {
    state_ = state;
    state_ends_ = now + duration;
}

// --- what is heard ------------------------------------------------------------------------------------------------

void SlaveUnit::on_link(bool up, Instant now) {
    pass_time(now);
    link_up_ = up;
    pending_.reset();
    if (up) {
        announce_at_ = now + first_announcement_after(id_);
        line_free_at_ = now;
    }
}

void SlaveUnit::on_activity(Instant now) {
    line_free_at_ = std::max(line_free_at_, now + quiet_after_bytes);
    if (pending_) {
        pending_->due = std::min(pending_->asked + answer_delay_at_most, std::max(pending_->due, now + answer_delay));
    }
}

void SlaveUnit::on_message(const Message& message, Instant now) {
    pass_time(now);
    line_free_at_ = now + quiet_after_bytes;
    if (const auto sender = std::visit(SenderOfAnswer{}, message)) {
        note_sender(*sender, message, now);
        return;
    }
    pending_.reset();  // the master has moved on
    if (const auto* heartbeat = std::get_if<MasterHeartbeat>(&message)) {
        if (heartbeat->slave != id_) {
            line_free_at_ = now + quiet_for_answer;
        } else if (!fault_) {
            obey(*heartbeat, now);
            answer(SlaveHeartbeat{.slave = id_,
                                  .master = heartbeat->master,
                                  .state = state_,
                                  .limit_ca = limit_ca_,
                                  .drawn_ca = drawn_ca(),
                                  .protocol = settings_.protocol},
                   now);
        }
    } else if (const auto* request = std::get_if<Request>(&message)) {
        line_free_at_ = now + quiet_for_answer;
        answer_request(*request, now);
    } else if (const auto* contactor = std::get_if<ContactorCommand>(&message)) {
        line_free_at_ = now + quiet_for_answer;
        if (contactor->slave == id_) {
            contactor_open_ = !contactor->close;
        }
    } else if (const auto* ready = std::get_if<MasterLinkReady>(&message)) {
        if (ready->master == id_) {
            take_other_id(now);
        }
    } else if (std::holds_alternative<OldRequest>(message)) {
        line_free_at_ = now + quiet_for_answer;
    }
}

void SlaveUnit::note_sender(UnitId sender, const Message& message, Instant now) {
    std::erase_if(recently_sent_, [&](const auto& sent) { return now - sent.second > echo_within; });
    const auto echo = std::ranges::find(recently_sent_, message, &std::pair<Message, Instant>::first);
    if (echo != recently_sent_.end()) {
        recently_sent_.erase(echo);
        return;
    }
    pending_.reset();  // someone is talking
    if (sender != id_) {
        return;
    }
    // Two units under one ID would both use what the master means for one.
    if (impostor_at_ && now - *impostor_at_ <= impostor_within) {
        take_other_id(now);
    } else {
        impostor_at_ = now;
    }
}

void SlaveUnit::take_other_id(Instant now) {
    if (fault_) {
        return;  // mute anyway
    }
    id_ = id_after(id_);
    sign_ = static_cast<std::uint8_t>(sign_ ^ 0x35U);
    id_was_taken_ = true;
    impostor_at_.reset();
    pending_.reset();
    lose_master();
    master_.reset();
    state_ = asking_state;
    announce_at_ = now + first_announcement_after(id_);
}

// --- what it is told ----------------------------------------------------------------------------------------------

void SlaveUnit::obey(const MasterHeartbeat& heartbeat, Instant now) {
    master_ = heartbeat.master;
    heard_at_ = now;
    newest_command_ = heartbeat.command;
    announce_at_ = now + announces_after_silence;
    const bool probes = settings_.protocol == 2 && limit_ca_ > 0 && state_ == charging_state;
    switch (heartbeat.command) {
        case command::initial_limit:
            if (settings_.protocol == 1 || !is_charging()) {
                set_limit(heartbeat.limit_ca);
            }
            break;
        case command::resume_limit:
            set_limit(heartbeat.limit_ca);
            break;
        case command::running_limit: {
            const bool changes = settings_.protocol == 2 && is_charging() && heartbeat.limit_ca != limit_ca_;
            set_limit(heartbeat.limit_ca);
            if (changes && limit_ca_ > 0) {
                adjust(settling_state, settling_time, now);
            }
            break;
        }
        case raise_command:
            if (probes) {
                limit_ca_ = std::min(limit_ca_ + probe_ca, highest_word);
                adjust(raised_state, raise_lasts, now);
            }
            break;
        case lower_command:
            if (probes) {
                draws_less_until_ = now + draw_less_for;
                adjust(lowered_state, lower_lasts, now);
            }
            break;
        case error_command:
            report_error(heartbeat.limit_ca >> 8);
            break;
        default:
            break;
    }
}

void SlaveUnit::set_limit(int limit_ca) {
    if (limit_ca == limit_ca_ && (limit_ca > 0 ? is_charging() : state_ == stopped_state)) {
        return;
    }
    limit_ca_ = limit_ca;
    state_ = limit_ca > 0 ? charging_state : stopped_state;
    state_ends_.reset();
    draws_less_until_.reset();
}

// The lowest bit wins (notes, section 4); the upper ones mean nothing.
void SlaveUnit::report_error(int bitmap) {
    if ((bitmap & 0b001) != 0) {
        fault_ = "the rotary switches do not fit together";
    } else if ((bitmap & 0b010) != 0) {
        fault_ = "more than three slaves";
    } else if ((bitmap & 0b100) != 0) {
        fault_ = "units of different ratings";
    } else {
        return;
    }
    limit_ca_ = 0;
    state_ = error_state;
    state_ends_.reset();
    draws_less_until_.reset();
}

void SlaveUnit::answer_request(const Request& request, Instant now) {
    if (request.slave != id_ || settings_.protocol == 1 || fault_) {
        return;
    }
    switch (request.query) {
        case Query::power:
            answer(power_report(), now);
            break;
        case Query::firmware:
            answer(FirmwareReport{.slave = id_, .version = {4, 5, 3, 0}}, now);  // the lengths of our replies are its
            break;
        case Query::serial:
            answer(SerialReport{.slave = id_, .serial = fmt::format("TWCMQTT{:04X}", id_)}, now);
            break;
        case Query::vin_1:
        case Query::vin_2:
            answer(VinReport{.slave = id_, .part = request.query == Query::vin_1 ? 1 : 2, .text = ""}, now);
            break;
        case Query::vin_3:
            answer(VinReport{.slave = id_, .part = 3, .text = ""}, now);
            break;
        case Query::plug:
            break;
    }
}

// --- what it sends ------------------------------------------------------------------------------------------------

void SlaveUnit::answer(const Message& message, Instant now) {
    pending_ = Pending{.message = message, .asked = now, .due = now + answer_delay};
}

bool SlaveUnit::wants_announcement(Instant now) const {
    return link_up_ && !fault_ && !pending_ && (!heard_at_ || now - *heard_at_ >= announces_after_silence);
}

SlaveUnit::Step SlaveUnit::send(Message message, Instant now) {
    constexpr std::size_t sent_kept = 16;
    recently_sent_.emplace_back(message, now);
    if (recently_sent_.size() > sent_kept) {
        recently_sent_.pop_front();
    }
    line_free_at_ = now + quiet_after_bytes;
    return {.message = std::move(message), .wake = now};
}

SlaveUnit::Step SlaveUnit::next(Instant now) {
    pass_time(now);
    if (link_up_ && pending_ && now >= pending_->due) {
        Message message = std::move(pending_->message);
        pending_.reset();
        return send(std::move(message), now);
    }
    const Instant announce_at = std::max(announce_at_, line_free_at_);
    if (wants_announcement(now) && now >= announce_at) {
        announce_at_ = now + announce_period;
        return send(
            SlaveLinkReady{
                .slave = id_, .sign = sign_, .rating_ca = settings_.rating_ca, .protocol = settings_.protocol},
            now);
    }
    Instant wake = Instant::max();
    if (pending_) {
        wake = std::max(pending_->due, now + 1ms);
    } else if (link_up_ && !fault_) {
        wake = std::max(heard_at_ ? *heard_at_ + announces_after_silence : now, announce_at);
    }
    if (heard_at_) {
        wake = std::min(wake, *heard_at_ + contactor_opens_after);
    }
    for (const auto& change : {draws_less_until_, state_ends_}) {
        wake = std::min(wake, change.value_or(Instant::max()));
    }
    return {.message = std::nullopt, .wake = wake};
}

}  // namespace twc_bus
