#pragma once

#include <cstdint>
#include <deque>
#include <string>

#include "scheduling/scheduler.hpp"

namespace twc_bus {

/// What went over one line since start.
struct LineCounters {
    std::uint64_t bytes = 0;    ///< Received, of whatever kind.
    std::uint64_t frames = 0;   ///< That verified, returned ones of our own included.
    std::uint64_t echoes = 0;   ///< Our own, returned by the adapter.
    std::uint64_t damaged = 0;  ///< Segments as long as a frame that do not verify.
    std::uint64_t sent = 0;
    std::uint64_t asked = 0;  ///< Of those, heartbeats and questions, which are to be answered.
    std::uint64_t unanswered = 0;
};

/// What is so at this moment.
struct LineFacts {
    bool up = false;
    std::string down_because;
    int chargers = 0;           ///< That answer.
    std::string deaf_charger;   ///< Announces itself again and again although it gets heartbeats; empty: none does.
    std::string shared_id;      ///< Two units use it; empty: none.
    bool other_master = false;  ///< Someone else offers on this line.
    bool too_many = false;      ///< A fourth unit is there.
};

struct Verdict {
    bool healthy = true;
    std::string words;  ///< What to look at, in words an installer understands.
    bool operator==(const Verdict&) const = default;
};

/// Judges a line by its last minute.
class Health {
public:
    void sample(const LineCounters& counters, scheduling::Instant now);
    Verdict judge(const LineFacts& facts) const;

private:
    struct Sample {
        scheduling::Instant at;
        LineCounters counters;
    };

    std::deque<Sample> samples_;
};

}  // namespace twc_bus
