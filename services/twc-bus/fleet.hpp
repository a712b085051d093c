#pragma once

#include <map>
#include <vector>

#include "twc-bus/bus_master.hpp"

namespace twc_bus {

/// One line of the fleet.
struct FleetLine {
    UnitId master_id = 0x7777;
    scheduling::Duration listen{};  ///< MasterSettings::listen
    std::vector<KnownCharger> known;
};

/// How chargers are treated beside their limits.
struct Care {
    scheduling::Duration restart_pause{};  ///< MasterSettings::restart_pause
    std::map<UnitId, Treatment> treatments;
};

/// The chargers of all lines under one set of limits: a bus master a line, one allocator above them, so that what the
/// wiring carries is shared whichever line a charger hangs on. An ID is used once: a unit that announces itself on a
/// second line while another line knows its ID gets no heartbeats there, so it stays off.
class Fleet {
public:
    Fleet(const Limits& limits, const std::vector<FleetLine>& lines, scheduling::Instant now, const Care& care = {});

    std::size_t size() const { return masters_.size(); }
    const BusMaster& line(std::size_t index) const { return masters_.at(index); }

    /// The line was opened or lost.
    void on_link(std::size_t line, bool up, scheduling::Instant now) { masters_.at(line).on_link(up, now); }
    /// Bytes arrived, of whatever kind.
    void on_activity(std::size_t line, scheduling::Instant now) { masters_.at(line).on_activity(now); }
    /// BusMaster::send_raw
    void send_raw(std::size_t line, Bytes body) { masters_.at(line).send_raw(std::move(body)); }
    /// A frame that verified. Returns the charger, if it was an answer to a heartbeat.
    std::optional<UnitId> on_body(std::size_t line, std::span<const std::uint8_t> body, scheduling::Instant now);

    /// What each charger is to be allowed, in hundredths of an amp. A charger without a wish is left as it is.
    void set_wishes(const std::map<UnitId, int>& wishes);
    /// What the house allows at this moment beside the configured limits. `hold`: nothing may be raised.
    void set_surroundings(std::vector<SharedLimit> passing, bool hold);
    /// Whether a limit may be exceeded for seconds, within the hard ones, by the spike of a charger that is set to.
    void allow_spikes(bool allowed) { may_spike_ = allowed; }

    /// What this line is to send now. Shares the limits out first.
    BusMaster::Step next(std::size_t line, scheduling::Instant now);

    /// By id.
    std::vector<const Charger*> chargers() const;
    const Charger* find(UnitId id) const;
    std::optional<std::size_t> line_of(UnitId id) const;

    bool any_link_up() const;
    bool hears_other_master() const;
    bool listening(scheduling::Instant now) const;
    /// What all chargers together may draw now, as far as confirmed. Units remembered but not heard yet count with
    /// what the wiring leaves at most, because they were within it before.
    int granted_sum_ca() const;
    std::vector<Notice> take_notices();

private:
    void refuse(UnitId id);
    void reallocate(scheduling::Instant now);

    Limits limits_;
    Allocator allocator_;
    std::vector<BusMaster> masters_;
    std::vector<SharedLimit> passing_;
    bool hold_ = false;
    bool may_spike_ = true;
    std::vector<UnitId> refused_;  ///< Said already.
    std::vector<Notice> notices_;
};

}  // namespace twc_bus
