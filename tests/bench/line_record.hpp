#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "scheduling/scheduler.hpp"
#include "twc-bus/frame.hpp"

/// What was heard on the line, and what can be read from it. Pure.
namespace bench {

using scheduling::Instant;
using twc_bus::Bytes;
using UnitNumber = std::uint16_t;

struct MasterFrame {
    Instant at;  ///< Its last byte came out of the pseudo-terminal, which does not pace: there its first one came too.
    Bytes body;
};

struct UnitFrame {
    Instant ended;            ///< Its closing delimiter has left.
    Bytes body;               ///< As meant by the unit.
    bool clean = true;        ///< No bit of it was changed on the way.
    bool still_valid = true;  ///< The checksum of what arrived is right, changed or not.
};

/// All units together from this instant on, in hundredths of an amp.
struct Level {
    Instant at;
    int told_ca = 0;   ///< The limits that those with a car work to.
    int drawn_ca = 0;  ///< What the cars draw.
};

struct LineRecord {
    std::vector<MasterFrame> from_master;
    std::vector<UnitFrame> from_units;
    std::vector<Level> levels;      ///< One for each change.
    int overlaps = 0;               ///< Frames the master began while a unit talked, its trailing byte included.
    scheduling::Duration latest{};  ///< How late bytes of units were at worst: what the machine was too busy for.
};

/// Arrivals of the heartbeats at each unit.
std::map<UnitNumber, std::vector<Instant>> heartbeats(const LineRecord& record);
/// From each heartbeat to the next one of the same unit; all units in one list.
std::vector<double> periods_s(const LineRecord& record);
/// From the end of a unit's answer to the master's next frame, where that is a heartbeat to another unit that is due.
std::vector<double> turnarounds_ms(const LineRecord& record);

std::optional<Instant> first_heartbeat(const LineRecord& record);
/// The end of the first answer to a heartbeat.
std::optional<Instant> first_acknowledgement(const LineRecord& record);
/// The end of the first announcement of a unit.
std::optional<Instant> first_announcement(const LineRecord& record);
/// How many units have answered a heartbeat.
std::size_t units_acknowledging(const LineRecord& record);
/// When all of `limits_ca` have been echoed in answers; none: not yet.
std::optional<Instant> all_echoed(const LineRecord& record, const std::map<UnitNumber, int>& limits_ca);

/// How long a sum (`&Level::told_ca` or `&Level::drawn_ca`) was above a limit between two instants. Levels before
/// `from` count as far as they reach beyond it.
double seconds_above(const LineRecord& record, int Level::*sum_ca, int limit_ca, Instant from, Instant to);
int highest_ca(const LineRecord& record, int Level::*sum_ca);

}  // namespace bench
