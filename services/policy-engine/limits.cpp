#include "policy-engine/limits.hpp"

#include <algorithm>
#include <cmath>

#include "policy-engine/surplus.hpp"

namespace policy_engine {

namespace {

// TWC protocol notes 6.1: protocol 2 units and cars do not work reliably below.
constexpr double lowest_a = 5;

constexpr auto quarter_hour = std::chrono::minutes(15);

// What may be imported from now on so that the mean of the quarter stays within the limit. What the start left unused
// may be used up in its end, but not in a rush: it must not spoil the beginning of the next quarter.
double quarter_hour_import_w(double limit_w, WallTime wall, const Memory& memory) {
    constexpr double shortest_s = 60;
    constexpr double rush = 2;
    const auto since_1970 = wall.time_since_epoch();
    const double passed_s = std::chrono::duration<double>(since_1970 % quarter_hour).count();
    const double length_s = std::chrono::duration<double>(quarter_hour).count();
    const double left_ws = limit_w * length_s - memory.quarter_import_ws;
    return std::clamp(left_ws / std::max(length_s - passed_s, shortest_s), 0.0, rush * limit_w);
}

}  // namespace

Cap charger_cap(const Config& config, const Settings& settings, const Inputs& inputs, const Charger& charger,
                const Guest& guest, const Rule* rule) {
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
    cap.lower_to(max_a_of(guest), Limit::vehicle_maximum);
    if (rule != nullptr) {
        cap.lower_to(rule->action.max_a, Limit::rule);
    }
    return cap;
}

double minimum_a(const Settings& settings, const Bus& bus) {
    return std::ceil(std::max({settings.min_a, bus.charger_min_a.value_or(lowest_a), lowest_a}));
}

void count_quarter_hour(const Inputs& inputs, Duration elapsed, Memory& memory) {
    constexpr auto longest_step = std::chrono::seconds(60);  // a gap says nothing about the import in between
    const auto since_1970 = std::chrono::floor<std::chrono::seconds>(inputs.wall.time_since_epoch());
    const std::int64_t quarter = since_1970 / quarter_hour;
    if (quarter != memory.quarter) {
        memory.quarter = quarter;
        memory.quarter_import_ws = 0;
    }
    memory.quarter_import_ws +=
        std::max(0.0, memory.grid_w.value_or(0)) * seconds(std::min<Duration>(elapsed, longest_step));
}

SharedLimits shared_limits(const Config& config, const Settings& settings, const Inputs& inputs, const Memory& memory) {
    // More room must last before it is used; less counts at once.
    const auto lowest_lately = [&](const auto& number) {
        return memory.room.lowest_since(inputs.now - config.raise_hold, number)
            .value_or(std::invoke(number, memory.room.at(inputs.now)));
    };
    const auto with_import = [&](double import_w) {
        return std::max(0.0, lowest_lately(&SiteRoom::without_import_w) + import_w);
    };
    SharedLimits limits;
    auto& [budget, in_force] = limits;
    budget.wiring_a =
        std::min(config.site.wiring_max_a.value_or(unlimited), inputs.bus.wiring_max_a.value_or(unlimited));
    if (budget.wiring_a < unlimited) {
        in_force.push_back({.name = Limit::wiring, .limit_a = budget.wiring_a});
    }
    if (config.site.main_fuse_a) {
        budget.line_unknown = !memory.line_room_known;
        if (budget.line_unknown) {
            in_force.push_back({.name = Limit::house_unknown, .limit_a = config.site.main_fuse_a, .room_a = 0});
        }
        for (std::size_t line = 0; line < static_cast<std::size_t>(config.site.phases) && memory.line_room_known;
             ++line) {
            budget.line_a[line] = lowest_lately([&](const SiteRoom& room) { return room.line_a[line]; });
            constexpr std::array names{Limit::house_l1, Limit::house_l2, Limit::house_l3};
            in_force.push_back(
                {.name = names.at(line), .limit_a = config.site.main_fuse_a, .room_a = budget.line_a[line]});
        }
    }
    if (settings.import_cap_w) {
        budget.import_w = with_import(*settings.import_cap_w);
        in_force.push_back({.name = Limit::import_cap, .limit_w = settings.import_cap_w, .room_w = budget.import_w});
    }
    if (settings.quarter_hour_w) {
        const double left_w = with_import(quarter_hour_import_w(*settings.quarter_hour_w, inputs.wall, memory));
        in_force.push_back({.name = Limit::quarter_hour,
                            .limit_w = settings.quarter_hour_w,
                            .room_w = left_w,
                            .until = inputs.wall - inputs.wall.time_since_epoch() % quarter_hour + quarter_hour});
        if (left_w < budget.import_w) {
            budget.import_w = left_w;
            budget.import_name = Limit::quarter_hour;
        }
    }
    if (settings.dimming) {
        budget.total_w = settings.dimming->limit_w;
        in_force.push_back({.name = Limit::dimming,
                            .limit_w = settings.dimming->limit_w,
                            .room_w = settings.dimming->limit_w,
                            .until = settings.dimming->until});
    }
    if (settings.grid_max_a) {
        budget.firm_w =
            with_import(*settings.grid_max_a * config.site.phases * volts(config.site, inputs.site, Charger{}));
        in_force.push_back({.name = Limit::grid_maximum, .limit_a = settings.grid_max_a, .room_w = budget.firm_w});
    }
    return limits;
}

}  // namespace policy_engine
