#pragma once

#include <array>
#include <deque>
#include <optional>
#include <vector>

#include "scheduling/scheduler.hpp"
#include "twc-bus/allocator.hpp"

namespace twc_bus {

/// Watches the conductors of the house connection, so that the main fuse holds even when policy-engine is wrong or
/// gone. It turns what the house draws beside the chargers into limits that the chargers share on each conductor.
///
/// An overload lowers the chargers with the sample that shows it. Everything else waits a second until it is known what
/// the chargers drew when the sample was taken, or their own ramps would look like a change of the house; and more room
/// must have lasted 10 s before it counts. Meters lag and average, so what a sample contains of the chargers is known
/// within a range only: overloads and raises are judged by the end of it that leaves less room. What is not known is
/// never taken for room: without a fresh sample nothing is raised, and after a minute every charger is down to its
/// fail-safe current (architecture, safety rule 4). Currents are in hundredths of an amp.
class FuseGuard {
public:
    explicit FuseGuard(int fuse_ca, scheduling::Instant started) : fuse_ca_(fuse_ca), heard_at_(started) {}

    /// What the chargers draw now on each conductor, by what they report.
    void on_drawn(const std::array<int, 3>& drawn_ca, scheduling::Instant now);
    /// A sample of the house connection, + import; none: there is no such conductor. `measured_at`: as far as known.
    void on_sample(const std::array<std::optional<int>, 3>& grid_ca, scheduling::Instant measured_at,
                   scheduling::Instant now);

    std::vector<SharedLimit> limits() const;
    /// Nothing may be raised.
    bool is_blind(scheduling::Instant now) const;
    /// Only fail-safe currents may flow.
    bool is_lost(scheduling::Instant now) const;
    /// When that changes next by itself.
    scheduling::Instant changes_at(scheduling::Instant now) const;
    /// The conductor on which the fuse carries more than it is rated for, by the newest sample: 0 to 2.
    std::optional<int> overloaded_line() const { return overloaded_; }

private:
    using PerLine = std::array<std::optional<int>, 3>;
    struct Drawn {
        scheduling::Instant at;
        std::array<int, 3> ca{};
    };
    struct Sample {
        scheduling::Instant measured_at;
        PerLine grid_ca;
    };
    struct Room {
        scheduling::Instant at;
        PerLine ca;
    };
    struct Range {
        int low = 0;
        int high = 0;
    };

    void stop_overload(const Sample& sample);
    void judge_ripe_samples(scheduling::Instant now);
    void judge(const Sample& sample);
    Range drawn_around(std::size_t line, scheduling::Instant measured_at) const;
    int lowest_room(std::size_t line) const;

    int fuse_ca_;
    scheduling::Instant heard_at_;
    std::deque<Drawn> drawn_;
    std::deque<Sample> samples_;  ///< Not judged yet.
    std::deque<Room> rooms_;      ///< By the cautious reading, by time of the sample.
    PerLine limit_ca_;
    std::optional<int> overloaded_;
};

}  // namespace twc_bus
