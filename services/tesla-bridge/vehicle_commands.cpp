#include "tesla-bridge/vehicle_commands.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace tesla_bridge {

namespace {

using namespace std::chrono_literals;
using scheduling::Instant;

constexpr auto day = 24h;
constexpr auto report_settles = 10s;       // a report that old after a call may still show what was before it
constexpr auto contradiction_after = 45s;  // a car takes its time from "yes" to a flowing current
constexpr auto first_back_off = 5s;
constexpr auto longest_back_off = 120s;
constexpr auto least_wake_gap = 20s;  // Tesla allows 3 a minute, whatever becomes of them
constexpr auto second_copy_after = 5s;
constexpr auto wake_settles = 15s;   // from the answer to a wake to the first command worth trying
constexpr auto wake_patience = 90s;  // 10 to 60 s are usual
constexpr auto asleep_retry = 10s;
constexpr auto refusal_stands = 300s;
constexpr auto blocked_pause = 300s;
constexpr auto position_is_fresh = 120s;
constexpr auto sleep_is_fresh = 120s;
constexpr int honoured_amps = 5;  // requests below are taken as this the first time
constexpr int convincing_acknowledgements = 2;

void soonest(std::optional<Instant>& current, Instant candidate) {
    current = current ? std::min(*current, candidate) : candidate;
}

long long whole_seconds(scheduling::Duration duration) {
    return std::chrono::ceil<std::chrono::seconds>(duration).count();
}

// When one more call keeps to `allowed` in any 24 h. Forgets the calls that no longer matter.
Instant free_at(std::deque<Instant>& calls, int allowed, Instant now) {
    while (!calls.empty() && now - calls.front() >= day) {
        calls.pop_front();
    }
    const auto limit = static_cast<std::size_t>(allowed);
    if (limit == 0) {
        return now + day;
    }
    return calls.size() < limit ? now : calls[calls.size() - limit] + day;
}

template <class T>
std::optional<T> reported_after(const Fact<T>& fact, Instant after) {
    return fact && fact->at && *fact->at > after ? fact->value : std::nullopt;
}

bool draws(ChargingState state) { return state == ChargingState::charging || state == ChargingState::starting; }

// Does what the car reports equal what the command asks for? None when it does not say.
std::optional<bool> agrees(const Command& command, const VehicleFacts& facts, Instant reported_since) {
    const auto equals = [&command](std::optional<double> reported) -> std::optional<bool> {
        return reported ? std::optional(std::lround(*reported) == command.value) : std::nullopt;
    };
    switch (command.kind) {
        case CommandKind::set_amps:
            return equals(reported_after(facts.charge_amps_set, reported_since));
        case CommandKind::set_limit:
            return equals(reported_after(facts.charge_limit_pct, reported_since));
        case CommandKind::wake: {
            const auto state = reported_after(facts.sleep_state, reported_since);
            return state ? std::optional(*state == SleepState::online) : std::nullopt;
        }
        case CommandKind::charge_start:
        case CommandKind::charge_stop: {
            const auto state = reported_after(facts.charging_state, reported_since);
            if (!state) {
                return std::nullopt;
            }
            // no_power: the car would draw as soon as it is offered something.
            return command.kind == CommandKind::charge_start ? draws(*state)
                                                             : !draws(*state) && *state != ChargingState::no_power;
        }
    }
    return std::nullopt;
}

}  // namespace

void CommandQueue::Earliest::not_before(Instant when, const std::string& why) {
    if (when > at) {
        at = when;
        reason = why;
    }
}

CommandQueue::Slot CommandQueue::slot_of(CommandKind kind) {
    switch (kind) {
        case CommandKind::wake:
            return Slot::wake;
        case CommandKind::set_limit:
            return Slot::limit;
        case CommandKind::set_amps:
            return Slot::amps;
        case CommandKind::charge_start:
        case CommandKind::charge_stop:
            break;
    }
    return Slot::charging;
}

CommandQueue::Situation CommandQueue::situation_of(const VehicleFacts& facts) {
    return {.charging_state = value_of(facts.charging_state),
            .plugged = value_of(facts.plugged),
            .charge_limit_pct = value_of(facts.charge_limit_pct)};
}

std::chrono::seconds CommandQueue::gap_of(Slot slot) const {
    switch (slot) {
        case Slot::wake:
            return pacing_.wake_gap;
        case Slot::limit:
            return pacing_.limit_gap;
        case Slot::amps:
            return pacing_.amps_gap;
        case Slot::charging:
            break;
    }
    return pacing_.start_stop_gap;
}

std::optional<Outcome> CommandQueue::accept(const Command& command, Instant now) {
    auto& slot = history(slot_of(command.kind));
    std::optional<Outcome> replaced;
    if (slot.order && slot.order->command == command) {
        slot.order->ordered_at = now;
        slot.order->was_ordered = true;
        return std::nullopt;
    }
    if (slot.order) {
        replaced = finish(slot, Outcome::Kind::replaced, fmt::format("replaced by {}", to_words(command)));
    }
    slot.order = Order{.command = command, .ordered_at = now, .waiting_for = "its turn", .not_before = {}};
    return replaced;
}

bool CommandQueue::has_orders() const {
    return std::ranges::any_of(histories_, [](const History& slot) { return slot.order.has_value(); });
}

void CommandQueue::hold_until(Instant until, const std::string& reason) {
    if (until > held_until_) {
        held_until_ = until;
        held_reason_ = reason;
    }
}

bool CommandQueue::is_waking(Instant now) const { return woken_at_ && now - *woken_at_ < wake_patience; }

bool CommandQueue::needs_second_copy(const Order& order) const {
    return pacing_.low_amps_twice && order.command.kind == CommandKind::set_amps &&
           order.command.value < honoured_amps && order.copies == 0;
}

Outcome CommandQueue::finish(History& history, Outcome::Kind kind, const std::string& reason) {
    const Order order = std::move(*history.order);
    history.order.reset();
    return {.kind = kind,
            .command = order.command,
            .reason = reason,
            .attempts = order.attempts,
            .ordered_at = order.ordered_at,
            .was_ordered = order.was_ordered};
}

Step CommandQueue::next_command(const VehicleFacts& facts, Instant now) {
    Step step;
    const auto& charging = history(Slot::charging).order;
    const bool stop_first = charging && charging->command.kind == CommandKind::charge_stop;
    if (stop_first) {
        consider(Slot::charging, facts, now, step);
    }
    for (const Slot slot : {Slot::wake, Slot::limit, Slot::charging, Slot::amps}) {
        if (slot != Slot::charging || !stop_first) {
            consider(slot, facts, now, step);
        }
    }
    return step;
}

void CommandQueue::consider(Slot slot, const VehicleFacts& facts, Instant now, Step& step) {
    auto& current = history(slot);
    if (!current.order) {
        return;
    }
    const auto& charging = history(Slot::charging).order;
    if (!current.order->was_ordered && (!charging || charging->command.kind != CommandKind::charge_start)) {
        current.order.reset();  // the start that needed this wake is gone
        return;
    }
    if (const auto reason = reason_done(current, facts, now)) {
        step.finished.push_back(finish(current, Outcome::Kind::done, *reason));
        return;
    }
    if (now - current.order->ordered_at >= pacing_.expire_after) {
        step.finished.push_back(
            finish(current, Outcome::Kind::failed,
                   fmt::format("not done within {} s: {}", pacing_.expire_after.count(), current.order->waiting_for)));
        return;
    }
    if (const auto reason = reason_hopeless(current, facts, now)) {
        step.finished.push_back(finish(current, Outcome::Kind::failed, *reason));
        return;
    }
    soonest(step.again_at, current.order->ordered_at + pacing_.expire_after);
    if (!waits_for_position(*current.order, facts, now, step) && !waits_for_waking(current, facts, now, step)) {
        schedule(slot, now, step);
    }
}

// An acknowledgement is a promise, so a later report that says otherwise counts more; but a car that keeps promising
// and keeps reporting something else (it caps the current, its screen shows 5 A) is not asked over and over.
std::optional<std::string> CommandQueue::reason_acknowledged(const History& history, const VehicleFacts& facts,
                                                             Instant now) const {
    if (history.acknowledged != history.order->command || now - history.acknowledged_at > pacing_.confirmed_for) {
        return std::nullopt;
    }
    const bool is_contradicted =
        agrees(*history.acknowledged, facts, history.acknowledged_at + contradiction_after) == std::optional(false);
    if (is_contradicted && history.acknowledgements < convincing_acknowledgements) {
        return std::nullopt;
    }
    return fmt::format("the car accepted the same {} s ago", whole_seconds(now - history.acknowledged_at));
}

std::optional<std::string> CommandQueue::reason_done(const History& history, const VehicleFacts& facts,
                                                     Instant now) const {
    const Command& command = history.order->command;
    if (history.order->copies > 0) {
        return std::nullopt;  // halfway through a command that is sent twice
    }
    if (command.kind == CommandKind::wake && is_waking(now)) {
        return "the car was woken a moment ago";
    }
    if (command.kind == CommandKind::charge_stop) {
        const auto recently = std::max(now - sleep_is_fresh, history.last_sent_at.value_or(Instant::min()));
        const auto state = reported_after(facts.sleep_state, recently);
        if (state && *state != SleepState::online) {
            return "the car is asleep, so it does not charge";
        }
    }
    if (command.kind != CommandKind::wake) {
        if (auto reason = reason_acknowledged(history, facts, now)) {
            return reason;
        }
    }
    const auto max_age = command.kind == CommandKind::wake ? sleep_is_fresh : pacing_.confirmed_for;
    auto since = now - max_age;
    if (history.last_sent_at) {
        since = std::max<Instant>(since, *history.last_sent_at + report_settles);
    }
    if (agrees(command, facts, since) == std::optional(true)) {
        return "the car reports that already";
    }
    return std::nullopt;
}

std::optional<std::string> CommandQueue::reason_hopeless(const History& history, const VehicleFacts& facts,
                                                         Instant now) const {
    const auto& refusal = history.refusal;
    if (refusal && refusal->command == history.order->command && now - refusal->at < refusal_stands &&
        refusal->situation == situation_of(facts)) {
        return fmt::format("{} (its answer {} s ago)", refusal->reason, whole_seconds(now - refusal->at));
    }
    const bool is_away = pacing_.only_at_home && value_of(facts.at_home) == std::optional(false);
    if (is_away && fresh_value(facts.at_home, now, position_is_fresh)) {
        return "the car is not at home";
    }
    if (is_away && is_asleep(facts)) {
        return "the car sleeps where it was last seen: not at home";
    }
    return std::nullopt;
}

// Seen away a while ago: it may have come home, and only the car can tell.
bool CommandQueue::waits_for_position(Order& order, const VehicleFacts& facts, Instant now, Step& step) const {
    const bool is_away = pacing_.only_at_home && value_of(facts.at_home) == std::optional(false);
    if (!is_away || fresh_value(facts.at_home, now, position_is_fresh)) {
        return false;
    }
    order.waiting_for = "the car was last seen away from home, and its new position is not known";
    step.read_first = true;
    return true;
}

bool CommandQueue::waits_for_waking(History& history, const VehicleFacts& facts, Instant now, Step& step) {
    Order& order = *history.order;
    const auto kind = order.command.kind;
    const bool needs_no_waking = kind == CommandKind::wake || kind == CommandKind::charge_stop;
    if (needs_no_waking || !is_asleep(facts)) {
        return false;
    }
    if (is_waking(now)) {
        order.waiting_for = "the car is waking up";
        const Instant ready = *woken_at_ + wake_settles;
        soonest(step.again_at, std::max(ready, now));
        return now < ready;
    }
    if (kind != CommandKind::charge_start) {
        order.waiting_for = "the car is asleep, and only charge_start and wake wake it";
        return true;
    }
    if (pacing_.commands_wake) {
        return false;
    }
    order.waiting_for = "the car is asleep";
    auto& wake = this->history(Slot::wake);
    if (!wake.order) {
        wake.order = Order{.command = {.kind = CommandKind::wake, .value = 0},
                           .ordered_at = now,
                           .waiting_for = "its turn",
                           .not_before = {},
                           .was_ordered = false};
        schedule(Slot::wake, now, step);
    }
    if (!wake.order) {
        step.finished.push_back(finish(history, Outcome::Kind::failed,
                                       fmt::format("the car is asleep, and {}", step.finished.back().reason)));
    }
    return true;
}

void CommandQueue::schedule(Slot slot, Instant now, Step& step) {
    auto& current = history(slot);
    const Earliest due = earliest(slot, now);
    if (due.at <= now) {
        if (!step.send) {
            step.send = current.order->command;
        }
        return;
    }
    if (due.at >= current.order->ordered_at + pacing_.expire_after) {
        step.finished.push_back(finish(current, Outcome::Kind::failed, due.reason));
        return;
    }
    current.order->waiting_for = due.reason;
    soonest(step.again_at, due.at);
}

CommandQueue::Earliest CommandQueue::earliest(Slot slot, Instant now) {
    const auto& current = history(slot);
    const Order& order = *current.order;
    Earliest earliest{now, {}};
    if (order.not_before) {
        earliest.not_before(*order.not_before, order.waiting_for);
    }
    if (last_call_) {
        earliest.not_before(*last_call_ + pacing_.any_gap, "the last command was a moment ago");
    }
    if (current.last_sent_at && order.copies == 0) {
        // A repetition of what got no answer is spaced by its back-off; a renewed order has none yet.
        const bool is_new = current.last_was_answered || current.last_sent != order.command;
        const std::chrono::seconds least = slot == Slot::wake ? least_wake_gap : first_back_off;
        const auto gap = is_new ? gap_of(slot) : least;
        earliest.not_before(*current.last_sent_at + gap,
                            fmt::format("{} is sent at most every {} s", to_word(order.command.kind), gap.count()));
    }
    spend_budget_only(order.command, now, earliest);
    earliest.not_before(held_until_, held_reason_);
    return earliest;
}

void CommandQueue::spend_budget_only(const Command& command, Instant now, Earliest& earliest) {
    // A stop saves money or spares a fuse: it always goes out.
    if (command.kind != CommandKind::charge_stop) {
        earliest.not_before(free_at(calls_today_, pacing_.commands_per_day, now),
                            fmt::format("the {} commands of this day are used up", pacing_.commands_per_day));
    }
    if (command.kind == CommandKind::wake) {
        earliest.not_before(free_at(wakes_today_, pacing_.wakes_per_day, now),
                            fmt::format("the {} wakes of this day are used up", pacing_.wakes_per_day));
    }
}

void CommandQueue::sent(const Command& command, Instant now) {
    auto& current = history(slot_of(command.kind));
    last_call_ = now;
    calls_today_.push_back(now);
    if (command.kind == CommandKind::wake) {
        wakes_today_.push_back(now);
    }
    current.last_sent = command;
    current.last_sent_at = now;
    current.last_was_answered = false;
    if (current.order && current.order->command == command) {
        ++current.order->attempts;
    }
}

std::optional<Outcome> CommandQueue::answered(const Command& command, const Verdict& verdict, const VehicleFacts& facts,
                                              Instant now) {
    auto& current = history(slot_of(command.kind));
    if (verdict.kind == Verdict::Kind::done) {
        blocked_ = false;
        current.last_was_answered = true;
        return accepted_by_car(current, command, verdict, now);
    }
    return not_done(current, command, verdict, facts, now);
}

std::optional<Outcome> CommandQueue::accepted_by_car(History& history, const Command& command, const Verdict& verdict,
                                                     Instant now) {
    const bool is_current = history.order && history.order->command == command;
    history.refusal.reset();
    if (is_current && needs_second_copy(*history.order)) {
        history.order->copies = 1;
        history.order->not_before = now + second_copy_after;
        history.order->waiting_for = "the second of two equal requests";
        return std::nullopt;
    }
    if (command.kind == CommandKind::wake) {
        woken_at_ = now;
    }
    auto& amps = this->history(Slot::amps);
    if (command.kind == CommandKind::charge_start && amps.acknowledged && amps.acknowledged->value < honoured_amps) {
        amps.acknowledged.reset();  // small currents are forgotten when charging starts again
    }
    history.acknowledgements = history.acknowledged == command ? history.acknowledgements + 1 : 1;
    history.acknowledged = command;
    history.acknowledged_at = now;
    return is_current ? std::optional(finish(history, Outcome::Kind::done, verdict.reason)) : std::nullopt;
}

std::optional<Outcome> CommandQueue::not_done(History& history, const Command& command, const Verdict& verdict,
                                              const VehicleFacts& facts, Instant now) {
    const bool is_current = history.order && history.order->command == command;
    const auto end = [&](Outcome::Kind kind) {
        return is_current ? std::optional(finish(history, kind, verdict.reason)) : std::nullopt;
    };
    const auto wait = [&](std::chrono::seconds delay) {
        if (is_current) {
            history.order->not_before = now + delay;
            history.order->waiting_for = verdict.reason;
        }
        return std::nullopt;
    };
    const int attempts = is_current ? std::max(1, history.order->attempts) : 1;
    const auto back_off =
        std::min<std::chrono::seconds>(first_back_off * (1 << std::min(attempts - 1, 6)), longest_back_off);
    switch (verdict.kind) {
        case Verdict::Kind::asleep:
            if (command.kind == CommandKind::charge_stop) {
                history.last_was_answered = true;
                return is_current ? std::optional(finish(history, Outcome::Kind::done,
                                                         "the car is asleep, so it does not charge"))
                                  : std::nullopt;
            }
            return wait(std::max<std::chrono::seconds>(asleep_retry, back_off / 2));
        case Verdict::Kind::rate_limited:
            hold_until(now + verdict.retry_after, verdict.reason);
            return std::nullopt;
        case Verdict::Kind::refused:
            history.last_was_answered = true;
            history.refusal = Refusal{command, situation_of(facts), verdict.reason, now};
            history.acknowledged.reset();
            return end(Outcome::Kind::failed);
        case Verdict::Kind::blocked:
        case Verdict::Kind::unauthorised:
            blocked_ = true;
            hold_until(now + blocked_pause, verdict.reason);
            return end(Outcome::Kind::failed);
        case Verdict::Kind::retry:
        case Verdict::Kind::done:
            break;
    }
    return wait(back_off);
}

}  // namespace tesla_bridge
