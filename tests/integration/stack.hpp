#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "support/broker.hpp"
#include "support/eventually.hpp"
#include "support/line_tap.hpp"
#include "support/mqtt_probe.hpp"
#include "support/process.hpp"
#include "support/temporary_folder.hpp"

/// The four real services around a simulated house and a real broker with the shipped access rules, on private ports:
/// one charger, one car that plugs in after a second, noon, a clear sky, and sun enough for some 18 A.
class Stack {
public:
    static constexpr double wiring_a = 24;
    static constexpr double failsafe_a = 6;
    static inline const std::vector<std::string> services{"twc-bus", "ems-bridge", "tesla-bridge", "policy-engine"};

    Stack();

    /// A service or house-sim.
    support::Process& process(const std::string& name) { return *processes_.at(name); }
    void start(const std::string& name);
    void kill(const std::string& name);
    /// By SIGTERM.
    void stop(const std::string& name);

    /// What the broker would tell a newcomer, or the last message; empty: nothing yet.
    std::string last(const std::string& topic) const;
    nlohmann::json last_json(const std::string& topic) const;
    /// A field of the last JSON on a topic; null when there is none.
    nlohmann::json field(const std::string& topic, const std::string& name) const;
    bool is_online(const std::string& service) const { return last("twc/service/" + service + "/status") == "online"; }

    /// True once the car draws 6 A or more and the limit on the wire holds for it.
    bool charges(std::chrono::milliseconds timeout = std::chrono::seconds(30)) const;
    double drawn_a() const;
    /// The limit last seen on the wire; 0 before the first.
    double wire_a() const;
    /// The largest limit seen on the wire since a moment.
    double highest_wire_a(std::chrono::steady_clock::time_point since = {}) const;

    /// Waits for an event of a service; from `mark` on.
    std::optional<nlohmann::json> event(const std::string& service, const std::string& type, std::size_t mark = 0,
                                        std::chrono::milliseconds timeout = std::chrono::seconds(5)) const;

    /// All that the processes logged, for a failed test.
    std::string logs() const;

    support::TemporaryFolder folder;
    support::Broker broker;
    support::MqttProbe probe;

private:
    void write_house();
    void write_services();
    std::string shared(const std::string& name) const;

    int line_port_;
    int modbus_port_;
    int tesla_port_;
    int truth_port_;

public:
    support::LineTap tap;

private:
    std::map<std::string, std::unique_ptr<support::Process>> processes_;
};
