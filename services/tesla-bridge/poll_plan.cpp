#include "tesla-bridge/poll_plan.hpp"

#include <algorithm>

namespace tesla_bridge {

namespace {

using namespace std::chrono_literals;
using scheduling::Instant;

constexpr auto day = 24h;
constexpr auto least_gap = 10s;  // far inside the 60 reads a minute that are allowed
constexpr auto first_back_off = 30s;
constexpr auto longest_back_off = 1800s;
constexpr auto blocked_pause = 300s;

}  // namespace

std::chrono::seconds PollPlan::interval(const VehicleFacts& facts) const {
    if (is_asleep(facts)) {
        return pace_.asleep;
    }
    const auto state = value_of(facts.charging_state);
    const bool draws = state == ChargingState::charging || state == ChargingState::starting;
    return draws ? pace_.charging : pace_.idle;
}

Poll PollPlan::next_poll(const VehicleFacts& facts, Instant now) {
    Poll poll{.at = now, .depth = is_asleep(facts) ? ReadDepth::presence : ReadDepth::full};
    if (last_started_) {
        // Another source's news are as good as our own; but only after one look of our own, because a source that
        // reports changes does not say what it left out.
        const Instant last = std::max(*last_started_, facts.heard_at.value_or(*last_started_));
        poll.at = last + interval(facts);
        if (wanted_at_) {
            poll.at = std::min(poll.at, std::max(*wanted_at_, *last_started_ + least_gap));
        }
        if (retry_at_) {
            poll.at = *retry_at_;
        }
    }
    while (!reads_today_.empty() && now - reads_today_.front() >= day) {
        reads_today_.pop_front();
    }
    if (poll.depth == ReadDepth::full && static_cast<long long>(reads_today_.size()) >= pace_.reads_per_day) {
        poll.at = std::max(poll.at, reads_today_.front() + day);
    }
    poll.at = std::max(poll.at, held_until_);
    return poll;
}

void PollPlan::started(ReadDepth depth, Instant now) {
    last_started_ = now;
    wanted_at_.reset();
    if (depth == ReadDepth::full) {
        reads_today_.push_back(now);
    }
}

void PollPlan::answered(ReadDepth depth, const Verdict& verdict, const VehicleFacts& facts, Instant now) {
    switch (verdict.kind) {
        case Verdict::Kind::done:
            // It woke up by itself: see why, unless this answer told already.
            if (depth == ReadDepth::presence && !is_asleep(facts) && facts.heard_at < last_started_) {
                wanted_at_ = now;
            }
            [[fallthrough]];
        case Verdict::Kind::asleep:
            failures_ = 0;
            retry_at_.reset();
            return;
        case Verdict::Kind::rate_limited:
            hold_until(now + verdict.retry_after);
            retry_at_ = now + verdict.retry_after;
            return;
        case Verdict::Kind::blocked:
        case Verdict::Kind::unauthorised:
            ++failures_;
            retry_at_ = now + blocked_pause;
            return;
        case Verdict::Kind::refused:
        case Verdict::Kind::retry:
            break;
    }
    retry_at_ = now + std::min<std::chrono::seconds>(first_back_off * (1 << std::min(failures_, 7)), longest_back_off);
    ++failures_;
}

void PollPlan::want_read_at(Instant when) { wanted_at_ = wanted_at_ ? std::min(*wanted_at_, when) : when; }

void PollPlan::hold_until(Instant until) { held_until_ = std::max(held_until_, until); }

}  // namespace tesla_bridge
