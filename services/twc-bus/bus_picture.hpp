#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "scheduling/scheduler.hpp"
#include "twc-bus/inquiry.hpp"
#include "twc-bus/protocol.hpp"

namespace twc_bus {

/// Someone who sends what only masters send.
struct HeardMaster {
    scheduling::Instant heard;
    int frames = 0;        ///< One alone may be a damaged answer: its first byte is protected by nothing.
    bool plugged = false;  ///< It is a Wall Connector with a car of its own.

    bool certain() const { return frames >= 2; }
};

/// What a master told a unit.
struct Order {
    std::uint8_t command = command::no_change;
    int limit_ca = 0;
    bool operator==(const Order&) const = default;
};

/// A unit as the line shows it.
struct HeardUnit {
    std::optional<scheduling::Instant> heard;  ///< It said something itself.
    std::optional<int> protocol;
    std::optional<int> rating_ca;
    std::optional<scheduling::Instant> addressed;  ///< Its newest heartbeat from a master.
    std::optional<std::uint8_t> newest_command;
    std::optional<Order> told;  ///< The newest heartbeat that carried a limit.
    std::optional<SlaveHeartbeat> last;
    std::optional<scheduling::Instant> last_answer;
    Inquiry inquiry;
    std::optional<PowerReport> power;  ///< The newest one.
};

/// Who is on the line and what they say to each other, from what was heard and when; nothing else.
///
/// An answer counts only from a unit that was asked before, and reports only from units and masters that are known:
/// a frame whose first byte was damaged turns a question into an answer and still verifies. Real masters report about
/// themselves as well (TWC protocol notes, 10.1), so a master can be among the units.
class BusPicture {
public:
    /// Returns the unit about which there is something new.
    std::optional<UnitId> on_message(const Message& message, scheduling::Instant now);
    /// Forgets who has been silent for too long. What is known of a unit's car ends with its answers.
    void expire(scheduling::Instant now);

    /// Ourselves: not a unit that is watched.
    void leave_out(UnitId id);

    /// Heard twice and not long ago, by id. More than one is a fault of the installation.
    std::vector<UnitId> masters() const;
    bool is_master(UnitId id) const;
    /// The master itself has a car.
    bool is_plugged_master(UnitId id) const;
    /// By id; also such that were only spoken to.
    const std::map<UnitId, HeardUnit>& units() const { return units_; }
    /// It spoke lately: it is there.
    static bool is_present(const HeardUnit& unit, scheduling::Instant now);
    /// The newest message that made sense.
    std::optional<scheduling::Instant> heard() const { return heard_; }

private:
    struct Taker;

    void note_master(UnitId id, scheduling::Instant now);
    HeardUnit* unit(UnitId id);
    HeardUnit* reporting_unit(UnitId id, scheduling::Instant now);

    std::map<UnitId, HeardMaster> masters_;
    std::map<UnitId, HeardUnit> units_;
    std::set<UnitId> left_out_;
    std::optional<scheduling::Instant> heard_;
};

}  // namespace twc_bus
