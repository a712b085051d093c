#include "tesla-bridge/vehicle_facts.hpp"

#include <array>
#include <cmath>
#include <numbers>
#include <tuple>
#include <utility>

namespace tesla_bridge {

namespace {

constexpr std::array charging_words{
    std::pair{ChargingState::disconnected, "disconnected"}, std::pair{ChargingState::stopped, "stopped"},
    std::pair{ChargingState::starting, "starting"},         std::pair{ChargingState::charging, "charging"},
    std::pair{ChargingState::complete, "complete"},         std::pair{ChargingState::no_power, "no_power"},
};
constexpr std::array sleep_words{std::pair{SleepState::online, "online"}, std::pair{SleepState::asleep, "asleep"},
                                 std::pair{SleepState::offline, "offline"}};

template <class T>
void take_newer(Fact<T>& known, const Fact<T>& news) {
    if (news && (!known || news->at >= known->at)) {
        known = news;
    }
}

}  // namespace

void merge(VehicleFacts& known, const VehicleFacts& news) {
    using F = VehicleFacts;
    constexpr std::tuple fields{&F::soc_pct,         &F::charge_limit_pct, &F::charging_state, &F::charge_amps,
                                &F::charge_amps_set, &F::sleep_state,      &F::plugged,        &F::at_home,
                                &F::range_km,        &F::time_to_full_min};
    std::apply([&](auto... field) { (take_newer(known.*field, news.*field), ...); }, fields);
    known.heard_at = std::max(known.heard_at, news.heard_at);
}

bool is_asleep(const VehicleFacts& facts) {
    const auto state = value_of(facts.sleep_state);
    return state && *state != SleepState::online;
}

std::optional<ChargingState> parse_charging_state(std::string_view word) {
    constexpr std::array words{
        std::pair{"Disconnected", ChargingState::disconnected}, std::pair{"Stopped", ChargingState::stopped},
        std::pair{"Starting", ChargingState::starting},         std::pair{"Charging", ChargingState::charging},
        std::pair{"Complete", ChargingState::complete},         std::pair{"NoPower", ChargingState::no_power},
        std::pair{"Calibrating", ChargingState::starting},
    };
    for (const auto& [name, state] : words) {
        if (word == name) {
            return state;
        }
    }
    return std::nullopt;
}

std::optional<SleepState> parse_sleep_state(std::string_view word) {
    for (const auto& [state, name] : sleep_words) {
        if (word == name) {
            return state;
        }
    }
    return std::nullopt;
}

const char* to_word(ChargingState state) {
    for (const auto& [known, word] : charging_words) {
        if (known == state) {
            return word;
        }
    }
    return "unknown";
}

const char* to_word(SleepState state) {
    for (const auto& [known, word] : sleep_words) {
        if (known == state) {
            return word;
        }
    }
    return "unknown";
}

double distance_m(Location a, Location b) {
    constexpr double earth_radius_m = 6'371'000;
    constexpr double to_radians = std::numbers::pi / 180;
    const double half_dlat = (b.latitude - a.latitude) * to_radians / 2;
    const double half_dlon = (b.longitude - a.longitude) * to_radians / 2;
    const double chord = std::pow(std::sin(half_dlat), 2) + std::cos(a.latitude * to_radians) *
                                                                std::cos(b.latitude * to_radians) *
                                                                std::pow(std::sin(half_dlon), 2);
    return 2 * earth_radius_m * std::asin(std::sqrt(std::min(1.0, chord)));
}

std::optional<bool> is_at_home(const Home& home, Location car) {
    if (!home.location) {
        return std::nullopt;
    }
    return distance_m(*home.location, car) <= home.radius_m;
}

contract::VehicleState to_state(const VehicleFacts& facts, scheduling::Instant now, scheduling::WallTime wall_now) {
    contract::VehicleState state;
    state.ts = wall_now;
    state.soc_pct = value_of(facts.soc_pct);
    state.charge_limit_pct = value_of(facts.charge_limit_pct);
    state.charge_amps = value_of(facts.charge_amps);
    state.charge_amps_set = value_of(facts.charge_amps_set);
    state.plugged = value_of(facts.plugged);
    state.at_home = value_of(facts.at_home);
    state.range_km = value_of(facts.range_km);
    state.time_to_full_min = value_of(facts.time_to_full_min);
    if (const auto charging = value_of(facts.charging_state)) {
        state.charging_state = to_word(*charging);
    }
    if (const auto sleep = value_of(facts.sleep_state)) {
        state.sleep_state = to_word(*sleep);
    }
    if (facts.heard_at) {
        const auto age = now - *facts.heard_at;
        state.age_s = std::chrono::duration<double>(age).count();
        state.updated = wall_now - std::chrono::duration_cast<scheduling::WallTime::duration>(age);
    }
    return state;
}

}  // namespace tesla_bridge
