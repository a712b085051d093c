#pragma once

#include <optional>

#include "scheduling/scheduler.hpp"
#include "twc-bus/protocol.hpp"

namespace twc_bus {

/// When the work-around is used; by default never: cars of today do not need it (TWC protocol notes, 6.3 and 12.12).
struct SpikeSettings {
    bool on_raise = false;    ///< Before the limit of a charging car is raised.
    bool when_stuck = false;  ///< When a car draws 2 A less than it may for 10 s.
    std::optional<int> ca;    ///< Default: 21 A where the unit is rated 80 A, else 16 A.
    bool operator==(const SpikeSettings&) const = default;
};

/// The work-around for cars of 2017 that answer any raise by dropping to 5 A: a high limit for 5 s, then the wanted
/// one. It only asks: the allocator grants the high limit in full, out of what everybody else leaves, or not at all.
class Spike {
public:
    explicit Spike(SpikeSettings settings = {}) : settings_(settings) {}

    void on_heartbeat(const SlaveHeartbeat& heartbeat, scheduling::Instant now);
    /// What to ask for in place of `wish_ca` for now; none: nothing else.
    std::optional<int> instead_of(int wish_ca, int granted_ca, std::optional<int> rating_ca, scheduling::Instant now);
    /// The limits do not allow it now.
    void refused(scheduling::Instant now);

private:
    bool is_called_for(int wish_ca, int granted_ca, int spike_ca, scheduling::Instant now) const;

    SpikeSettings settings_;
    std::optional<SlaveHeartbeat> last_;
    int settled_ca_ = 0;  ///< Drawn current at its last significant change.
    scheduling::Instant settled_at_;
    std::optional<int> wish_before_ca_;
    std::optional<scheduling::Instant> began_;
    std::optional<scheduling::Instant> echoed_;
    std::optional<scheduling::Instant> again_from_;
};

}  // namespace twc_bus
