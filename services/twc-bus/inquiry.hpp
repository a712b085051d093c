#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "scheduling/scheduler.hpp"
#include "twc-bus/protocol.hpp"

namespace twc_bus {

/// Everything there is to know about one charger and its car beside the heartbeat, and what to ask for it next.
/// Questions are rare and bounded: a flood of VIN requests once starved heartbeats until the unit was lost
/// (TWC protocol notes, 3.9).
class Inquiry {
public:
    void on_heartbeat(const SlaveHeartbeat& heartbeat, scheduling::Instant now);
    void on_report(const PowerReport& report, scheduling::Instant now);
    void on_report(const FirmwareReport& report);
    void on_report(const SerialReport& report);
    void on_report(const VinReport& report, scheduling::Instant now);

    /// The question whose time has come; none: nothing to ask. Protocol 1 units are asked nothing.
    std::optional<Query> due(scheduling::Instant now) const;
    void asked(Query query, scheduling::Instant now);

    /// For a listener, who cannot ask: no VIN answer has come for longer than that.
    bool vin_is_older_than(scheduling::Duration age, scheduling::Instant now) const;
    /// The car left, as far as anyone can tell.
    void forget_car() { unplug(); }

    /// None until the unit has shown it. State 00 means unplugged or asleep; a car whose VIN is known counts as
    /// plugged until three VIN answers running came back empty.
    std::optional<bool> plugged() const { return plugged_; }
    const std::optional<std::string>& vin() const { return vin_; }
    const std::optional<std::string>& serial() const { return serial_; }
    const std::optional<std::string>& firmware() const { return firmware_; }
    /// The unit's own counter, without the jumps some units report.
    std::optional<std::uint32_t> lifetime_kwh() const { return lifetime_kwh_; }
    /// Of the phases that are there; none before the first report.
    const std::optional<std::array<std::uint16_t, 3>>& volts() const { return volts_; }
    /// How many phases the car loads, or the unit has when nothing is drawn or it does not say.
    std::optional<int> phases() const { return phases_; }

private:
    struct Attempts {
        int made = 0;
        std::optional<scheduling::Instant> next;
        bool due(scheduling::Instant now) const { return next && now >= *next; }
    };

    void plug_in(scheduling::Instant now);
    void unplug();
    void judge_vin(scheduling::Instant now);
    void accept_counter(std::uint32_t kwh, scheduling::Instant now);

    int protocol_ = 0;
    std::optional<bool> plugged_;
    int ready_answers_ = 0;

    Attempts firmware_attempts_;
    Attempts serial_attempts_;
    Attempts power_attempts_;
    Attempts vin_attempts_;
    Attempts unplug_attempts_;
    int vin_part_ = 1;
    std::array<std::optional<std::string>, 3> vin_parts_;
    std::string unconfirmed_vin_;
    int empty_vin_answers_ = 0;
    std::optional<scheduling::Instant> vin_heard_at_;

    std::optional<std::string> vin_;
    std::optional<std::string> serial_;
    std::optional<std::string> firmware_;
    std::optional<std::array<std::uint16_t, 3>> volts_;
    std::optional<int> phases_;

    std::optional<std::uint32_t> lifetime_kwh_;
    scheduling::Instant lifetime_at_;
    std::uint32_t doubted_kwh_ = 0;
    int doubted_times_ = 0;
};

}  // namespace twc_bus
