#include "twc-bus/bus_master.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace twc_bus {

namespace {

using namespace std::chrono_literals;
using scheduling::Instant;

constexpr auto byte_time = 1042us;  // 9600 baud, 10 bits
constexpr auto answer_window = 250ms;
constexpr auto quiet_after_frame = 20ms;
// Longer than a byte takes: while bytes follow each other, a frame is on its way.
constexpr auto quiet_after_bytes = 5ms;
// Noise without end must not silence us, nor frames of strangers; but the end of a unit's own frame is waited for.
constexpr auto longest_wait_for_noise = 200ms;
constexpr auto longest_wait = 600ms;
// Not quite a second: units announce themselves every 10 s, and one that did so during a heartbeat must not do so for
// ever.
constexpr auto heartbeat_period = 1003ms;
constexpr auto starving_after = 300ms;
// Each unit has its place in the second, one soon after the other, so that the rest of it is free for questions. Longer
// than nearly all answers take: a heartbeat does not wait for that of another.
constexpr auto place_spacing = 180ms;
constexpr auto soonest_repeat = 300ms;
constexpr auto unanswered_limit_retry = 400ms;
constexpr auto query_slot = 320ms;
constexpr auto link_ready_slot = 150ms;
constexpr auto link_ready_spacing = 100ms;
constexpr auto link_ready_repeat = 10s;
constexpr int link_ready_copies = 5;
// A real master gives up after 26 s without an answer (notes, 7.1). The contactor of a unit that hears nobody opens
// after at most 30 s.
constexpr auto lost_after = 26s;
constexpr auto lost_after_if_never_heard = 10s;
constexpr auto off_after_silence = 35s;
constexpr std::size_t most_chargers = 3;

constexpr auto echo_within = 2s;
constexpr auto suspicion_lasts = 10s;
constexpr auto foreign_master_lasts = 60s;
constexpr auto conflict_repeat = 10s;
constexpr auto turned_away_lasts = 30s;  // it announces itself every 10 s

constexpr int heartbeats_until_other_command = 3;
constexpr std::uint8_t heartbeat_command = 0xE0;
constexpr std::uint8_t close_contactor = 0xB1;
constexpr std::uint8_t open_contactor = 0xB2;
constexpr std::size_t delays_kept = 256;

// Sender of a frame only masters send; none for other frames. 0 for the idle announcement, which names nobody.
struct MasterOf {
    std::optional<UnitId> operator()(const MasterLinkReady& message) const { return message.master; }
    std::optional<UnitId> operator()(const MasterHeartbeat& message) const { return message.master; }
    std::optional<UnitId> operator()(const Request& message) const { return message.master; }
    std::optional<UnitId> operator()(const ContactorCommand& message) const { return message.master; }
    std::optional<UnitId> operator()(const Idle& /*message*/) const { return UnitId{0}; }
    template <class Other>
    std::optional<UnitId> operator()(const Other& /*message*/) const {
        return std::nullopt;
    }
};

scheduling::Duration time_on_wire(const Bytes& body) {
    return byte_time * static_cast<int>(body.size() + 3);  // delimiters and checksum
}

bool is_echoed(int echo_ca, int target_ca) {
    return echo_ca == target_ca || (target_ca == 0 && echo_ca == zero_echo_ca);
}

}  // namespace

BusMaster::BusMaster(const MasterSettings& settings, const std::vector<KnownCharger>& known, Instant now)
    : settings_(settings),
      listen_until_(known.empty() ? now + settings.listen : now),
      second_(now),
      quiet_until_(now),
      link_ready_at_(now) {
    for (const auto& remembered : known) {
        if (chargers_.size() == most_chargers) {
            break;
        }
        auto& charger = add(remembered.id, now);
        charger.protocol = remembered.protocol;
        charger.remembered_ca_ = remembered.granted_ca;
        charger.silenced = remembered.silenced;
        charger.linked = !remembered.silenced;
    }
}

bool BusMaster::too_many(Instant now) const {
    return std::ranges::any_of(turned_away_, [&](const auto& item) { return now - item.second < turned_away_lasts; });
}

Charger& BusMaster::add(UnitId id, Instant now) {
    auto& charger = chargers_[id];
    charger.id = id;
    charger.linked_since_ = now;
    charger.next_due_ = now;
    charger.last_sent_ = now;
    charger.relay_ = RelayGuard(settings_.restart_pause);
    const auto treatment = settings_.treatments.find(id);
    if (treatment != settings_.treatments.end()) {
        charger.spike_ = Spike(treatment->second.spike);
        charger.stopper_ = Stopper(treatment->second.stop);
    }
    return charger;
}

void BusMaster::on_link(bool up, Instant now) {
    if (up == link_up_) {
        return;
    }
    link_up_ = up;
    transaction_.reset();
    link_ready_.clear();
    if (!up) {
        return;
    }
    quiet_until_ = now;
    queue_link_ready(link_ready_copies, link_ready_copies, now);
    for (auto& [id, charger] : chargers_) {
        charger.fresh_ = true;
        charger.linked_since_ = now;
        charger.next_due_ = now;
    }
}

void BusMaster::on_activity(Instant now) {
    bytes_until_ = std::max(bytes_until_, now + quiet_after_bytes);
    if (transaction_) {
        transaction_->heard_something = true;
    }
}

void BusMaster::queue_link_ready(int first_stage, int second_stage, Instant now) {
    link_ready_.clear();
    link_ready_.insert(link_ready_.end(), static_cast<std::size_t>(first_stage), 1);
    link_ready_.insert(link_ready_.end(), static_cast<std::size_t>(second_stage), 2);
    link_ready_at_ = now;
}

std::size_t BusMaster::linked_count() const {
    return static_cast<std::size_t>(
        std::ranges::count_if(chargers_, [](const auto& item) { return item.second.linked || item.second.silenced; }));
}

void BusMaster::set_wishes(const std::map<UnitId, int>& wishes) {
    for (auto& [id, charger] : chargers_) {
        const auto wish = wishes.find(id);
        charger.wish_ca_ = wish == wishes.end() ? std::nullopt : std::optional(wish->second);
    }
}

// --- what was heard ---------------------------------------------------------------------------------------------

std::optional<UnitId> BusMaster::on_body(std::span<const std::uint8_t> body, Instant now) {
    quiet_until_ = std::max(quiet_until_, now + quiet_after_frame);
    const auto message = decode_message(body);
    if (!message) {
        ++statistics_.unknown_frames;
        return std::nullopt;
    }
    if (const auto master = std::visit(MasterOf{}, *message)) {
        note_other_master(*master, body, now);
        return std::nullopt;
    }
    if (const auto* announcement = std::get_if<SlaveLinkReady>(&*message)) {
        handle(*announcement, now);
    } else if (const auto* heartbeat = std::get_if<SlaveHeartbeat>(&*message)) {
        // A receiver other than us: another master's traffic, or a damaged frame that still adds up.
        if (heartbeat->master == settings_.master_id && chargers_.contains(heartbeat->slave)) {
            handle(*heartbeat, now);
            return heartbeat->slave;
        }
    } else if (const auto* power = std::get_if<PowerReport>(&*message)) {
        handle_report(power->sender, Query::power, *power, now);
    } else if (const auto* firmware = std::get_if<FirmwareReport>(&*message)) {
        handle_report(firmware->slave, Query::firmware, *firmware, now);
    } else if (const auto* serial = std::get_if<SerialReport>(&*message)) {
        handle_report(serial->slave, Query::serial, *serial, now);
    } else if (const auto* vin = std::get_if<VinReport>(&*message)) {
        constexpr std::array parts{Query::vin_1, Query::vin_2, Query::vin_3};
        handle_report(vin->slave, parts.at(static_cast<std::size_t>(vin->part - 1)), *vin, now);
    } else if (const auto* contactor = std::get_if<ContactorReport>(&*message)) {
        close_transaction(contactor->slave, contactor->close ? close_contactor : open_contactor, now);
    }
    return std::nullopt;
}

void BusMaster::handle(const SlaveLinkReady& message, Instant now) {
    if (message.slave == settings_.master_id) {
        if (!conflict_at_ || now - *conflict_at_ >= conflict_repeat) {
            conflict_at_ = now;
            note_id_conflict();
            queue_link_ready(link_ready_copies, link_ready_copies, now);
        }
        return;
    }
    if (message.slave == 0) {
        return;
    }
    const bool is_new = !chargers_.contains(message.slave);
    const bool is_one_of_ours = !is_new && (chargers_.at(message.slave).linked || chargers_.at(message.slave).silenced);
    if (!is_one_of_ours && linked_count() >= most_chargers) {
        if (turned_away_.insert_or_assign(message.slave, now).second) {
            notices_.push_back({NoticeKind::too_many, message.slave, "a fourth charger: the bus carries three"});
        }
        return;
    }
    auto& charger = is_new ? add(message.slave, now) : chargers_.at(message.slave);
    charger.protocol = message.protocol;
    charger.rating_ca = message.rating_ca;
    charger.claim.set_protocol(message.protocol);
    note_sign(charger, message.sign);
    if (charger.silenced) {
        return;  // it hears nobody, as it should
    }
    if (is_new || !charger.linked) {
        charger.linked = true;
        charger.linked_since_ = now;
        charger.last_sent_ = now;
        charger.announcements = 0;
        charger.next_due_ = now;
    } else if (charger.claim.heard() && charger.announcements == 0) {
        notices_.push_back({NoticeKind::reset, message.slave, "announced itself again: it was reset or heard nobody"});
    }
    charger.fresh_ = true;
    // Not on every announcement: one that collides with a heartbeat must not add to the traffic.
    charger.next_due_ = std::min(charger.next_due_, now + quiet_after_frame);
    if (++charger.announcements == 2) {
        queue_link_ready(0, 2, now);  // some units answer heartbeats only after these
    }
}

void BusMaster::note_id_conflict() {
    notices_.push_back(
        {NoticeKind::id_conflict, settings_.master_id, "a charger uses the master's ID; asked it to take another"});
}

// A sign stays until a reset. One that comes back after another belongs to a second unit.
void BusMaster::note_sign(Charger& charger, std::uint8_t sign) {
    auto& signs = charger.signs_;
    if (!signs.empty() && signs.back() == sign) {
        return;
    }
    if (std::ranges::find(signs, sign) != signs.end() && !charger.id_shared) {
        charger.id_shared = true;
        notices_.push_back({NoticeKind::id_shared, charger.id, "two units seem to use this ID"});
    }
    constexpr std::size_t signs_kept = 4;
    if (signs.size() == signs_kept) {
        signs.erase(signs.begin());
    }
    signs.push_back(sign);
}

void BusMaster::adopt_first_answer(Charger& charger) {
    // What it works to becomes its grant until someone wishes otherwise; but nothing is resumed that was stopped.
    const bool was_stopped = charger.remembered_ca_ == 0;
    const bool resumes = charger.drawing() && !was_stopped;
    charger.grant.ca = resumes ? std::min(charger.last->limit_ca, settings_.limits.max_ca(charger.id)) : 0;
    notices_.push_back(
        {NoticeKind::linked, charger.id,
         fmt::format("linked: protocol {}, works to {:.2f} A", *charger.protocol, charger.last->limit_ca / 100.0)});
}

void BusMaster::handle(const SlaveHeartbeat& message, Instant now) {
    auto& charger = chargers_.at(message.slave);
    const bool is_first = !charger.claim.heard();
    const bool changed_state = charger.last && charger.last->state != message.state;
    if (!charger.protocol) {
        charger.protocol = message.protocol;
    }
    charger.claim.set_protocol(*charger.protocol);
    charger.claim.reserve_for_idle(settings_.limits.reserve_for_idle);
    charger.claim.answered(message.limit_ca, message.drawn_ca, message.state, now);
    charger.last = message;
    charger.last_answer = now;
    charger.announcements = 0;
    charger.inquiry.on_heartbeat(message, now);
    charger.spike_.on_heartbeat(message, now);
    charger.stopper_.on_heartbeat(message, charger.inquiry.plugged(), charger.inquiry.vin().has_value(), now);
    charger.relay_.on_heartbeat(message, now);
    if (charger.relay_.take_chatter(now)) {
        notices_.push_back(
            {NoticeKind::relay_chatter, charger.id, "its contactor closed six times within ten minutes"});
    }
    charger.reassert_ = charger.reassert_ || changed_state;
    if (is_first) {
        adopt_first_answer(charger);
    } else if (transaction_ && transaction_->charger == charger.id && transaction_->carries_limit) {
        charger.unechoed_ = is_echoed(message.limit_ca, charger.grant.ca) ? 0 : charger.unechoed_ + 1;
    }
    charger.fresh_ = false;
    close_transaction(charger.id, heartbeat_command, now);
}

template <class Report>
void BusMaster::handle_report(UnitId sender, Query query, const Report& report, Instant now) {
    const auto found = chargers_.find(sender);
    if (found == chargers_.end()) {
        return;
    }
    if constexpr (requires { found->second.inquiry.on_report(report, now); }) {
        found->second.inquiry.on_report(report, now);
    } else {
        found->second.inquiry.on_report(report);
    }
    close_transaction(sender, static_cast<std::uint8_t>(query), now);
}

void BusMaster::close_transaction(UnitId charger, std::uint8_t command, Instant now) {
    const bool is_heartbeat = command == heartbeat_command;
    if (!transaction_ || transaction_->charger != charger || transaction_->command != command) {
        statistics_.late_answers += is_heartbeat ? 1U : 0U;
        return;
    }
    const std::chrono::duration<double, std::milli> delay =
        now - transaction_->sent - time_on_wire(Bytes(15));  // the request
    statistics_.answer_delays_ms.push_back(std::max(0.0, delay.count()));
    if (statistics_.answer_delays_ms.size() > delays_kept) {
        statistics_.answer_delays_ms.pop_front();
    }
    transaction_.reset();
}

// Damage can turn the type of a slave's frame into a master's unnoticed, so one frame is no evidence.
void BusMaster::note_other_master(UnitId id, std::span<const std::uint8_t> body, Instant now) {
    std::erase_if(recently_sent_, [&](const auto& sent) { return now - sent.second > echo_within; });
    if (std::ranges::any_of(recently_sent_, [&](const auto& sent) { return std::ranges::equal(sent.first, body); })) {
        ++statistics_.own_echoes;
        return;
    }
    if (chargers_.contains(id)) {
        return;
    }
    const bool suspected =
        suspected_master_ && suspected_master_->first == id && now - suspected_master_->second <= suspicion_lasts;
    suspected_master_ = {id, now};
    if (!suspected) {
        return;
    }
    if (!foreign_until_) {
        notices_.push_back({NoticeKind::foreign_master, id,
                            fmt::format("another master ({}) is on the bus: nothing is offered beside it",
                                        id == 0 ? "unnamed" : to_text(id))});
    }
    foreign_until_ = now + foreign_master_lasts;
}

// --- what is sent -----------------------------------------------------------------------------------------------

void BusMaster::expire(Instant now) {
    if (transaction_ && now >= transaction_->deadline) {
        ++statistics_.lost_answers;
        statistics_.collisions += transaction_->heard_something ? 1U : 0U;
        const auto found = chargers_.find(transaction_->charger);
        if (found != chargers_.end() && transaction_->carries_limit) {
            auto& due = found->second.next_due_;
            due = std::min(due, transaction_->sent + unanswered_limit_retry);
        }
        transaction_.reset();
    }
    if (foreign_until_ && now >= *foreign_until_) {
        foreign_until_.reset();
        notices_.push_back({NoticeKind::foreign_master_gone, 0, "the other master is silent: offering again"});
    }
    // While the line is down nobody can be lost, and nobody can be given what another one holds.
    if (link_up_) {
        drop_silent_chargers(now);
    }
}

// Not answered for long: no more heartbeats, so that its contactor opens even if it can still hear us. Only then does
// its claim end.
void BusMaster::drop_silent_chargers(Instant now) {
    for (auto& [id, charger] : chargers_) {
        const Instant since = std::max(charger.linked_since_, charger.last_answer.value_or(charger.linked_since_));
        const auto patience = charger.claim.heard() ? scheduling::Duration(lost_after) : lost_after_if_never_heard;
        if (charger.linked && now - since > patience) {
            charger.linked = false;
            charger.grant = {.ca = 0, .reason = "does not answer"};
            notices_.push_back({NoticeKind::lost, id, "does not answer any more"});
            queue_link_ready(1, 1, now);
        }
    }
    for (auto& [id, charger] : chargers_) {
        charger.off = charger.silenced && now - charger.last_sent_ > off_after_silence;
    }
    std::erase_if(chargers_, [&](const auto& item) {
        const auto& charger = item.second;
        return !charger.linked && !charger.silenced && now - charger.last_sent_ > off_after_silence;
    });
}

Demand BusMaster::demand_of(const Charger& charger, Instant now) const {
    const auto& claim = charger.claim;
    const int hold_ca = charger.grant.ca;
    int wish_ca = charger.linked || charger.off ? charger.wish_ca_.value_or(hold_ca) : 0;
    if (hold_ca == 0 && charger.relay_.rests(now)) {
        wish_ca = 0;
    }
    if (charger.rating_ca && *charger.rating_ca >= settings_.limits.charger_min_ca) {
        wish_ca = std::min(wish_ca, *charger.rating_ca);
    }
    Demand demand{.id = charger.id,
                  .wish_ca = wish_ca,
                  .granted_ca = hold_ca,
                  .may_draw_ca = settings_.limits.max_ca(charger.id),
                  .idle = claim.idle(),
                  .lines = settings_.limits.lines_of(charger.id)};
    if (charger.off) {
        demand.may_draw_ca = 0;
        demand.heard = true;
    } else if (claim.heard()) {
        // A unit found in state 08 echoes the limit from before it lost its master, but is off until told a new one:
        // what it has of that limit is only what it was granted since.
        demand.offered_ca = charger.drawing() ? claim.offered_ca() : std::min(claim.offered_ca(), hold_ca);
        demand.may_draw_ca = claim.may_draw_ca();
        demand.certain_ca = claim.certain_ca();
        demand.floor_ca = claim.floor_ca();
        demand.heard = charger.linked;
    }
    return demand;
}

std::vector<Demand> BusMaster::demands(Instant now, bool no_spikes) {
    std::vector<Demand> demands;
    for (auto& [id, charger] : chargers_) {
        auto demand = demand_of(charger, now);
        if (charger.linked && !no_spikes) {
            demand.briefly_ca = charger.spike_.instead_of(demand.wish_ca, charger.grant.ca, charger.rating_ca, now);
        }
        charger.briefly_ca_ = demand.briefly_ca;
        demands.push_back(demand);
    }
    return demands;
}

void BusMaster::take_grants(const std::map<UnitId, Grant>& grants, Instant now) {
    for (auto& [id, charger] : chargers_) {
        auto grant = grants.at(id);
        if (charger.off && grant.ca > 0) {
            end_silence(charger, now);
        }
        if (!charger.linked || !charger.claim.heard() || !charger.wish_ca_) {
            continue;
        }
        if (charger.briefly_ca_ && grant.ca != *charger.briefly_ca_) {
            charger.spike_.refused(now);
        }
        if (grant.ca == 0 && *charger.wish_ca_ > 0 && charger.relay_.rests(now)) {
            grant.reason = "its contactor rests a while after the current ended";
        }
        if (grant.ca != charger.grant.ca) {
            charger.urgent_ = true;
            charger.unechoed_ = 0;
        }
        charger.grant = std::move(grant);
    }
}

// --- stopping a car that goes on at 0 A --------------------------------------------------------------------------

void BusMaster::silence(Charger& charger, Instant now) {
    charger.stopper_.done(Stopper::Action::fall_silent, now);
    charger.linked = false;
    charger.silenced = true;
    charger.grant = {.ca = 0, .reason = "stopped by silence"};
    notices_.push_back(
        {NoticeKind::silenced, charger.id, "gets no heartbeats until it may charge again, so that it stops"});
}

// As after a link loss: asked first what it works to.
void BusMaster::end_silence(Charger& charger, Instant now) {
    charger.silenced = false;
    charger.off = false;
    charger.linked = true;
    charger.fresh_ = true;
    charger.linked_since_ = now;
    charger.last_sent_ = now;
    charger.next_due_ = now;
}

void BusMaster::notice_refused_stop(const Charger& charger, Stopper::Refusal refusal) {
    const auto words = [&] {
        switch (refusal) {
            case Stopper::Refusal::tesla:
                return "a Tesla is not stopped by its contactor: it would show a fault; it goes on at what 0 A means "
                       "to "
                       "the unit";
            case Stopper::Refusal::does_not_obey:
                return "told three times to open its contactor, and current still flows";
            case Stopper::Refusal::silence_used_up:
                return "stopped by silence three times since the car was plugged in; once more and it may refuse to "
                       "charge until it is plugged in again, so it goes on at what 0 A means to the unit";
        }
        return "";
    };
    notices_.push_back({NoticeKind::stop_refused, charger.id, words()});
}

void BusMaster::use_last_resorts(Instant now) {
    for (auto& [id, charger] : chargers_) {
        const bool judged = charger.linked && charger.claim.heard() && charger.wish_ca_ && !hears_other_master();
        if (judged && charger.stopper_.due(charger.grant.ca, now) == Stopper::Action::fall_silent) {
            silence(charger, now);
        }
        if (const auto refusal = charger.stopper_.take_refusal()) {
            notice_refused_stop(charger, *refusal);
        }
    }
}

// Like a question: only when its answer window ends before the next heartbeat is due.
std::optional<BusMaster::Step> BusMaster::send_contactor_command(Instant now, Instant earliest) {
    if (earliest == Instant::max() || earliest - now < query_slot || hears_other_master()) {
        return std::nullopt;
    }
    for (auto& [id, charger] : chargers_) {
        if (!charger.linked || !charger.claim.heard() || !charger.wish_ca_) {
            continue;
        }
        const auto action = charger.stopper_.due(charger.grant.ca, now);
        const bool closes = action == Stopper::Action::close_contactor;
        if (!closes && action != Stopper::Action::open_contactor) {
            continue;
        }
        charger.stopper_.done(action, now);
        notices_.push_back(
            {NoticeKind::contactor, id, closes ? "told to close its contactor" : "told to open its contactor"});
        return ask(id, closes ? close_contactor : open_contactor, false,
                   encode_message(ContactorCommand{.close = closes, .master = settings_.master_id, .slave = id}), now);
    }
    return std::nullopt;
}

Instant BusMaster::earliest_due() const {
    Instant earliest = Instant::max();
    for (const auto& [id, charger] : chargers_) {
        if (charger.linked) {
            earliest = std::min(earliest, charger.next_due_);
        }
    }
    return earliest;
}

// Whoever was kept waiting too long, by however many new limits for others; then lowered limits, then raised ones, then
// whoever waits longest.
Charger* BusMaster::most_pressing(Instant now) {
    Charger* best = nullptr;
    const auto rank = [&](const Charger& charger) {
        const bool lowers = charger.urgent_ && charger.last && charger.grant.ca < charger.last->limit_ca;
        const bool starves = now >= charger.next_due_ + starving_after;
        return std::pair(starves ? 0 : (lowers ? 1 : (charger.urgent_ ? 2 : 3)), charger.next_due_);
    };
    for (auto& [id, charger] : chargers_) {
        const bool due = charger.linked && (charger.urgent_ || now >= charger.next_due_);
        if (due && (best == nullptr || rank(charger) < rank(*best))) {
            best = &charger;
        }
    }
    return best;
}

// The choice that satisfies every report from the field (notes, section 4).
std::uint8_t BusMaster::limit_command(const Charger& charger) {
    const auto& last = *charger.last;
    if (charger.protocol == 1) {
        return command::initial_limit;
    }
    if (last.state == 0x08 && last.limit_ca == 0 && charger.grant.ca > 0) {
        return command::resume_limit;
    }
    const bool before_charging = last.state == 0x00 || last.state == 0x03 || last.state == 0x04;
    const bool ignored = charger.unechoed_ >= heartbeats_until_other_command;
    return before_charging && ignored && charger.unechoed_ % 2 == 1 ? command::initial_limit : command::running_limit;
}

MasterHeartbeat BusMaster::heartbeat_for(const Charger& charger) const {
    MasterHeartbeat heartbeat{
        .master = settings_.master_id, .slave = charger.id, .protocol = charger.protocol.value_or(1)};
    if (charger.fresh_ || !charger.last || !charger.wish_ca_) {
        return heartbeat;
    }
    const int target_ca = charger.grant.ca;
    const int echo_ca = charger.last->limit_ca;
    // Off until it is told a limit; told 0, a protocol 2 unit would work to 6 A that others have not given back yet.
    const bool better_left_off =
        target_ca == 0 && charger.grant.no_room_at_zero && charger.last->state == 0x08 && !charger.drawing();
    // Always at 0: a protocol 1 unit told nothing then clicks its relay every second.
    const bool to_be_told = target_ca == 0 || echo_ca != target_ca || charger.reassert_;
    const bool beside_other_master = hears_other_master() && target_ca != 0 && target_ca >= echo_ca;
    if (!to_be_told || beside_other_master || better_left_off) {
        return heartbeat;
    }
    heartbeat.command = limit_command(charger);
    heartbeat.limit_ca = static_cast<std::uint16_t>(target_ca);
    return heartbeat;
}

BusMaster::Step BusMaster::send(Bytes body, Instant now) {
    quiet_until_ = now + time_on_wire(body) + quiet_after_frame;
    recently_sent_.emplace_back(body, now);
    std::erase_if(recently_sent_, [&](const auto& sent) { return now - sent.second > echo_within; });
    return {.body = std::move(body), .wake = quiet_until_};
}

void BusMaster::note_gap(Charger& charger, Instant now) {
    const std::chrono::duration<double, std::milli> gap = now - charger.last_sent_;
    if (charger.fresh_) {
        return;  // the line or the unit was away
    }
    charger.longest_gap_ms = std::max(charger.longest_gap_ms, gap.count());
    charger.gaps_ms.push_back(gap.count());
    if (charger.gaps_ms.size() > delays_kept) {
        charger.gaps_ms.pop_front();
    }
}

// The first time that is this unit's in a second, not before `from`.
Instant BusMaster::next_place(UnitId id, Instant from) const {
    const auto position = std::distance(chargers_.begin(), chargers_.find(id));
    const Instant first = second_ + place_spacing * position;
    const auto passed = (from - first + heartbeat_period - scheduling::Duration(1)) / heartbeat_period;
    return first + heartbeat_period * passed;
}

BusMaster::Step BusMaster::send_heartbeat(Charger& charger, Instant now) {
    const auto heartbeat = heartbeat_for(charger);
    const bool carries_limit = heartbeat.command != command::no_change;
    note_gap(charger, now);
    charger.claim.sent(carries_limit ? std::optional<int>(heartbeat.limit_ca) : std::nullopt, now);
    charger.urgent_ = false;
    charger.reassert_ = charger.reassert_ && !carries_limit;
    charger.last_sent_ = now;
    charger.next_due_ = next_place(charger.id, now + soonest_repeat);
    ++statistics_.heartbeats;
    return ask(charger.id, heartbeat_command, carries_limit, encode_message(heartbeat), now);
}

BusMaster::Step BusMaster::ask(UnitId charger, std::uint8_t command, bool carries_limit, Bytes body, Instant now) {
    transaction_ = Transaction{.charger = charger,
                               .command = command,
                               .carries_limit = carries_limit,
                               .sent = now,
                               .deadline = now + time_on_wire(body) + answer_window};
    return send(std::move(body), now);
}

std::optional<BusMaster::Step> BusMaster::send_link_ready(Instant now, Instant earliest) {
    if (link_ready_.empty() && linked_count() == 0 && now >= link_ready_at_ + link_ready_repeat) {
        queue_link_ready(1, 1, now);
    }
    if (link_ready_.empty() || now < link_ready_at_ || hears_other_master()) {
        return std::nullopt;
    }
    if (earliest != Instant::max() && earliest - now < link_ready_slot) {
        return std::nullopt;
    }
    const int stage = link_ready_.front();
    link_ready_.pop_front();
    link_ready_at_ = now + link_ready_spacing;
    return send(encode_message(MasterLinkReady{.stage = stage, .master = settings_.master_id, .sign = settings_.sign}),
                now);
}

std::optional<BusMaster::Step> BusMaster::send_typed(Instant now, Instant earliest) {
    if (raw_.empty() || hears_other_master() || (earliest != Instant::max() && earliest - now < query_slot)) {
        return std::nullopt;
    }
    auto body = std::move(raw_.front());
    raw_.pop_front();
    const auto receiver = static_cast<UnitId>((body.at(4) << 8) | body.at(5));
    const std::uint8_t command = body.at(1);
    return ask(receiver, command, false, std::move(body), now);
}

// Only when the answer window ends before the next heartbeat is due; the chargers take turns.
std::optional<BusMaster::Step> BusMaster::send_query(Instant now, Instant earliest) {
    if (earliest == Instant::max() || earliest - now < query_slot) {
        return std::nullopt;
    }
    auto found = chargers_.upper_bound(last_queried_);
    for (std::size_t i = 0; i < chargers_.size(); ++i, ++found) {
        if (found == chargers_.end()) {
            found = chargers_.begin();
        }
        auto& charger = found->second;
        const auto query = charger.linked ? charger.inquiry.due(now) : std::nullopt;
        if (!query) {
            continue;
        }
        last_queried_ = charger.id;
        charger.inquiry.asked(*query, now);
        ++statistics_.queries;
        return ask(charger.id, static_cast<std::uint8_t>(*query), false,
                   encode_message(Request{.query = *query, .master = settings_.master_id, .slave = charger.id}), now);
    }
    return std::nullopt;
}

BusMaster::Step BusMaster::next(Instant now) {
    if (!link_up_) {
        return {.body = std::nullopt, .wake = now + 1s};
    }
    if (transaction_) {
        return {.body = std::nullopt, .wake = transaction_->deadline};
    }
    use_last_resorts(now);
    Instant earliest = earliest_due();
    const auto overdue = earliest == Instant::max() ? scheduling::Duration::zero() : now - earliest;
    if (now < quiet_until_ && overdue <= longest_wait) {
        return {.body = std::nullopt, .wake = quiet_until_};
    }
    if (now < bytes_until_ && overdue <= longest_wait_for_noise) {
        return {.body = std::nullopt, .wake = bytes_until_};
    }
    if (auto* charger = most_pressing(now)) {
        return send_heartbeat(*charger, now);
    }
    if (auto step = send_link_ready(now, earliest)) {
        return *step;
    }
    if (auto step = send_contactor_command(now, earliest)) {
        return *step;
    }
    if (auto step = send_typed(now, earliest)) {
        return *step;
    }
    if (auto step = send_query(now, earliest)) {
        return *step;
    }
    const Instant regular = now + 1s;
    if (!link_ready_.empty() && link_ready_at_ > now) {
        earliest = std::min(earliest, link_ready_at_);
    }
    return {.body = std::nullopt, .wake = std::min(earliest, regular)};
}

}  // namespace twc_bus
