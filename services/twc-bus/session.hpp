#pragma once

#include <optional>
#include <vector>

#include "scheduling/scheduler.hpp"

namespace twc_bus {

/// What one charger delivered, counted by us: volts × amps × phases × time between two answers.
struct EnergyTotals {
    double energy_kwh = 0;              ///< Never decreases, over restarts as well.
    std::optional<double> session_kwh;  ///< Of the running or the last session.
    std::optional<scheduling::WallTime> session_start;
    bool in_session = false;
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
    const EnergyTotals& totals() const { return totals_; }

private:
    void add_energy(const Reading& reading);

    EnergyTotals totals_;
    std::optional<bool> plugged_;
    std::optional<Reading> before_;
};

}  // namespace twc_bus
