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
constexpr double certain = 1;

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
        return same_vin(*charger.vin, vin) ? certain : 0.0;
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

Candidates count_candidates(const Inputs& inputs) {
    Candidates candidates;
    for (const auto& charger : inputs.chargers) {
        candidates.chargers += charger.online && charger.plugged.value_or(true) ? 1 : 0;
    }
    for (const auto& vehicle : inputs.vehicles) {
        candidates.vehicles += could_be_here(vehicle) ? 1 : 0;
    }
    return candidates;
}

void forget(ChargerMemory& charger) {
    charger.vehicle.clear();
    charger.vehicle_confidence = 0;
}

bool has_ended(const Inputs& inputs, const Charger& charger, const ChargerMemory& known) {
    const auto* vehicle = vehicle_of(inputs, known.vehicle);
    return charger.plugged == false || vehicle == nullptr || vehicle->plugged == false || vehicle->at_home == false;
}

// A car hangs on one charger only: the surer match takes it.
void assign(Memory& memory, ChargerMemory& charger, const std::string& alias, double sure) {
    for (auto& other : memory.chargers) {
        if (other.vehicle == alias) {
            forget(other);
        }
    }
    charger.vehicle = alias;
    charger.vehicle_confidence = sure;
}

void match_charger(const Config& config, const Inputs& inputs, const Candidates& candidates, std::size_t index,
                   Memory& memory) {
    const Charger& charger = inputs.chargers[index];
    ChargerMemory& known = memory.chargers[index];
    if (const auto* vehicle = vehicle_of(inputs, known.vehicle)) {
        const auto& plug = memory.vehicles[static_cast<std::size_t>(vehicle - inputs.vehicles.data())];
        if (confidence(config, charger, known, *vehicle, plug, candidates) == certain) {
            return;  // nobody can take it
        }
    }
    for (std::size_t v = 0; v < inputs.vehicles.size(); ++v) {
        const auto& vehicle = inputs.vehicles[v];
        const double sure = confidence(config, charger, known, vehicle, memory.vehicles[v], candidates);
        if (sure == 0 && vehicle.alias == known.vehicle) {
            forget(known);
        }
        if (sure >= confident && sure > known.vehicle_confidence && !is_taken(memory, vehicle.alias, sure)) {
            assign(memory, known, vehicle.alias, sure);
        }
    }
}

}  // namespace

bool is_vin(const std::string& text) {
    constexpr std::size_t vin_length = 17;  // ISO 3779
    return text.size() == vin_length && text.find_first_not_of('0') != std::string::npos;
}

bool same_vin(const std::string& a, const std::string& b) {
    const auto upper = [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; };
    return a.size() == b.size() && !a.empty() &&
           std::equal(a.begin(), a.end(), b.begin(), [&](char x, char y) { return upper(x) == upper(y); });
}

void match_vehicles(const Config& config, const Inputs& inputs, Memory& memory) {
    if (inputs.vehicles.empty()) {
        std::ranges::for_each(memory.chargers, forget);
        return;
    }
    note_plug_events(inputs, memory);
    const Candidates candidates = count_candidates(inputs);
    for (std::size_t i = 0; i < inputs.chargers.size(); ++i) {
        if (has_ended(inputs, inputs.chargers[i], memory.chargers[i])) {
            forget(memory.chargers[i]);
        }
        if (inputs.chargers[i].online && inputs.chargers[i].plugged != false) {
            match_charger(config, inputs, candidates, i, memory);
        }
    }
}

}  // namespace policy_engine
