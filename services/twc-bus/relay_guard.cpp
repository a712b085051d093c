#include "twc-bus/relay_guard.hpp"

#include "twc-bus/claim.hpp"

namespace twc_bus {

namespace {

using namespace std::chrono_literals;
using scheduling::Instant;

// One answer without current may be damage.
constexpr auto open_for_sure = 2s;
constexpr auto watched = 10min;
constexpr std::size_t too_many_closings = 6;
constexpr auto told_again_after = 1h;

}  // namespace

void RelayGuard::on_heartbeat(const SlaveHeartbeat& heartbeat, Instant now) {
    if (heartbeat.drawn_ca >= drawing_ca) {
        low_since_.reset();
        if (!closed_) {
            closed_ = true;
            closings_.push_back(now);
            while (now - closings_.front() > watched) {
                closings_.pop_front();
            }
        }
        return;
    }
    low_since_ = low_since_.value_or(now);
    if (closed_ && now - *low_since_ >= open_for_sure) {
        closed_ = false;
        opened_at_ = low_since_;
    }
}

bool RelayGuard::take_chatter(Instant now) {
    const bool often = closings_.size() >= too_many_closings && now - closings_.front() <= watched;
    if (!often || (told_at_ && now - *told_at_ < told_again_after)) {
        return false;
    }
    told_at_ = now;
    return true;
}

}  // namespace twc_bus
