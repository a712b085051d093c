#include "tesla-bridge/teslamate.hpp"

#include <array>
#include <charconv>

#include <fmt/format.h>

#include "contract/schema.hpp"
#include "tesla-bridge/fleet_answer.hpp"

namespace tesla_bridge {

namespace {

using At = std::optional<scheduling::Instant>;

[[noreturn]] void refuse(std::string_view key, std::string_view payload, const std::string& expected) {
    constexpr std::size_t longest = 40;
    throw contract::Invalid(fmt::format("{}: got \"{}\", expected {}", key, printable(payload, longest), expected));
}

Report<double> number(std::string_view key, std::string_view payload, contract::Range allowed, double factor, At at) {
    if (payload.empty()) {
        return {std::nullopt, at};
    }
    double value = 0;
    const auto [end, error] = std::from_chars(payload.data(), payload.data() + payload.size(), value);
    const bool is_number = error == std::errc{} && end == payload.data() + payload.size();
    if (!is_number || !(value >= allowed.min && value <= allowed.max)) {
        refuse(key, payload, fmt::format("a number from {:g} to {:g}", allowed.min, allowed.max));
    }
    return {value * factor, at};
}

struct NumberKey {
    const char* key = nullptr;
    Fact<double> VehicleFacts::*field = nullptr;
    contract::Range allowed{};
    double factor = 1;
};

constexpr contract::Range any_amps{0, 200};
constexpr std::array number_keys{
    NumberKey{"battery_level", &VehicleFacts::soc_pct, contract::percent},
    NumberKey{"charge_limit_soc", &VehicleFacts::charge_limit_pct, contract::percent},
    NumberKey{"charger_actual_current", &VehicleFacts::charge_amps, any_amps},
    NumberKey{"charge_current_request", &VehicleFacts::charge_amps_set, any_amps},
    NumberKey{"est_battery_range_km", &VehicleFacts::range_km, {0, 2000}},
    NumberKey{"time_to_full_charge", &VehicleFacts::time_to_full_min, {0, 1e4}, 60},  // hours
};

// `suspended` is TeslaMate keeping quiet so that the car can fall asleep; until it does, the car is awake.
std::optional<SleepState> sleep_state_of(std::string_view word) {
    for (const char* awake : {"online", "charging", "driving", "suspended", "updating"}) {
        if (word == awake) {
            return SleepState::online;
        }
    }
    if (word == "asleep") {
        return SleepState::asleep;
    }
    return word == "offline" || word == "unavailable" ? std::optional(SleepState::offline) : std::nullopt;
}

void read_charging_state(std::string_view payload, At at, VehicleFacts& facts) {
    const auto state = parse_charging_state(payload);
    if (!payload.empty() && !state) {
        refuse("charging_state", payload, "a charging state of Tesla");
    }
    facts.charging_state = Report<ChargingState>{state, at};
    if (state) {
        facts.plugged = Report<bool>{*state != ChargingState::disconnected, at};
    }
}

void read_plugged_in(std::string_view payload, At at, VehicleFacts& facts) {
    if (payload != "true" && payload != "false" && !payload.empty()) {
        refuse("plugged_in", payload, "true or false");
    }
    facts.plugged = Report<bool>{payload.empty() ? std::nullopt : std::optional(payload == "true"), at};
}

void read_location(std::string_view payload, const Home& home, At at, VehicleFacts& facts) {
    if (payload.empty()) {
        return;
    }
    const auto json = contract::parse_json(payload);
    const auto degrees = [&](const char* key, double limit) {
        const auto found = json.is_object() ? json.find(key) : json.end();
        const bool is_number = found != json.end() && found->is_number();
        const double value = is_number ? found->get<double>() : limit + 1;
        if (!(value >= -limit && value <= limit)) {
            refuse("location", payload, R"({"latitude":…,"longitude":…})");
        }
        return value;
    };
    const Location car{degrees("latitude", 90), degrees("longitude", 180)};
    if (const auto at_home = is_at_home(home, car)) {
        facts.at_home = Report<bool>{*at_home, at};
    }
}

// The position decides where both are known: a fence can be missed when TeslaMate was down at the arrival.
void read_geofence(std::string_view payload, const Home& home, At at, VehicleFacts& facts) {
    if (!home.geofence.empty() && !home.location) {
        facts.at_home = Report<bool>{payload == home.geofence, at};
    }
}

}  // namespace

std::string teslamate_filter(const std::string& prefix, int car_id) {
    return fmt::format("{}/cars/{}/+", prefix, car_id);
}

std::optional<VehicleFacts> parse_teslamate(std::string_view key, std::string_view payload, const Home& home, At at) {
    VehicleFacts facts;
    for (const auto& known : number_keys) {
        if (key == known.key) {
            facts.*known.field = number(key, payload, known.allowed, known.factor, at);
        }
    }
    if (key == "charging_state") {
        read_charging_state(payload, at, facts);
    } else if (key == "plugged_in") {
        read_plugged_in(payload, at, facts);
    } else if (key == "location") {
        read_location(payload, home, at, facts);
    } else if (key == "geofence") {
        read_geofence(payload, home, at, facts);
    } else if (key == "state") {
        if (const auto state = sleep_state_of(payload)) {
            facts.sleep_state = Report<SleepState>{*state, at};
        }
    }
    return facts == VehicleFacts{} ? std::nullopt : std::optional(facts);
}

}  // namespace tesla_bridge
