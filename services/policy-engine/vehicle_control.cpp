#include "policy-engine/vehicle_control.hpp"

namespace policy_engine {

namespace {

using namespace std::chrono_literals;

// A command travels over a cloud or Bluetooth to a car that may be busy: seconds, rarely half a minute.
constexpr Duration vehicle_patience = 40s;
// Cloud commands are paced to one a minute (features notes 3.6).
constexpr Duration between_starts = 60s;
constexpr Duration before_first_start = 8s;
constexpr int most_start_attempts = 3;

bool is_waiting_for_a_start(const Vehicle& vehicle) {
    return vehicle.charging_state == "stopped" || vehicle.charging_state == "no_power";
}

StopStart stop_without_vehicle(const Charger& charger, bool drawing, bool after_failure) {
    StopStart result;
    // Unknown protocol: as careful as with 2.
    if (drawing && charger.protocol.value_or(2) != 1) {
        result.reason = Reason::stop_without_vehicle;
        result.warning = true;
    }
    result.warning = result.warning || after_failure;
    return result;
}

StopStart stop(const Settings& settings, const Charger& charger, const Vehicle* vehicle, double minimum_a, Instant now,
               ChargerMemory& memory) {
    const bool drawing = charger.drawn_a.value_or(0) >= drawing_a;
    memory.start_asked_at.reset();
    memory.start_attempts = 0;
    if (!drawing) {
        memory.stop = StopStep::none;
        return {};
    }
    if (vehicle == nullptr || !settings.stop_by_vehicle || memory.stop == StopStep::failed) {
        return stop_without_vehicle(charger, drawing, memory.stop == StopStep::failed);
    }
    StopStart result{.target_a = minimum_a, .reason = Reason::stopping_by_vehicle};
    if (memory.stop == StopStep::none) {
        memory.stop = StopStep::asked;
        memory.stop_asked_at = now;
        result.command = "charge_stop";
    }
    const Duration waited = now - memory.stop_asked_at;
    if (waited >= vehicle_patience) {
        memory.stop = StopStep::failed;
        return stop_without_vehicle(charger, drawing, true);
    }
    result.countdown_s = seconds(vehicle_patience - waited);
    return result;
}

}  // namespace

StopStart stop_or_start(const Settings& settings, const Charger& charger, const Vehicle* vehicle, double wanted_a,
                        double minimum_a, Instant now, ChargerMemory& memory) {
    if (memory.lost_at) {
        return {.target_a = wanted_a};
    }
    if (wanted_a <= 0) {
        return stop(settings, charger, vehicle, minimum_a, now, memory);
    }
    memory.stop = StopStep::none;
    StopStart result{.target_a = wanted_a};
    if (charger.drawn_a.value_or(0) >= drawing_a || vehicle == nullptr || !is_waiting_for_a_start(*vehicle)) {
        memory.start_asked_at.reset();
        memory.start_attempts = 0;
        return result;
    }
    if (!memory.start_asked_at) {
        // The offer alone wakes most cars: give it a moment before the command.
        memory.start_asked_at = now - between_starts + before_first_start;
    }
    if (memory.start_attempts < most_start_attempts && now - *memory.start_asked_at >= between_starts) {
        memory.start_asked_at = now;
        ++memory.start_attempts;
        result.command = "charge_start";
    }
    return result;
}

}  // namespace policy_engine
