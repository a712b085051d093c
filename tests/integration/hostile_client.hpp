#pragma once

#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "stack.hpp"
#include "support/mqtt5_client.hpp"

/// A broken or hostile program with the password of the front end `cli`: publishes to every topic that it may write,
/// what nobody should.
class HostileClient {
public:
    /// What became of the commands, by service.
    struct Count {
        std::uint64_t sent = 0;
        std::uint64_t rejected_events = 0;
        std::uint64_t accepted = 0;  ///< As its metrics say, since the client came.
        std::uint64_t rejected = 0;  ///< The same.
    };

    HostileClient(Stack& stack, unsigned seed);

    /// Publishes so many payloads and waits until all have been answered. In hundreds: the broker keeps 1000 for a
    /// service that is busy and throws away the rest, and every one shall be counted.
    void attack(int count);
    /// As fast as the connection takes them, answered or not: brokers and services throw away what they cannot keep up
    /// with, so that counts no longer agree.
    void flood(std::chrono::milliseconds duration);
    /// Whether every service answers a command, asked again and again; after a flood.
    bool all_answer(std::chrono::seconds patience);
    /// Waits for metrics that count everything sent so far, each once, and as many refusals as were published; false:
    /// they do not within two of their periods.
    bool metrics_agree();

    const std::map<std::string, Count>& counts() const { return counts_; }
    std::uint64_t flooded() const { return flooded_; }

private:
    struct Target {
        std::string topic;
        std::string service;                ///< Who answers; empty: nobody listens.
        std::vector<std::string> examples;  ///< What it takes.
    };

    void add_policy_targets();
    void add_setting(const std::string& path, std::vector<std::string> examples);
    std::string payload_for(const Target& target);
    std::string mutated(std::string text);
    std::string odd_value();
    std::string random_bytes(std::size_t longest);
    std::size_t below(std::size_t end) { return std::uniform_int_distribution<std::size_t>(0, end - 1)(random_); }
    bool await_answers(std::chrono::milliseconds patience);
    nlohmann::json latest_metrics(const std::string& service) const;

    Stack& stack_;
    std::mt19937 random_;
    std::vector<Target> targets_;
    support::Mqtt5Client client_;
    support::MqttProbe events_;
    support::MqttProbe metrics_;
    std::size_t events_counted_ = 0;
    int checkpoints_ = 0;
    std::uint64_t flooded_ = 0;
    std::map<std::string, Count> counts_;
    std::map<std::string, nlohmann::json> first_metrics_;
};

double resident_mib(pid_t pid);
/// Between two heartbeats to the charger, since the line came up.
double longest_heartbeat_gap_s(const Stack& stack);
