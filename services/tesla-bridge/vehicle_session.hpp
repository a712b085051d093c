#pragma once

#include <functional>
#include <memory>
#include <string>

#include "scheduling/worker.hpp"
#include "service/service_host.hpp"
#include "service/state_publisher.hpp"
#include "tesla-bridge/config.hpp"

namespace tesla_bridge {

/// Counters for `service/tesla-bridge/metrics`.
struct CallCounters {
    std::uint64_t reads = 0;
    std::uint64_t read_failures = 0;
    std::uint64_t commands_sent = 0;
    std::uint64_t command_failures = 0;  ///< Orders that ended without success.
    std::uint64_t wakes = 0;
    std::uint64_t bad_messages = 0;  ///< From TeslaMate.
};

/// One configured car: what is known about it, what is wanted of it, and the one call at a time that is made for it.
class VehicleSession {
public:
    /// Told of a rate limit that holds for every car of the account.
    using HoldAccount = std::function<void(scheduling::Instant until, const std::string& reason)>;

    /// `link`: null when no command can reach the car and only other sources report its state.
    VehicleSession(const Config& config, VehicleConfig vehicle, service::Environment& environment,
                   service::ServiceHost& host, CallCounters& counters, std::shared_ptr<VehicleLink> link,
                   HoldAccount hold_account);

    const VehicleConfig& config() const { return vehicle_; }
    bool has_link() const { return link_ != nullptr; }

    /// Takes an order; its outcome is an event of the vehicle.
    void order(const Command& command);
    /// News from a source that reports by itself.
    void on_news(const VehicleFacts& news);
    /// A message of such a source that could not be used.
    void on_bad_news(const std::string& problem);
    void hold_until(scheduling::Instant until, const std::string& reason);
    /// The state as it was published last, once more.
    void repeat_state() { publisher_.repeat(); }

private:
    void proceed();
    void send(const Command& command);
    void read(ReadDepth depth);
    void on_command_answer(const Command& command, Verdict verdict);
    void on_read_answer(ReadDepth depth, const ReadResult& result);
    void note_limits(const Verdict& verdict);
    void note_effect(const Command& command, const Verdict& verdict);
    void note_link(const Verdict& verdict);
    void report(const Outcome& outcome);
    void publish();
    bool is_link_healthy() const;

    VehicleConfig vehicle_;
    service::Environment& environment_;
    service::ServiceHost& host_;
    CallCounters& counters_;
    HoldAccount hold_account_;
    VehicleFacts facts_;
    CommandQueue queue_;
    PollPlan polls_;
    service::StatePublisher publisher_;
    bool is_calling_ = false;
    bool has_answered_ = false;  ///< The link gave an answer at least once.
    std::string availability_;
    std::string link_error_;     ///< Empty: the link works.
    std::string command_error_;  ///< Of the last order that ended; empty: it was done.
    std::string last_command_;
    std::string last_problem_;  ///< The unusable part of a message or answer, to log it once.
    std::shared_ptr<VehicleLink> link_;
    std::unique_ptr<scheduling::Worker> worker_;
    scheduling::TaskScope scope_;
    scheduling::Timer timer_;
};

}  // namespace tesla_bridge
