#include "policy-engine/vehicle_match.hpp"

#include <algorithm>
#include <cmath>

#include "policy-engine/modes.hpp"

namespace policy_engine {

namespace {

using namespace std::chrono_literals;

constexpr Duration same_moment = 120s;
constexpr double same_current_a = 2;
constexpr double telling_current_a = 3;

bool equal_ignoring_case(const std::string& a, const std::string& b) {
    const auto upper = [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; };
    return a.size() == b.size() &&
           std::equal(a.begin(), a.end(), b.begin(), [&](char x, char y) { return upper(x) == upper(y); });
}

std::string vin_of(const Config& config, const Vehicle& vehicle) {
    if (vehicle.vin && !vehicle.vin->empty()) {
        return *vehicle.vin;
    }
    const auto* configured = vehicle_config_of(config, vehicle.alias);
    return configured == nullptr ? "" : configured->vin;
}

bool could_be_here(const Vehicle& vehicle) { return vehicle.plugged.value_or(false) && vehicle.at_home.value_or(true); }

void note_plug_events(const Inputs& inputs, Memory& memory) {
    for (std::size_t i = 0; i < inputs.vehicles.size(); ++i) {
        const auto& vehicle = inputs.vehicles[i];
        if (i == memory.vehicles.size() || memory.vehicles[i].alias != vehicle.alias) {
            // A vehicle seen for the first time has no plug event; neither side may mistake its start for one.
            memory.vehicles.insert(memory.vehicles.begin() + static_cast<std::ptrdiff_t>(i),
                                   {vehicle.alias, vehicle.plugged, inputs.now - same_moment * 2});
        } else if (memory.vehicles[i].plugged != vehicle.plugged) {
            memory.vehicles[i].plugged = vehicle.plugged;
            memory.vehicles[i].changed_at = inputs.now;
        }
    }
    memory.vehicles.resize(inputs.vehicles.size());
}

struct Candidates {
    int chargers = 0;
    int vehicles = 0;
};

double confidence(const Config& config, const Charger& charger, const ChargerMemory& memory, const Vehicle& vehicle,
                  const Memory::VehiclePlug& plug, const Candidates& candidates) {
    const std::string vin = vin_of(config, vehicle);
    if (charger.vin && !charger.vin->empty() && !vin.empty()) {
        return equal_ignoring_case(*charger.vin, vin) ? 1.0 : 0.0;
    }
    if (!could_be_here(vehicle)) {
        return 0;
    }
    const Duration apart = plug.changed_at > memory.plugged_changed_at ? plug.changed_at - memory.plugged_changed_at
                                                                       : memory.plugged_changed_at - plug.changed_at;
    if (plug.plugged == true && memory.plugged == true && apart < same_moment) {
        return 0.9;
    }
    if (charger.drawn_a && vehicle.charge_amps && *charger.drawn_a > telling_current_a &&
        *vehicle.charge_amps > telling_current_a) {
        return std::abs(*charger.drawn_a - *vehicle.charge_amps) <= same_current_a ? 0.8 : 0.3;
    }
    return candidates.chargers == 1 && candidates.vehicles == 1 ? 0.7 : 0.3;
}

bool is_taken(const Memory& memory, const std::string& alias, double confidence) {
    return std::ranges::any_of(memory.chargers, [&](const ChargerMemory& other) {
        return other.vehicle == alias && other.vehicle_confidence >= confidence;
    });
}

}  // namespace

void match_vehicles(const Config& config, const Inputs& inputs, Memory& memory) {
    if (inputs.vehicles.empty()) {
        for (auto& charger : memory.chargers) {
            charger.vehicle.clear();
            charger.vehicle_confidence = 0;
        }
        return;
    }
    note_plug_events(inputs, memory);
    Candidates candidates;
    for (const auto& charger : inputs.chargers) {
        candidates.chargers += charger.online && charger.plugged.value_or(true) ? 1 : 0;
    }
    for (const auto& vehicle : inputs.vehicles) {
        candidates.vehicles += could_be_here(vehicle) ? 1 : 0;
    }
    for (std::size_t i = 0; i < inputs.chargers.size(); ++i) {
        const auto& charger = inputs.chargers[i];
        auto& known = memory.chargers[i];
        const auto current = std::ranges::find(inputs.vehicles, known.vehicle, &Vehicle::alias);
        const bool ended = charger.plugged == false || current == inputs.vehicles.end() || current->plugged == false ||
                           current->at_home == false;
        if (ended) {
            known.vehicle.clear();
            known.vehicle_confidence = 0;
        }
        if (!charger.online || charger.plugged == false) {
            continue;
        }
        for (std::size_t v = 0; v < inputs.vehicles.size(); ++v) {
            const auto& vehicle = inputs.vehicles[v];
            const double sure = confidence(config, charger, known, vehicle, memory.vehicles[v], candidates);
            if (vehicle.alias == known.vehicle && sure == 0) {
                known.vehicle.clear();
                known.vehicle_confidence = 0;
            }
            if (sure < confident || sure <= known.vehicle_confidence || is_taken(memory, vehicle.alias, sure)) {
                continue;
            }
            for (auto& other : memory.chargers) {
                if (other.vehicle == vehicle.alias) {
                    other.vehicle.clear();
                    other.vehicle_confidence = 0;
                }
            }
            known.vehicle = vehicle.alias;
            known.vehicle_confidence = sure;
        }
    }
}

}  // namespace policy_engine
