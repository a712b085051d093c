#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "scheduling/scheduler.hpp"

namespace twc_bus {

/// Where the unit's own counter stood beside ours when both were last seen to agree.
struct CounterMark {
    double unit_kwh = 0;
    double energy_kwh = 0;
    scheduling::WallTime at;
    bool operator==(const CounterMark&) const = default;
};

/// What one charger delivered, counted by us: volts × amps × phases × time between two answers.
struct EnergyTotals {
    double energy_kwh = 0;              ///< Never decreases, over restarts as well.
    std::optional<double> session_kwh;  ///< Of the running or the last session.
    std::optional<scheduling::WallTime> session_start;
    bool in_session = false;
    std::optional<CounterMark> mark;
    bool operator==(const EnergyTotals&) const = default;
};

enum class SessionEvent { plugged, unplugged, session_started, session_ended };

/// What one answer of the charger says.
struct Reading {
    double power_w = 0;  ///< 0 below 1 A: idle units report a calibration error.
    std::optional<bool> plugged;
    scheduling::Instant now;
    scheduling::WallTime wall_now;
};

/// Counts energy and recognises sessions. A session begins when a plugged car first draws and ends when it is
/// unplugged: pauses in between, for want of sun, belong to it.
class SessionMeter {
public:
    explicit SessionMeter(EnergyTotals totals = {}) : totals_(totals) {}

    std::vector<SessionEvent> on_reading(const Reading& reading);
    /// The unit's own counter, in whole kWh. What it counted while nobody here did (a restart, a line that was down) is
    /// added, as far as it is certain, to within 1 kWh; a jump that no unit could have delivered is not believed.
    void on_unit_counter(std::uint32_t unit_kwh, scheduling::WallTime wall_now);
    const EnergyTotals& totals() const { return totals_; }

private:
    void add_energy(const Reading& reading);

    EnergyTotals totals_;
    std::optional<bool> plugged_;
    std::optional<Reading> before_;
};

}  // namespace twc_bus
