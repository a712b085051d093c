#pragma once

#include <deque>
#include <optional>

#include "scheduling/scheduler.hpp"
#include "twc-bus/protocol.hpp"

namespace twc_bus {

/// Spares the contactor of one unit: after the current ended it rests before anything is offered again, however often
/// set-points change, and a contactor that closes often is told of. Cars latch off, too, when they are stopped and
/// started again at once (TWC protocol notes, 6.2).
class RelayGuard {
public:
    explicit RelayGuard(scheduling::Duration rest = {}) : rest_(rest) {}

    void on_heartbeat(const SlaveHeartbeat& heartbeat, scheduling::Instant now);

    /// Nothing may be offered to a unit that is granted nothing.
    bool rests(scheduling::Instant now) const { return opened_at_ && now - *opened_at_ < rest_; }
    /// True once when its contactor closed for the sixth time within ten minutes; again after an hour at the earliest.
    bool take_chatter(scheduling::Instant now);

private:
    scheduling::Duration rest_;
    bool closed_ = false;
    std::optional<scheduling::Instant> low_since_;
    std::optional<scheduling::Instant> opened_at_;
    std::deque<scheduling::Instant> closings_;
    std::optional<scheduling::Instant> told_at_;
};

}  // namespace twc_bus
