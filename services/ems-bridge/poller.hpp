#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "ems-bridge/source.hpp"
#include "scheduling/scheduler.hpp"
#include "scheduling/worker.hpp"

namespace ems_bridge {

/// How often a source is asked.
struct Cadence {
    std::chrono::milliseconds interval{5000};
    /// Failures double the pause, from the interval up to this (or the interval, if that is longer).
    std::chrono::milliseconds longest_pause{60000};
};

/// The pause after the n-th failure in a row (from 1).
std::chrono::milliseconds pause_after(int failures, const Cadence& cadence);

/// What the poller has seen.
struct PollCounts {
    std::uint64_t polls = 0;
    std::map<std::string, std::uint64_t> errors;  ///< By kind.
    std::optional<double> latency_ms;             ///< Of the last successful read.
};

/// Asks one source again and again on a worker of its own. Never two reads at a time; a source that hangs holds up
/// nobody else. After a failure the source is destroyed and a new one is made for the next try.
class Poller {
public:
    struct Listener {
        /// A reading, and when it was asked for: the latest instant that is surely not after the measurement.
        std::function<void(const Reading&, scheduling::Instant asked_at)> on_reading;
        std::function<void(ErrorKind, const std::string& what)> on_failure;
    };

    /// Asks for the first time as soon as the loop turns. `io` outlives the worker's jobs.
    Poller(scheduling::Scheduler& loop, scheduling::WorkerFactory& workers, const std::string& name, MakeSource make,
           Io& io, Cadence cadence, Listener listener);

    const PollCounts& counts() const { return counts_; }
    /// Since when an answer is awaited; none: no read is in flight.
    std::optional<scheduling::Instant> asked_at() const { return asked_at_; }

private:
    // Lives on the worker, outlives the poller if the worker is stuck.
    struct Session {
        MakeSource make;
        Io& io;
        std::unique_ptr<Source> source;
        Reading read();
    };

    void poll();
    void on_outcome(scheduling::Outcome<Reading> outcome);
    void on_error(ErrorKind kind, const std::string& what, std::optional<std::chrono::milliseconds> not_before);
    void schedule_next(scheduling::Instant when);

    scheduling::Scheduler& loop_;
    Cadence cadence_;
    Listener listener_;
    std::shared_ptr<Session> session_;
    std::unique_ptr<scheduling::Worker> worker_;
    scheduling::TaskScope scope_;
    scheduling::Timer next_;
    std::optional<scheduling::Instant> asked_at_;
    int failures_ = 0;
    PollCounts counts_;
};

}  // namespace ems_bridge
