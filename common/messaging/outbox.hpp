#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "messaging/message_bus.hpp"
#include "scheduling/scheduler.hpp"

namespace messaging {

/// QoS 1 publications on their way to a broker: a few unacknowledged, the others wait for their turn.
///
/// A broker says how many it takes at once (MQTT 5, Receive Maximum: 20 with Mosquitto, 10 with HiveMQ). Paho 1.3.12
/// respects that, but goes on only once a second when it was reached, not at the next acknowledgement; so we stay
/// below.
class Outbox {
public:
    static constexpr int most_in_flight = 8;
    static constexpr std::size_t most_waiting = 2000;
    /// A broker that says nothing for so long has forgotten: what is in flight is not counted any more.
    static constexpr std::chrono::seconds patience{10};

    /// A retained value replaces one of its topic that still waits. False: too many wait, it was not taken.
    bool add(const Publication& publication, scheduling::Instant now);

    /// What is to be sent now, if anything; in the order of `add`. What has expired while it waited is left out and
    /// counted in `expired`.
    std::optional<Publication> next(scheduling::Instant now);

    /// One that `next` returned has been answered, or could not be sent.
    void done(scheduling::Instant now);

    /// The connection is gone: nothing is in flight any more. Returns what still waited.
    std::vector<Publication> take_waiting();

    std::size_t waiting() const { return waiting_.size(); }
    int in_flight() const { return in_flight_; }
    std::uint64_t expired() const { return expired_; }

private:
    struct Entry {
        Publication publication;
        scheduling::Instant since;
    };

    std::deque<Entry> waiting_;
    int in_flight_ = 0;
    scheduling::Instant progress_{};  ///< When something was last sent or answered.
    std::uint64_t expired_ = 0;
};

}  // namespace messaging
