#include "policy-engine/site_memory.hpp"

#include <algorithm>

#include "policy-engine/session.hpp"
#include "policy-engine/surplus.hpp"

namespace policy_engine {

namespace {

using namespace std::chrono_literals;

// A longer gap between two decisions is an outage, not charging time.
constexpr Duration longest_accounted = 10s;

double drawn_w_at(Instant time, const std::vector<Claim>& claims, const Memory& memory) {
    double total_w = 0;
    for (std::size_t i = 0; i < claims.size(); ++i) {
        total_w += memory.chargers[i].drawn.at(time) * claims[i].ampere_w;
    }
    return total_w;
}

// Where a unit's phase is not known, its draw frees no line for others (Claim::line_drawn_a).
double drawn_a_at(Instant time, std::size_t line, const SiteConfig& site, const std::vector<Claim>& claims,
                  const Memory& memory) {
    double total_a = 0;
    for (std::size_t i = 0; i < claims.size(); ++i) {
        if (line_is_known(site, claims[i]) && uses_line(claims[i], static_cast<int>(line))) {
            total_a += memory.chargers[i].drawn.at(time);
        }
    }
    return total_a;
}

std::optional<double> line_current_a(const SiteConfig& config, const Site& site, std::size_t line) {
    if (site.grid_a[line]) {
        return site.grid_a[line];
    }
    if (config.phases == 1 && line == 0) {
        return *site.grid_w / site.voltage_v[0].value_or(config.voltage_v);
    }
    return std::nullopt;
}

void take_in_line_rooms(const SiteConfig& config, const Site& site, Instant time, const std::vector<Claim>& claims,
                        Memory& memory, SiteRoom& room) {
    memory.line_room_known = true;
    for (std::size_t line = 0; line < static_cast<std::size_t>(config.phases); ++line) {
        const auto current_a = line_current_a(config, site, line);
        if (!current_a) {
            memory.line_room_known = false;
            return;
        }
        const double drawn_a = config.chargers_inside_meter ? drawn_a_at(time, line, config, claims, memory) : 0;
        room.line_a[line] = *config.main_fuse_a - *current_a + drawn_a;
    }
}

// Where nobody meters the grid it follows from sun, house and battery; `drawn_w`: by the chargers at that time.
std::optional<double> grid_of(const SiteConfig& config, const Site& site, double drawn_w) {
    if (site.grid_w || !site.pv_w) {
        return site.grid_w;
    }
    const auto house_w =
        !site.house_w && config.assumed_house_w ? std::optional(*config.assumed_house_w + drawn_w) : site.house_w;
    return house_w ? std::optional(*house_w - *site.pv_w - site.battery_w.value_or(0)) : std::nullopt;
}

}  // namespace

bool line_is_known(const SiteConfig& site, const Claim& claim) {
    return claim.phases >= 3 || claim.first_line >= 0 || site.phases == 1;
}

void take_in_site(const Config& config, const Settings& settings, const Inputs& inputs,
                  const std::vector<Claim>& claims, Memory& memory) {
    memory.grid_w.reset();
    if (!inputs.site) {
        return;
    }
    Site site = *inputs.site;
    memory.battery_seen = memory.battery_seen || site.battery_w.has_value();
    const Instant time = site.measured_at - config.site.meter_delay;
    const double drawn_w = drawn_w_at(time, claims, memory);
    site.grid_w = grid_of(config.site, site, drawn_w);
    memory.grid_w = site.grid_w;
    const auto available = available_w(config.site, settings, site, drawn_w, memory.battery_seen);
    if (!available) {
        return;
    }
    if (!memory.site_at || *memory.site_at != site.measured_at) {
        memory.sample_at = inputs.now;
        memory.site_at = site.measured_at;
    }
    memory.available_w = *available;
    SiteRoom room{.available_w = *available,
                  .without_import_w = (config.site.chargers_inside_meter ? drawn_w : 0) - *site.grid_w};
    if (config.site.main_fuse_a) {
        take_in_line_rooms(config.site, site, time, claims, memory, room);
    }
    memory.room.add(memory.sample_at, room);
}

void account_sessions(const Settings& settings, const Inputs& inputs, const std::vector<Claim>& claims,
                      std::optional<double> grid_w, Duration elapsed, Memory& memory) {
    const TariffPrices prices = prices_in_force(settings, inputs);
    double total_w = 0;
    for (std::size_t i = 0; i < claims.size(); ++i) {
        total_w += inputs.chargers[i].drawn_a.value_or(0) * claims[i].ampere_w;
    }
    for (std::size_t i = 0; i < claims.size() && total_w > 0; ++i) {
        const double own_w = inputs.chargers[i].drawn_a.value_or(0) * claims[i].ampere_w;
        const auto own_grid_w = grid_w ? std::optional(*grid_w * own_w / total_w) : std::nullopt;
        account(memory.chargers[i].session, own_w, own_grid_w, std::min(elapsed, longest_accounted), prices);
    }
}

}  // namespace policy_engine
