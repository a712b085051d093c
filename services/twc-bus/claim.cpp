#include "twc-bus/claim.hpp"

#include <algorithm>

namespace twc_bus {

namespace {

using namespace std::chrono_literals;

constexpr auto answer_is_lost_after = 5s;
constexpr auto idle_after = 10s;
constexpr auto idle_is_known_for = 5s;
constexpr std::uint8_t ready_state = 0x00;

}  // namespace

void Claim::sent(std::optional<int> limit_ca, scheduling::Instant now) {
    ++number_;
    unanswered_.push_back({number_, now});
    if (limit_ca) {
        outstanding_[*limit_ca] = number_;
        last_limit_ca_ = limit_ca;
    }
    // Of a unit that was not heard for a while nobody knows whether a car has come.
    if (answered_at_ && now - *answered_at_ > idle_is_known_for) {
        idle_since_.reset();
        idle_ = false;
    }
}

void Claim::prove(scheduling::Instant now) {
    std::erase_if(unanswered_, [&](const Sent& sent) { return now - sent.at > answer_is_lost_after; });
    if (unanswered_.empty()) {
        return;
    }
    const std::uint64_t belongs_to = unanswered_.front().number;
    unanswered_.pop_front();
    std::erase_if(outstanding_, [&](const auto& limit) { return limit.second + 1 < belongs_to; });
}

bool Claim::explains(int echo_ca) const {
    const bool of_zero = outstanding_.contains(0) && (echo_ca == 0 || echo_ca == zero_echo_ca);
    return of_zero || outstanding_.contains(echo_ca);
}

void Claim::answered(int echo_ca, int drawn_ca, std::uint8_t state, scheduling::Instant now) {
    const bool is_first = !echo_;
    const bool trusted = is_first || echo_ca == last_echo_ca_ || explains(echo_ca);
    prove(now);
    if (trusted) {
        echo_ = echo_ca;
        certain_echo_ca_ = echo_ca;
    } else {
        echo_ = std::max(*echo_, echo_ca);
    }
    last_echo_ca_ = echo_ca;
    drawn_before_ca_ = is_first ? drawn_ca : drawn_ca_;
    drawn_ca_ = drawn_ca;
    answered_at_ = now;

    if (state != ready_state || drawn_ca >= drawing_ca) {
        idle_since_.reset();
    } else if (!idle_since_) {
        idle_since_ = now;
    }
    idle_ = idle_since_ && now - *idle_since_ >= idle_after;
}

int Claim::floor_ca() const { return stops_at_zero_ || (idle_ && !reserves_) ? 0 : zero_echo_ca; }

int Claim::outstanding_ca() const {
    if (outstanding_.empty()) {
        return 0;
    }
    const int highest = outstanding_.rbegin()->first;
    return outstanding_.contains(0) ? std::max(highest, floor_ca()) : highest;
}

int Claim::counted_echo(int echo_ca) const {
    const bool is_echo_of_zero = last_limit_ca_ == 0 && echo_ca <= zero_echo_ca;
    return idle_ && !reserves_ && is_echo_of_zero ? 0 : echo_ca;
}

int Claim::offered_ca() const {
    // Also before it was told anything: being told 0 is what gives a protocol 2 unit its 6 A.
    const int reserved = reserves_ && heard() ? floor_ca() : 0;
    return std::max({outstanding_ca(), counted_echo(echo_.value_or(0)), reserved});
}

int Claim::may_draw_ca() const {
    const int drawn = std::max(drawn_ca_, drawn_before_ca_);
    return std::max(offered_ca(), drawn >= drawing_ca ? drawn : 0);
}

int Claim::certain_ca() const {
    const int offered = std::max(outstanding_ca(), counted_echo(certain_echo_ca_));
    const int drawn = std::min(drawn_ca_, drawn_before_ca_);
    return drawn > offered + meter_error_ca ? drawn : offered;
}

}  // namespace twc_bus
