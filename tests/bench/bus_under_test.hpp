#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "figures.hpp"
#include "paced_line.hpp"
#include "support/broker.hpp"
#include "support/mqtt_probe.hpp"
#include "support/process.hpp"
#include "support/temporary_folder.hpp"

namespace bench {

inline constexpr int wiring_a = 48;
inline constexpr int charger_max_a = 32;
inline constexpr int charger_min_a = 6;

/// The real twc-bus with a broker and a line of its own, all private to this object. Not started by construction; the
/// adapter is plugged in.
class BusUnderTest {
public:
    explicit BusUnderTest(std::vector<Unit> units, AnswerDelay delay = {});

    /// The moment before the program is executed.
    Instant start();
    /// SIGTERM, so that it saves what it knows.
    void stop();
    /// SIGKILL; the moment of the signal. The process is gone on return.
    Instant kill();
    void forget_state() const;
    /// Starts it and waits until it hears commands and every unit has answered a heartbeat.
    void start_and_link();

    /// Amps for each unit, as policy-engine publishes them, valid for ten minutes. Returns the moment before.
    Instant publish_limits(const std::map<UnitNumber, int>& limits_a);
    /// Plugs a car into every unit.
    void plug_cars_in();
    /// Until every car draws what `limits_a` allow it.
    void wait_until_drawn(const std::map<UnitNumber, int>& limits_a);

    /// What `service/twc-bus/metrics` says next; it comes every ten seconds.
    nlohmann::json next_metrics() const;
    int events(const std::string& type) const;
    Cost cost() const { return cost_of(process_->pid()); }

    PacedLine& line() { return line_; }

    /// Throws std::runtime_error with `what` and the log of twc-bus.
    [[noreturn]] void fail(const std::string& what) const;

private:
    support::TemporaryFolder folder_;
    support::Broker broker_;
    support::MqttProbe probe_;
    PacedLine line_;
    std::size_t units_;
    std::uint64_t sequence_ = 0;
    std::unique_ptr<support::Process> process_;
};

/// So many units, 7744 and following.
std::vector<Unit> some_units(std::size_t count);
/// Amps for 7744 and following.
std::map<UnitNumber, int> limits_for(const std::vector<int>& amps);

}  // namespace bench
