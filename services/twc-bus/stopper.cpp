#include "twc-bus/stopper.hpp"

#include "twc-bus/claim.hpp"

namespace twc_bus {

namespace {

using namespace std::chrono_literals;
using scheduling::Instant;

constexpr auto first_minute = 60s;
constexpr auto time_to_come_down = 30s;
constexpr auto between_attempts = 5s;
constexpr int most_attempts = 3;
constexpr int most_silences = 3;

}  // namespace

void Stopper::on_heartbeat(const SlaveHeartbeat& heartbeat, std::optional<bool> plugged, bool tesla, Instant now) {
    tesla_ = tesla;
    last_ = heartbeat;
    if (heartbeat.drawn_ca < drawing_ca) {
        drawing_since_.reset();
    } else {
        drawing_since_ = drawing_since_.value_or(now);
    }
    if (plugged == false) {
        opened_ = false;
        attempts_ = 0;
        silences_ = 0;
        last_refusal_.reset();
    }
}

// Opened with the least current that can be had.
bool Stopper::is_wanted(int granted_ca, Instant now) {
    if (granted_ca > 0) {
        told_zero_since_.reset();
        return false;
    }
    told_zero_since_ = told_zero_since_.value_or(now);
    return drawing_since_ && now - *drawing_since_ >= first_minute && now - *told_zero_since_ >= time_to_come_down &&
           last_->drawn_ca <= zero_echo_ca + meter_error_ca;
}

Stopper::Action Stopper::refuse(Refusal refusal) {
    if (last_refusal_ != refusal) {
        last_refusal_ = refusal;
        refusal_ = refusal;
    }
    return Action::none;
}

Stopper::Action Stopper::due(int granted_ca, Instant now) {
    const bool wanted = is_wanted(granted_ca, now);
    if (means_ == StopMeans::limit || !last_ || last_->protocol == 1 || (next_attempt_ && now < *next_attempt_)) {
        return Action::none;
    }
    if (means_ == StopMeans::silence) {
        if (!wanted) {
            return Action::none;
        }
        return silences_ < most_silences ? Action::fall_silent : refuse(Refusal::silence_used_up);
    }
    if (opened_ && granted_ca > 0) {
        if (drawing_since_) {
            opened_ = false;
            attempts_ = 0;
            return Action::none;
        }
        return attempts_ < most_attempts ? Action::close_contactor : Action::none;
    }
    if (!wanted) {
        attempts_ = drawing_since_ ? attempts_ : 0;
        return Action::none;
    }
    if (tesla_) {
        return refuse(Refusal::tesla);
    }
    return attempts_ < most_attempts ? Action::open_contactor : refuse(Refusal::does_not_obey);
}

void Stopper::done(Action action, Instant now) {
    next_attempt_ = now + between_attempts;
    switch (action) {
        case Action::none:
            break;
        case Action::open_contactor:
            ++attempts_;
            opened_ = true;
            break;
        case Action::close_contactor:
            ++attempts_;
            break;
        case Action::fall_silent:
            ++silences_;
            drawing_since_.reset();
            break;
    }
}

std::optional<Stopper::Refusal> Stopper::take_refusal() { return std::exchange(refusal_, std::nullopt); }

}  // namespace twc_bus
