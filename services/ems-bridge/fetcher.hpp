#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "ems-bridge/source_error.hpp"
#include "http/http_client.hpp"
#include "scheduling/scheduler.hpp"
#include "scheduling/worker.hpp"

namespace ems_bridge {

/// A number in [0, 1), evenly spread over seeds (SplitMix64).
double spread(std::uint64_t seed);

/// The pause before the try after the n-th failure in a row (from 1): 30 s, doubled each time up to an hour. Longer by
/// up to a half, by `chance` in [0, 1), so that a service that comes back is not asked by everybody at once.
std::chrono::milliseconds pause_after_failures(int failures, double chance);

/// What a fetcher has seen.
struct FetchCounts {
    std::uint64_t fetches = 0;
    std::map<std::string, std::uint64_t> errors;  ///< By kind.
};

/// Asks one web service now and then on a worker of its own, never twice at a time; one that hangs holds up nobody.
/// What comes back says when to ask again.
class Fetcher {
public:
    /// Runs on the loop: hands over what was fetched and returns after how long to ask again, at the earliest; up to a
    /// tenth is added.
    using Deliver = std::function<std::chrono::milliseconds()>;
    /// Runs on the worker; may block. Throws on failure. A job that outlives the fetcher is not delivered.
    using Job = std::function<Deliver(http::HttpClient&, scheduling::WallTime now)>;
    using OnFailure = std::function<void(ErrorKind kind, const std::string& what)>;

    /// Asks for the first time as soon as the loop turns. `clients` outlives the worker's jobs.
    Fetcher(scheduling::Scheduler& loop, scheduling::WorkerFactory& workers, const std::string& name,
            http::HttpClientFactory& clients, http::TlsTrust trust, Job job, OnFailure on_failure);

    const FetchCounts& counts() const { return counts_; }

private:
    // Lives on the worker, outlives the fetcher if the worker is stuck.
    struct Session {
        http::HttpClientFactory& clients;
        http::TlsTrust trust;
        Job job;
        std::unique_ptr<http::HttpClient> client;
        Deliver fetch(scheduling::WallTime now);
    };

    void ask();
    void on_outcome(const scheduling::Outcome<Deliver>& outcome);
    double next_chance() { return spread(seed_ + draws_++); }

    scheduling::Scheduler& loop_;
    std::shared_ptr<Session> session_;
    OnFailure on_failure_;
    std::uint64_t seed_;
    std::uint64_t draws_ = 0;
    int failures_ = 0;
    FetchCounts counts_;
    std::unique_ptr<scheduling::Worker> worker_;
    scheduling::TaskScope scope_;
    scheduling::Timer next_;
};

}  // namespace ems_bridge
