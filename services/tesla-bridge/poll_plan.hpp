#pragma once

#include <chrono>
#include <deque>
#include <optional>

#include "tesla-bridge/vehicle_link.hpp"

namespace tesla_bridge {

/// How often a car is asked for its state. A full read of a parked car restarts its sleep timer of 10 to 15 minutes, so
/// idle intervals below that keep it awake all day.
struct PollPace {
    std::chrono::seconds charging{300};
    std::chrono::seconds idle{1200};   ///< Awake, not charging.
    std::chrono::seconds asleep{600};  ///< Presence only: neither wakes nor keeps awake.
    int reads_per_day = 200;           ///< Full reads in any 24 h.
};

/// When to ask next, and for what.
struct Poll {
    scheduling::Instant at;
    ReadDepth depth = ReadDepth::full;
};

/// Decides when to read a car's state. Whatever another source reported counts as read. Never asks a sleeping car for
/// more than its presence, and never wakes one. Pure. Source of the numbers: Tesla vehicle notes 1.8, 6.3 and 6.4.
class PollPlan {
public:
    explicit PollPlan(PollPace pace) : pace_(pace) {}

    /// The next read that is due, given that nothing else happens.
    Poll next_poll(const VehicleFacts& facts, scheduling::Instant now);

    /// That read is being made.
    void started(ReadDepth depth, scheduling::Instant now);
    /// What became of it; `facts` already hold its news.
    void answered(ReadDepth depth, const Verdict& verdict, const VehicleFacts& facts, scheduling::Instant now);

    /// A full read is wanted then: to see what a command did, or because an order waits for news.
    void want_read_at(scheduling::Instant when);
    void hold_until(scheduling::Instant until);

    /// Reads that failed in a row; a sleeping car is no failure.
    int failures() const { return failures_; }

private:
    std::chrono::seconds interval(const VehicleFacts& facts) const;

    PollPace pace_;
    std::optional<scheduling::Instant> last_started_;
    std::optional<scheduling::Instant> wanted_at_;
    std::optional<scheduling::Instant> retry_at_;
    scheduling::Instant held_until_{};
    std::deque<scheduling::Instant> reads_today_;
    int failures_ = 0;
};

}  // namespace tesla_bridge
