#pragma once

#include <array>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "tesla-bridge/vehicle_link.hpp"

namespace tesla_bridge {

/// How hard a car and its link may be worked. Every command may cost money, and every wake drains the car.
struct Pacing {
    std::chrono::seconds any_gap{2};          ///< Between two commands to one car.
    std::chrono::seconds amps_gap{30};        ///< Between two set_amps.
    std::chrono::seconds start_stop_gap{60};  ///< Between two charge_start or charge_stop.
    std::chrono::seconds limit_gap{60};       ///< Between two set_limit.
    std::chrono::seconds wake_gap{600};       ///< Between two wakes.
    int commands_per_day = 300;               ///< In any 24 h, wakes included; charge_stop is never held back by it.
    int wakes_per_day = 8;                    ///< In any 24 h.
    std::chrono::seconds expire_after{180};   ///< An order not carried out by then is dropped and reported.
    std::chrono::seconds confirmed_for{600};  ///< How long the car's word stands before an equal order is sent again.
    bool low_amps_twice = false;              ///< Cars take a first request below 5 A as 5 A and honour its repetition.
    bool commands_wake = false;               ///< Commands wake the car by themselves (TeslaBleHttpProxy).
    bool only_at_home = true;  ///< No command to a car known to be elsewhere: it is on someone else's charger.
};

/// How an order ended.
struct Outcome {
    enum class Kind { done, failed, replaced };
    Kind kind = Kind::done;
    Command command;
    std::string reason;
    int attempts = 0;  ///< Calls made for it.
    scheduling::Instant ordered_at;
    bool was_ordered = true;  ///< False: a wake that another order needed.
    bool operator==(const Outcome&) const = default;
};

/// What to do next for one car.
struct Step {
    std::optional<Command> send;
    bool read_first = false;  ///< An order waits for news from the car.
    std::vector<Outcome> finished;
    std::optional<scheduling::Instant> again_at;  ///< When to ask again if nothing else happens.
};

/// Turns what policy wants of one car into a few well-spaced calls: the latest order of a kind wins, what the car
/// confirms is not sent again, a sleeping car is woken before a start, failures are retried with back-off, nothing
/// waits for ever. Pure: no call is made here. Source of the numbers: Tesla vehicle notes 1.6, 6.
class CommandQueue {
public:
    explicit CommandQueue(Pacing pacing) : pacing_(pacing) {}

    /// A new order. Returns the end of the order it replaces, if that was another one.
    std::optional<Outcome> accept(const Command& command, scheduling::Instant now);

    /// Ends orders that need no call or may not get one, and names the call that is due. Not while a call is made.
    Step next_command(const VehicleFacts& facts, scheduling::Instant now);

    /// The call named by `next_command` is being made.
    void sent(const Command& command, scheduling::Instant now);

    /// What became of it. Returns the order's end, unless it goes on or was replaced meanwhile.
    std::optional<Outcome> answered(const Command& command, const Verdict& verdict, const VehicleFacts& facts,
                                    scheduling::Instant now);

    /// No call before then, for a reason outside of this car (rate limit of the account).
    void hold_until(scheduling::Instant until, const std::string& reason);

    bool has_orders() const;
    /// The link answered "needs a person" last.
    bool is_blocked() const { return blocked_; }

private:
    enum class Slot : std::size_t { wake, limit, charging, amps };
    static constexpr std::size_t slot_count = 4;

    struct Order {
        Command command;
        scheduling::Instant ordered_at;
        std::string waiting_for;  ///< Why it is not done yet.
        int attempts = 0;
        int copies = 0;  ///< Accepted ones, of a command that has to be sent twice.
        std::optional<scheduling::Instant> not_before;
        bool was_ordered = true;
    };
    /// What tells whether a car that refused may answer differently now.
    struct Situation {
        std::optional<ChargingState> charging_state;
        std::optional<bool> plugged;
        std::optional<double> charge_limit_pct;
        bool operator==(const Situation&) const = default;
    };
    struct Refusal {
        Command command;
        Situation situation;
        std::string reason;
        scheduling::Instant at;
    };
    struct History {
        std::optional<Order> order;
        std::optional<Command> last_sent;
        std::optional<scheduling::Instant> last_sent_at;
        bool last_was_answered = true;
        std::optional<Command> acknowledged;
        scheduling::Instant acknowledged_at;
        int acknowledgements = 0;  ///< Of the same command in a row.
        std::optional<Refusal> refusal;
    };
    struct Earliest {
        scheduling::Instant at;
        std::string reason;
        void not_before(scheduling::Instant when, const std::string& why);
    };

    static Slot slot_of(CommandKind kind);
    static Situation situation_of(const VehicleFacts& facts);
    History& history(Slot slot) { return histories_[static_cast<std::size_t>(slot)]; }
    const History& history(Slot slot) const { return histories_[static_cast<std::size_t>(slot)]; }

    void consider(Slot slot, const VehicleFacts& facts, scheduling::Instant now, Step& step);
    std::optional<std::string> reason_done(const History& history, const VehicleFacts& facts,
                                           scheduling::Instant now) const;
    std::optional<std::string> reason_acknowledged(const History& history, const VehicleFacts& facts,
                                                   scheduling::Instant now) const;
    std::optional<std::string> reason_hopeless(const History& history, const VehicleFacts& facts,
                                               scheduling::Instant now) const;
    bool waits_for_position(Order& order, const VehicleFacts& facts, scheduling::Instant now, Step& step) const;
    bool waits_for_waking(History& history, const VehicleFacts& facts, scheduling::Instant now, Step& step);
    void schedule(Slot slot, scheduling::Instant now, Step& step);
    Earliest earliest(Slot slot, scheduling::Instant now);
    void spend_budget_only(const Command& command, scheduling::Instant now, Earliest& earliest);
    std::chrono::seconds gap_of(Slot slot) const;
    bool is_waking(scheduling::Instant now) const;
    bool needs_second_copy(const Order& order) const;
    static Outcome finish(History& history, Outcome::Kind kind, const std::string& reason);
    std::optional<Outcome> accepted_by_car(History& history, const Command& command, const Verdict& verdict,
                                           scheduling::Instant now);
    std::optional<Outcome> not_done(History& history, const Command& command, const Verdict& verdict,
                                    const VehicleFacts& facts, scheduling::Instant now);

    Pacing pacing_;
    std::array<History, slot_count> histories_;
    std::optional<scheduling::Instant> last_call_;
    std::optional<scheduling::Instant> woken_at_;
    std::deque<scheduling::Instant> calls_today_;
    std::deque<scheduling::Instant> wakes_today_;
    scheduling::Instant held_until_{};
    std::string held_reason_;
    bool blocked_ = false;
};

}  // namespace tesla_bridge
