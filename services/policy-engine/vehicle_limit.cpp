#include "policy-engine/vehicle_limit.hpp"

#include <algorithm>

#include "policy-engine/vehicle_match.hpp"

namespace policy_engine {

namespace {

using namespace std::chrono_literals;
using VehicleLimit = Memory::VehicleLimit;

constexpr Duration between_requests = 5min;

bool is_connected(const Memory& memory, const std::string& alias) {
    return std::ranges::any_of(memory.chargers, [&](const ChargerMemory& charger) {
        return charger.vehicle == alias && charger.vehicle_confidence >= confident;
    });
}

void request(const Vehicle& vehicle, double limit_pct, Instant now, VehicleLimit& kept, Decision& decision) {
    if (now - kept.asked_at >= between_requests) {
        kept.asked_at = now;
        decision.commands.push_back({vehicle.alias, "set_limit", limit_pct});
    }
}

// True when there is nothing left to set back.
bool set_back(const Vehicle& vehicle, Instant now, VehicleLimit& kept, Decision& decision) {
    if (vehicle.charge_limit_pct != kept.applied_pct) {
        return true;
    }
    request(vehicle, kept.before_pct, now, kept, decision);
    return false;
}

}  // namespace

void apply_vehicle_limit(std::optional<double> wanted_pct, const Inputs& inputs, Decision& decision) {
    auto& limits = decision.memory.vehicle_limits;
    for (const auto& vehicle : inputs.vehicles) {
        if (!vehicle.can_command || !vehicle.charge_limit_pct) {
            continue;
        }
        const auto kept = std::ranges::find(limits, vehicle.alias, &VehicleLimit::alias);
        const auto wanted = is_connected(decision.memory, vehicle.alias) ? wanted_pct : std::nullopt;
        if (!wanted) {
            if (kept != limits.end() && set_back(vehicle, inputs.now, *kept, decision)) {
                limits.erase(kept);
            }
        } else if (kept == limits.end()) {
            if (*vehicle.charge_limit_pct != *wanted) {
                limits.push_back({vehicle.alias, *vehicle.charge_limit_pct, *wanted, inputs.now - between_requests});
                request(vehicle, *wanted, inputs.now, limits.back(), decision);
            }
        } else if (kept->applied_pct != *wanted || *vehicle.charge_limit_pct == kept->before_pct) {
            kept->applied_pct = *wanted;
            request(vehicle, *wanted, inputs.now, *kept, decision);
        }
    }
}

}  // namespace policy_engine
