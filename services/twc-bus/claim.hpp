#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>

#include "scheduling/scheduler.hpp"

namespace twc_bus {

/// A protocol 2 unit told 0 A works to 6.00 A instead (TWC protocol notes, 5.1 and 6.1).
inline constexpr int zero_echo_ca = 600;
/// Below this a reading is the calibration error of an idle unit, not a car (notes, 3.4 and 5).
inline constexpr int drawing_ca = 100;
/// A unit may report this much more than it was offered without anyone disobeying (notes, 5.1: 6.64 A at 6.00 A).
inline constexpr int meter_error_ca = 75;

/// What one charger may draw at this instant, from what was sent to it and what it answered.
///
/// A limit that was sent counts until an answer proves that it is no longer in force, whether or not it was heard.
/// Which heartbeat an answer belongs to is not written in it; it is taken to belong to the oldest one still
/// unanswered, and one older than that to allow for a repeated answer. So a late or repeated answer never proves
/// too much, as long as the line keeps the order and delays nothing by more than 5 s.
class Claim {
public:
    /// A heartbeat left for the charger; `limit_ca` none: without change.
    void sent(std::optional<int> limit_ca, scheduling::Instant now);
    void answered(int echo_ca, int drawn_ca, std::uint8_t state, scheduling::Instant now);
    /// 1 stops at a limit of 0; everything else counts zero_echo_ca then.
    void set_protocol(int protocol) { stops_at_zero_ = protocol == 1; }
    /// An idle unit counts zero_echo_ca as well: a car may come at any moment.
    void reserve_for_idle(bool reserve) { reserves_ = reserve; }

    bool heard() const { return echo_.has_value(); }

    /// The largest limit that may be in force. Meaningless before it was heard.
    int offered_ca() const;
    /// Never too low: what no other charger may be given. Also counts what is drawn, until it came down in two
    /// answers running.
    int may_draw_ca() const;
    /// Like may_draw_ca, without single answers nothing else confirms and within the error of the meter: enough to
    /// take current away from others.
    int certain_ca() const;
    /// What it may still draw when it is granted nothing.
    int floor_ca() const;
    /// Ready and without current for long enough, and heard just now: no car is there, or it sleeps. A car that comes
    /// passes through other states for seconds before it draws.
    bool idle() const { return idle_; }

private:
    struct Sent {
        std::uint64_t number = 0;
        scheduling::Instant at;
    };

    int outstanding_ca() const;
    bool explains(int echo_ca) const;
    int counted_echo(int echo_ca) const;
    void prove(scheduling::Instant now);

    bool stops_at_zero_ = false;
    bool reserves_ = false;
    std::uint64_t number_ = 0;
    std::deque<Sent> unanswered_;
    std::map<int, std::uint64_t> outstanding_;  ///< limit -> number of the last heartbeat that carried it
    std::optional<int> last_limit_ca_;

    std::optional<int> echo_;  ///< As it counts against raises of others.
    int certain_echo_ca_ = 0;
    int last_echo_ca_ = 0;
    int drawn_ca_ = 0;
    int drawn_before_ca_ = 0;
    std::optional<scheduling::Instant> answered_at_;
    std::optional<scheduling::Instant> idle_since_;
    bool idle_ = false;
};

}  // namespace twc_bus
