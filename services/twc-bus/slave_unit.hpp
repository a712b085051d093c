#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <utility>

#include "scheduling/scheduler.hpp"
#include "twc-bus/charger_view.hpp"
#include "twc-bus/protocol.hpp"
#include "twc-bus/role.hpp"

namespace twc_bus {

/// How a unit stands with its master.
enum class Standing {
    no_master,     ///< None has spoken to it so far.
    asks,          ///< Has a master, but no limit yet.
    granted,       ///< Works to a limit.
    stopped,       ///< Told 0.
    disconnected,  ///< Its contactor was ordered open.
    silent,        ///< No heartbeat for 10 s; the grant still holds.
    gone,          ///< No heartbeat for 25 s: nothing is granted.
    error,         ///< The master reported one: mute until it is started again.
};

/// Plays one Wall Connector in slave mode on the bus of another master (TWC protocol notes, sections 4, 5 and 9): asks
/// for a limit, echoes what it is told word for word as real units do, and says what it draws. What it *uses* is never
/// more than its rating, and nothing once the master was silent for 25 s or ordered it off. Messages and time go in,
/// messages to send come out; it knows no I/O and no clock.
class SlaveUnit {
public:
    /// `energy_kwh`: what its counter showed before.
    SlaveUnit(const SlaveSettings& settings, const Mains& mains, double energy_kwh, scheduling::Instant now);

    /// The line was opened or lost.
    void on_link(bool up, scheduling::Instant now);
    /// Bytes arrived, of whatever kind: someone is talking.
    void on_activity(scheduling::Instant now);
    void on_message(const Message& message, scheduling::Instant now);

    struct Step {
        std::optional<Message> message;  ///< To be sent now; ask again right after.
        scheduling::Instant wake;        ///< Otherwise: when to ask again, if nothing happens before.
    };
    Step next(scheduling::Instant now);

    /// The configured one, or another if that was taken.
    UnitId id() const { return id_; }
    /// What it answers as its state (notes, section 5).
    std::uint8_t state() const { return state_; }
    /// As echoed.
    int told_ca() const { return limit_ca_; }
    /// What may be used at this instant: the limit, cut to the rating; 0 without one, without a master, or switched
    /// off.
    int granted_ca() const;
    /// What it says it draws. Never above what is granted.
    int drawn_ca() const;
    /// Of what it said it drew.
    double energy_kwh() const { return energy_kwh_; }

    /// Who sent the newest heartbeat to it; stays known when that master falls silent.
    std::optional<UnitId> master() const { return master_; }
    std::optional<std::uint8_t> newest_command() const { return newest_command_; }
    /// The newest heartbeat is younger than 25 s.
    bool has_master() const { return heard_at_.has_value(); }
    /// When the newest heartbeat came, while it has a master.
    std::optional<scheduling::Instant> heard_at() const { return heard_at_; }
    /// The error a master reported. It says nothing more until it is started again, as real units do.
    const std::optional<std::string>& fault() const { return fault_; }

    Standing standing(scheduling::Instant now) const;
    /// The same in one sentence.
    std::string words(scheduling::Instant now) const;

private:
    void obey(const MasterHeartbeat& heartbeat, scheduling::Instant now);
    void set_limit(int limit_ca);
    void adjust(std::uint8_t state, scheduling::Duration duration, scheduling::Instant now);
    void report_error(int bitmap);
    void answer(const Message& message, scheduling::Instant now);
    void answer_request(const Request& request, scheduling::Instant now);
    void note_sender(UnitId sender, const Message& message, scheduling::Instant now);
    void take_other_id(scheduling::Instant now);
    void pass_time(scheduling::Instant now);
    void lose_master();
    void end_adjustment(scheduling::Instant now);
    bool is_charging() const;
    bool wants_announcement(scheduling::Instant now) const;
    Step send(Message message, scheduling::Instant now);
    PowerReport power_report() const;

    struct Pending {
        Message message;
        scheduling::Instant asked;
        scheduling::Instant due;
    };

    SlaveSettings settings_;
    Mains mains_;
    UnitId id_;
    std::uint8_t sign_;

    bool link_up_ = false;
    std::optional<UnitId> master_;
    std::optional<scheduling::Instant> heard_at_;
    std::optional<std::uint8_t> newest_command_;
    std::uint8_t state_;
    std::optional<scheduling::Instant> state_ends_;
    std::optional<scheduling::Instant> draws_less_until_;
    int limit_ca_ = 0;
    bool contactor_open_ = false;
    std::optional<std::string> fault_;
    bool id_was_taken_ = false;

    double energy_kwh_;
    scheduling::Instant counted_to_;

    std::optional<Pending> pending_;
    scheduling::Instant announce_at_;
    scheduling::Instant line_free_at_;
    std::deque<std::pair<Message, scheduling::Instant>> recently_sent_;
    std::optional<scheduling::Instant> impostor_at_;  ///< Someone else spoke under our ID, once so far.
};

}  // namespace twc_bus
