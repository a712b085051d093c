#include "policy-engine/limits.hpp"

#include <algorithm>
#include <cmath>

#include "policy-engine/modes.hpp"

namespace policy_engine {

namespace {

// TWC protocol notes 6.1: protocol 2 units and cars do not work reliably below.
constexpr double lowest_a = 5;

}  // namespace

Cap charger_cap(const Config& config, const Settings& settings, const Inputs& inputs, const Charger& charger,
                const std::string& vehicle) {
    Cap cap;
    cap.lower_to(charger.max_a, Limit::charger);
    cap.lower_to(inputs.bus.charger_max_a, Limit::charger);
    if (const auto* configured = config_of(config, charger.id)) {
        cap.lower_to(configured->max_a, Limit::charger);
    }
    cap.lower_to(settings.max_a, Limit::user_maximum);
    if (const auto* chosen = settings_of(settings, charger.id)) {
        cap.lower_to(chosen->max_a, Limit::user_maximum);
    }
    if (!vehicle.empty()) {
        if (const auto* configured = vehicle_config_of(config, vehicle)) {
            cap.lower_to(configured->max_a, Limit::vehicle_maximum);
        }
        if (const auto* chosen = vehicle_settings_of(settings, vehicle)) {
            cap.lower_to(chosen->max_a, Limit::vehicle_maximum);
        }
    }
    return cap;
}

double minimum_a(const Settings& settings, const Bus& bus) {
    return std::ceil(std::max({settings.min_a, bus.charger_min_a.value_or(lowest_a), lowest_a}));
}

Budget shared_budget(const Config& config, const Settings& settings, const Inputs& inputs, const Memory& memory) {
    // More room must last before it is used; less counts at once.
    const auto lowest_lately = [&](const auto& number) {
        return memory.room.lowest_since(inputs.now - config.raise_hold, number)
            .value_or(std::invoke(number, memory.room.at(inputs.now)));
    };
    Budget budget;
    budget.wiring_a =
        std::min(config.site.wiring_max_a.value_or(unlimited), inputs.bus.wiring_max_a.value_or(unlimited));
    if (config.site.main_fuse_a) {
        budget.line_unknown = !memory.line_room_known;
        for (std::size_t line = 0; line < static_cast<std::size_t>(config.site.phases) && memory.line_room_known;
             ++line) {
            budget.line_a[line] = lowest_lately([&](const SiteRoom& room) { return room.line_a[line]; });
        }
    }
    if (settings.import_cap_w) {
        budget.import_w = std::max(0.0, lowest_lately(&SiteRoom::without_import_w) + *settings.import_cap_w);
    }
    return budget;
}

}  // namespace policy_engine
