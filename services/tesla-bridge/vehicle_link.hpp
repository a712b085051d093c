#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "scheduling/scheduler.hpp"
#include "tesla-bridge/vehicle_facts.hpp"

/// The seam between what decides (command queue, poll plan) and what reaches a car. A way to a car that answers when
/// asked implements `VehicleLink`; one that reports by itself (TeslaMate, later telemetry) hands over VehicleFacts.
namespace tesla_bridge {

enum class CommandKind { charge_start, charge_stop, set_amps, set_limit, wake };

/// One thing to ask of a car. `value`: amps per phase for set_amps, percent for set_limit, otherwise 0.
struct Command {
    CommandKind kind = CommandKind::wake;
    int value = 0;
    bool operator==(const Command&) const = default;
};

/// "charge_start", as in the topic.
const char* to_word(CommandKind kind);
/// "set_amps 16", for people.
std::string to_words(const Command& command);

/// What became of a call, by what it means for the next one.
struct Verdict {
    enum class Kind {
        done,          ///< The car did it, or was in that state already; a read gave its data.
        asleep,        ///< The car sleeps or is out of reach: wake it, or leave it alone.
        retry,         ///< Passing trouble: the same call may succeed in a while.
        rate_limited,  ///< No call before `retry_after` has passed.
        refused,       ///< The car's definite no; the same answer until something about the car changes.
        blocked,       ///< Needs a person: credentials, permissions, wrong VIN, an unpaired key.
        unauthorised,  ///< The access token was not accepted; never leaves a link that can refresh it.
    };
    Kind kind = Kind::done;
    std::string reason;  ///< One sentence for people; empty when there is nothing to add.
    std::chrono::seconds retry_after{0};
    bool whole_account = false;  ///< rate_limited: for every car of this account.

    bool operator==(const Verdict&) const = default;
};

/// How much to ask for.
enum class ReadDepth {
    presence,  ///< Only whether the car is awake; neither wakes it nor keeps it awake.
    full,      ///< All charging data. Does not wake a car, but keeps an awake one awake.
};

struct ReadResult {
    Verdict verdict;
    VehicleFacts news;  ///< With verdict `done` or `asleep`: what the answer said.
};

/// When a call is made, by both clocks: answers are aged on one, tokens expire on the other.
struct CallTime {
    scheduling::Instant now;
    scheduling::WallTime wall;
};

/// A way to one car. Blocks, so it is used on a worker; any failure is a verdict, nothing is thrown for a bad answer.
class VehicleLink {
public:
    VehicleLink() = default;
    VehicleLink(const VehicleLink&) = delete;
    VehicleLink& operator=(const VehicleLink&) = delete;
    virtual ~VehicleLink() = default;

    virtual ReadResult read(ReadDepth depth, CallTime time) = 0;
    virtual Verdict send(const Command& command, CallTime time) = 0;
};

}  // namespace tesla_bridge
