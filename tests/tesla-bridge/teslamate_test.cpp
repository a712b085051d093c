#include "tesla-bridge/teslamate.hpp"

#include <doctest/doctest.h>

#include "contract/schema.hpp"
#include "tesla-bridge/support.hpp"

using namespace tesla_bridge;
using namespace tesla_bridge_test;

namespace {

const Home home{.location = Location{50.1, 8.6}, .radius_m = 500, .geofence = "Home"};
const Home fence_only{.location = std::nullopt, .radius_m = 500, .geofence = "Home"};

VehicleFacts said(const char* key, const char* payload, const Home& where = home) {
    const auto facts = parse_teslamate(key, payload, where, at(7));
    REQUIRE_MESSAGE(facts.has_value(), key);
    return *facts;
}

}  // namespace

TEST_CASE("TeslaMate: every key that matters") {
    CHECK(value_of(said("battery_level", "57").soc_pct) == 57);
    CHECK(value_of(said("charge_limit_soc", "80").charge_limit_pct) == 80);
    CHECK(value_of(said("charger_actual_current", "13").charge_amps) == 13);
    CHECK(value_of(said("charge_current_request", "16").charge_amps_set) == 16);
    CHECK(value_of(said("est_battery_range_km", "241.5").range_km) == 241.5);
    CHECK(value_of(said("time_to_full_charge", "1.5").time_to_full_min) == 90);
    CHECK(value_of(said("plugged_in", "true").plugged) == true);
    CHECK(value_of(said("charging_state", "Stopped").charging_state) == ChargingState::stopped);
    CHECK(value_of(said("charging_state", "Stopped").plugged) == true);
    CHECK(value_of(said("charging_state", "Disconnected").plugged) == false);
    CHECK(value_of(said("location", R"({"latitude":50.1001,"longitude":8.6})").at_home) == true);
    CHECK(value_of(said("location", R"({"latitude":51,"longitude":8.6})").at_home) == false);
    CHECK(said("battery_level", "57").soc_pct->at == at(7));
}

TEST_CASE("TeslaMate: states of the car") {
    for (const char* awake : {"online", "charging", "driving", "suspended", "updating"}) {
        CHECK(value_of(said("state", awake).sleep_state) == SleepState::online);
    }
    CHECK(value_of(said("state", "asleep").sleep_state) == SleepState::asleep);
    CHECK(value_of(said("state", "offline").sleep_state) == SleepState::offline);
    CHECK_FALSE(parse_teslamate("state", "start", home, at(7)).has_value());
}

TEST_CASE("TeslaMate: an empty payload takes a value back") {
    const auto facts = said("charger_actual_current", "");
    REQUIRE(facts.charge_amps);
    CHECK_FALSE(facts.charge_amps->value.has_value());
    CHECK(facts.charge_amps->at == at(7));
}

TEST_CASE("TeslaMate: the fence decides only where no position is configured") {
    CHECK(value_of(said("geofence", "Home", fence_only).at_home) == true);
    CHECK(value_of(said("geofence", "Office", fence_only).at_home) == false);
    CHECK(value_of(said("geofence", "", fence_only).at_home) == false);
    CHECK_FALSE(parse_teslamate("geofence", "Office", home, at(7)).has_value());
    CHECK_FALSE(parse_teslamate("geofence", "Home", Home{}, at(7)).has_value());
}

TEST_CASE("TeslaMate: other keys are none of our business") {
    for (const char* key : {"display_name", "inside_temp", "healthy", "active_route", "latitude", ""}) {
        CHECK_FALSE(parse_teslamate(key, "{\"x\":", home, at(7)).has_value());
    }
}

TEST_CASE("TeslaMate: a value nobody would send is refused with key, value and expectation") {
    CHECK_THROWS_WITH_AS(parse_teslamate("battery_level", "full", home, at(7)),
                         R"(battery_level: got "full", expected a number from 0 to 100)", contract::Invalid);
    for (const auto& one :
         {std::pair{"battery_level", "101"}, std::pair{"battery_level", "nan"}, std::pair{"battery_level", "57 %"},
          std::pair{"charger_actual_current", "-1"}, std::pair{"plugged_in", "yes"},
          std::pair{"charging_state", "Pondering"}, std::pair{"location", "here"}, std::pair{"location", "[1,2]"},
          std::pair{"location", R"({"latitude":91,"longitude":0})"},
          std::pair{"location", R"({"latitude":"50","longitude":0})"}}) {
        const auto* key = one.first;
        const auto* payload = one.second;
        CAPTURE(key);
        CAPTURE(payload);
        CHECK_THROWS_AS(parse_teslamate(key, payload, home, at(7)), contract::Invalid);
    }
}

TEST_CASE("TeslaMate: one filter per car") {
    CHECK(teslamate_filter("teslamate", 1) == "teslamate/cars/1/+");
    CHECK(teslamate_filter("teslamate/garage", 12) == "teslamate/garage/cars/12/+");
}
