#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "contract/messages.hpp"
#include "scheduling/scheduler.hpp"

namespace tesla_bridge {

enum class SleepState { online, asleep, offline };
enum class ChargingState { disconnected, stopped, starting, charging, complete, no_power };

/// What a source said about one property of the car.
template <class T>
struct Report {
    std::optional<T> value;                 ///< None: the source says that it does not know.
    std::optional<scheduling::Instant> at;  ///< When it was true; none: a stored message of unknown age.
    bool operator==(const Report&) const = default;
};

/// None: no source ever said anything.
template <class T>
using Fact = std::optional<Report<T>>;

/// All that is known about one car, each property as new as any source could give it. A source hands over its news
/// in the same form, leaving out what it did not speak of.
struct VehicleFacts {
    Fact<double> soc_pct;
    Fact<double> charge_limit_pct;
    Fact<ChargingState> charging_state;
    Fact<double> charge_amps;
    Fact<double> charge_amps_set;
    Fact<SleepState> sleep_state;
    Fact<bool> plugged;
    Fact<bool> at_home;
    Fact<double> range_km;
    Fact<double> time_to_full_min;
    std::optional<scheduling::Instant> heard_at;  ///< When the car itself last spoke to any of our sources.

    bool operator==(const VehicleFacts&) const = default;
};

/// The newer report of each property wins; between equally old ones the later arrival.
void merge(VehicleFacts& known, const VehicleFacts& news);

/// The value, or none when unknown.
template <class T>
std::optional<T> value_of(const Fact<T>& fact) {
    return fact ? fact->value : std::nullopt;
}

/// The value if it was true at most `max_age` ago.
template <class T>
std::optional<T> fresh_value(const Fact<T>& fact, scheduling::Instant now, scheduling::Duration max_age) {
    return fact && fact->at && now - *fact->at <= max_age ? fact->value : std::nullopt;
}

/// Whether the last thing heard is that the car sleeps or is out of reach.
bool is_asleep(const VehicleFacts& facts);

/// Tesla's words (`Charging`, `NoPower`) to ours; none for a word we do not know. `Calibrating` counts as starting.
std::optional<ChargingState> parse_charging_state(std::string_view word);
/// `online`, `asleep`, `offline`; none for any other.
std::optional<SleepState> parse_sleep_state(std::string_view word);

const char* to_word(ChargingState state);
const char* to_word(SleepState state);

struct Location {
    double latitude = 0;   ///< degrees, −90 to 90
    double longitude = 0;  ///< degrees, −180 to 180
};

/// Where the wall connectors are.
struct Home {
    std::optional<Location> location;
    double radius_m = 500;  ///< Position fixes are wrong by hundreds of metres now and then.
    std::string geofence;   ///< TeslaMate's name of it; empty: none.
};

/// Great-circle distance on a sphere of 6371 km.
double distance_m(Location a, Location b);
/// None when the home's position is not configured.
std::optional<bool> is_at_home(const Home& home, Location car);

/// The facts as `vehicle/<alias>/state` shows them; what is not about the car itself (alias, link) is left to the
/// caller.
contract::VehicleState to_state(const VehicleFacts& facts, scheduling::Instant now, scheduling::WallTime wall_now);

}  // namespace tesla_bridge
