#pragma once

#include <deque>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "scheduling/scheduler.hpp"
#include "twc-bus/allocator.hpp"
#include "twc-bus/claim.hpp"
#include "twc-bus/inquiry.hpp"
#include "twc-bus/protocol.hpp"
#include "twc-bus/relay_guard.hpp"
#include "twc-bus/spike.hpp"
#include "twc-bus/stopper.hpp"

namespace twc_bus {

/// A charger remembered from before a restart: heartbeated at once, because silence makes its car show a fault.
struct KnownCharger {
    UnitId id = 0;
    std::optional<int> protocol;
    int granted_ca = 0;
    bool silenced = false;  ///< Charger::silenced
};

/// What is done for one charger that is not done for others.
struct Treatment {
    StopMeans stop = StopMeans::limit;
    SpikeSettings spike;
};

struct MasterSettings {
    UnitId master_id = 0x7777;
    std::uint8_t sign = 0x77;  ///< Constant until restart; nobody was ever seen to check it.
    Limits limits;
    /// Nothing is raised this long after a start without remembered chargers, so that units another master left
    /// charging announce themselves or open their contactors first.
    scheduling::Duration listen{};
    scheduling::Duration restart_pause{};  ///< RelayGuard
    std::map<UnitId, Treatment> treatments{};
};

/// One Wall Connector on the bus.
struct Charger {
    UnitId id = 0;
    bool linked = true;     ///< Gets heartbeats. When not: it has not answered, its claim stands until it must be off.
    bool silenced = false;  ///< Gets none, on purpose, until something can be granted to it (StopMeans::silence).
    bool off = false;       ///< Silenced for long enough: its contactor is open.
    std::optional<int> protocol;
    std::optional<int> rating_ca;
    std::optional<SlaveHeartbeat> last;  ///< Newest answer.
    std::optional<scheduling::Instant> last_answer;
    Claim claim;
    Inquiry inquiry;
    Grant grant;
    bool id_shared = false;      ///< Two units answer to this ID.
    int announcements = 0;       ///< Since it answered last.
    std::deque<double> gaps_ms;  ///< Between the newest heartbeats to it.
    double longest_gap_ms = 0;   ///< Since it was first heard.

    bool drawing() const { return last && last->drawn_ca >= drawing_ca; }

private:
    friend class BusMaster;

    std::optional<int> wish_ca_;        // none: leave it as it is
    std::optional<int> remembered_ca_;  // granted before the restart
    std::optional<int> briefly_ca_;     // asked of the allocator, as Demand
    scheduling::Instant linked_since_;
    scheduling::Instant next_due_;
    scheduling::Instant last_sent_;
    bool fresh_ = true;    // to be asked what it works to before it is told anything
    bool urgent_ = false;  // the grant changed and was not sent yet
    bool reassert_ = false;
    int unechoed_ = 0;  // answers running that did not echo the limit sent with the heartbeat
    RelayGuard relay_;
    Spike spike_;
    Stopper stopper_;
    std::vector<std::uint8_t> signs_;
};

enum class NoticeKind {
    linked,
    lost,
    reset,
    foreign_master,
    foreign_master_gone,
    id_conflict,
    id_shared,
    too_many,
    relay_chatter,
    contactor,
    silenced,
    stop_refused
};

/// Something people should hear about.
struct Notice {
    NoticeKind kind;
    UnitId id = 0;
    std::string words;
};

/// Since start.
struct MasterStatistics {
    std::uint64_t heartbeats = 0;
    std::uint64_t queries = 0;
    std::uint64_t lost_answers = 0;
    std::uint64_t late_answers = 0;       ///< After the answer window had closed.
    std::uint64_t unknown_frames = 0;     ///< Verified, but no message we know.
    std::uint64_t own_echoes = 0;         ///< Our own frames, returned by the adapter.
    std::uint64_t collisions = 0;         ///< Answers of which only damage arrived.
    std::deque<double> answer_delays_ms;  ///< The newest, from the end of the request to the end of the answer.
};

/// Plays the master Wall Connector on one line: who is told what and when. Knows no I/O and no clock: frames and time
/// go in, frames come out. The line carries one transaction at a time. Who is granted how much is decided above it,
/// for all lines at once (Fleet).
class BusMaster {
public:
    BusMaster(const MasterSettings& settings, const std::vector<KnownCharger>& known, scheduling::Instant now);

    /// The line was opened or lost.
    void on_link(bool up, scheduling::Instant now);
    /// Bytes arrived, of whatever kind: someone is talking.
    void on_activity(scheduling::Instant now);
    /// A frame that verified. Returns the charger, if it was an answer to a heartbeat.
    std::optional<UnitId> on_body(std::span<const std::uint8_t> body, scheduling::Instant now);

    /// What each charger is to be allowed, in hundredths of an amp. A charger without a wish is left as it is.
    void set_wishes(const std::map<UnitId, int>& wishes);

    /// Ends what time has ended: answer windows, the patience with silent chargers, another master.
    void expire(scheduling::Instant now);
    /// Every charger, for the allocator. `no_spikes`: nothing is to exceed the wishes now.
    std::vector<Demand> demands(scheduling::Instant now, bool no_spikes);
    /// What the allocator answered; of other lines' chargers as well.
    void take_grants(const std::map<UnitId, Grant>& grants, scheduling::Instant now);

    /// A body that people typed in, to be sent when the line is free. Whether it may be sent is not judged here.
    void send_raw(Bytes body) { raw_.push_back(std::move(body)); }

    struct Step {
        std::optional<Bytes> body;  ///< To be sent now; ask again right after.
        scheduling::Instant wake;   ///< Otherwise: when to ask again, if nothing happens before.
    };
    /// After expire(), demands() and take_grants().
    Step next(scheduling::Instant now);

    const std::map<UnitId, Charger>& chargers() const { return chargers_; }
    bool link_up() const { return link_up_; }
    bool hears_other_master() const { return foreign_until_.has_value(); }
    /// A unit was turned away not long ago, because three are there.
    bool too_many(scheduling::Instant now) const;
    bool listening(scheduling::Instant now) const { return now < listen_until_; }
    const MasterStatistics& statistics() const { return statistics_; }
    std::vector<Notice> take_notices() { return std::exchange(notices_, {}); }

private:
    struct Transaction {
        UnitId charger = 0;
        std::uint8_t command = 0;  ///< Of the request, and so of the answer.
        bool carries_limit = false;
        bool heard_something = false;
        scheduling::Instant sent;
        scheduling::Instant deadline;
    };

    void handle(const SlaveLinkReady& message, scheduling::Instant now);
    void handle(const SlaveHeartbeat& message, scheduling::Instant now);
    template <class Report>
    void handle_report(UnitId sender, Query query, const Report& report, scheduling::Instant now);
    void note_other_master(UnitId id, std::span<const std::uint8_t> body, scheduling::Instant now);
    void note_id_conflict();
    void note_sign(Charger& charger, std::uint8_t sign);
    void close_transaction(UnitId charger, std::uint8_t command, scheduling::Instant now);
    Charger& add(UnitId id, scheduling::Instant now);
    void notice_refused_stop(const Charger& charger, Stopper::Refusal refusal);
    void adopt_first_answer(Charger& charger);

    void drop_silent_chargers(scheduling::Instant now);
    Demand demand_of(const Charger& charger, scheduling::Instant now) const;
    void use_last_resorts(scheduling::Instant now);
    void silence(Charger& charger, scheduling::Instant now);
    static void end_silence(Charger& charger, scheduling::Instant now);
    Charger* most_pressing(scheduling::Instant now);
    MasterHeartbeat heartbeat_for(const Charger& charger) const;
    static void note_gap(Charger& charger, scheduling::Instant now);
    static std::uint8_t limit_command(const Charger& charger);
    scheduling::Instant next_place(UnitId id, scheduling::Instant from) const;
    Step send_heartbeat(Charger& charger, scheduling::Instant now);
    std::optional<Step> send_link_ready(scheduling::Instant now, scheduling::Instant earliest);
    std::optional<Step> send_typed(scheduling::Instant now, scheduling::Instant earliest);
    std::optional<Step> send_contactor_command(scheduling::Instant now, scheduling::Instant earliest);
    std::optional<Step> send_query(scheduling::Instant now, scheduling::Instant earliest);
    Step ask(UnitId charger, std::uint8_t command, bool carries_limit, Bytes body, scheduling::Instant now);
    Step send(Bytes body, scheduling::Instant now);
    void queue_link_ready(int first_stage, int second_stage, scheduling::Instant now);
    scheduling::Instant earliest_due() const;
    std::size_t linked_count() const;

    MasterSettings settings_;
    std::map<UnitId, Charger> chargers_;
    bool link_up_ = false;
    scheduling::Instant listen_until_;
    std::optional<Transaction> transaction_;
    scheduling::Instant second_;  ///< The places of the units in each second count from here.
    scheduling::Instant quiet_until_;
    scheduling::Instant bytes_until_;  ///< Bytes arrived just now: of a frame, or noise.

    std::deque<int> link_ready_;  ///< Stages still to be sent.
    scheduling::Instant link_ready_at_;
    UnitId last_queried_ = 0;
    std::deque<Bytes> raw_;

    std::deque<std::pair<Bytes, scheduling::Instant>> recently_sent_;
    std::optional<std::pair<UnitId, scheduling::Instant>> suspected_master_;
    std::optional<scheduling::Instant> foreign_until_;
    std::map<UnitId, scheduling::Instant> turned_away_;  ///< When it announced itself last.
    std::optional<scheduling::Instant> conflict_at_;

    std::vector<Notice> notices_;
    MasterStatistics statistics_;
};

}  // namespace twc_bus
