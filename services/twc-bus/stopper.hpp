#pragma once

#include <optional>

#include "scheduling/scheduler.hpp"
#include "twc-bus/protocol.hpp"

namespace twc_bus {

/// How a car is stopped that goes on at 6 A although its unit was told 0, as protocol 2 units let it
/// (TWC protocol notes, 6.6).
enum class StopMeans {
    limit,      ///< Not at all from here: 0 A is all that is told. The car may be stopped through its own link.
    contactor,  ///< FC B2 opens the contactor, FC B1 closes it. Firmware 4.5.3; not for Teslas, which show a fault.
    silence,  ///< No heartbeats: the unit gives up after half a minute. Works about three times until plugged in again.
};

/// Decides when the means of last resort is used on one unit. Never within the first minute of charging, only after
/// the car had half a minute to come down to what the unit gives at 0 A, and never more than three times in a row.
class Stopper {
public:
    explicit Stopper(StopMeans means = StopMeans::limit) : means_(means) {}

    enum class Action { none, open_contactor, close_contactor, fall_silent };
    enum class Refusal { tesla, does_not_obey, silence_used_up };

    /// `plugged` and `tesla`: as far as known; a car that shows a VIN is a Tesla.
    void on_heartbeat(const SlaveHeartbeat& heartbeat, std::optional<bool> plugged, bool tesla,
                      scheduling::Instant now);
    /// `granted_ca`: what the unit is told.
    Action due(int granted_ca, scheduling::Instant now);
    void done(Action action, scheduling::Instant now);
    /// Why the means is not used although it is due; each reason once until the car was unplugged.
    std::optional<Refusal> take_refusal();

private:
    bool is_wanted(int granted_ca, scheduling::Instant now);
    Action refuse(Refusal refusal);

    StopMeans means_;
    bool tesla_ = false;
    std::optional<SlaveHeartbeat> last_;
    std::optional<scheduling::Instant> drawing_since_;
    std::optional<scheduling::Instant> told_zero_since_;
    bool opened_ = false;
    int attempts_ = 0;
    int silences_ = 0;
    std::optional<scheduling::Instant> next_attempt_;
    std::optional<Refusal> refusal_;
    std::optional<Refusal> last_refusal_;
};

}  // namespace twc_bus
