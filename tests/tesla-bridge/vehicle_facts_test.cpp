#include "tesla-bridge/vehicle_facts.hpp"

#include <doctest/doctest.h>

#include "tesla-bridge/support.hpp"

using namespace tesla_bridge;
using namespace tesla_bridge_test;
using namespace std::chrono_literals;

namespace {

VehicleFacts soc(std::optional<double> value, std::optional<scheduling::Instant> when) {
    VehicleFacts facts;
    facts.soc_pct = Report<double>{value, when};
    return facts;
}

}  // namespace

TEST_CASE("facts: the newer report wins, field by field") {
    VehicleFacts known = soc(50, at(100));
    known.charge_amps = Report<double>{16, at(100)};
    known.heard_at = at(100);
    VehicleFacts news = soc(49, at(90));
    news.charge_amps = Report<double>{10, at(110)};
    news.heard_at = at(90);
    merge(known, news);

    CHECK(value_of(known.soc_pct) == 50);
    CHECK(value_of(known.charge_amps) == 10);
    CHECK(known.heard_at == at(100));
}

TEST_CASE("facts: between equally old reports the later arrival wins") {
    VehicleFacts known = soc(50, at(100));
    merge(known, soc(51, at(100)));
    CHECK(value_of(known.soc_pct) == 51);
}

TEST_CASE("facts: a stored message of unknown age fills a gap and replaces nothing newer") {
    VehicleFacts known;
    merge(known, soc(40, std::nullopt));
    CHECK(value_of(known.soc_pct) == 40);
    CHECK_FALSE(fresh_value(known.soc_pct, at(5), 1h).has_value());

    merge(known, soc(41, at(5)));
    merge(known, soc(40, std::nullopt));
    CHECK(value_of(known.soc_pct) == 41);
}

TEST_CASE("facts: a source can take back a value, silence cannot") {
    VehicleFacts known = soc(50, at(100));
    merge(known, VehicleFacts{});
    CHECK(value_of(known.soc_pct) == 50);
    merge(known, soc(std::nullopt, at(101)));
    CHECK_FALSE(value_of(known.soc_pct).has_value());
}

TEST_CASE("facts: the published state tells the age, and null before anything was heard") {
    VehicleFacts facts = soc(50, std::nullopt);
    auto state = to_state(facts, at(1000), fixture_wall());
    CHECK(state.soc_pct == 50);
    CHECK_FALSE(state.age_s.has_value());
    CHECK_FALSE(state.updated.has_value());

    facts.heard_at = at(940);
    state = to_state(facts, at(1000), fixture_wall());
    CHECK(state.age_s == doctest::Approx(60));
    CHECK(state.updated == fixture_wall() - 60s);
}

TEST_CASE("facts: words of both sides") {
    CHECK(parse_charging_state("NoPower") == ChargingState::no_power);
    CHECK(parse_charging_state("Calibrating") == ChargingState::starting);
    CHECK_FALSE(parse_charging_state("charging").has_value());
    CHECK(std::string(to_word(ChargingState::no_power)) == "no_power");
    CHECK(parse_sleep_state("offline") == SleepState::offline);
    CHECK_FALSE(parse_sleep_state("driving").has_value());
}

TEST_CASE("home: distance on the globe") {
    CHECK(distance_m({50.1, 8.6}, {50.1, 8.6}) == doctest::Approx(0));
    CHECK(distance_m({50, 8}, {51, 8}) == doctest::Approx(111'195).epsilon(0.001));
    CHECK(distance_m({60, 8}, {60, 9}) == doctest::Approx(55'597).epsilon(0.001));
    CHECK(distance_m({0, 179.999}, {0, -179.999}) == doctest::Approx(222.4).epsilon(0.01));
    CHECK(distance_m({90, 0}, {-90, 0}) == doctest::Approx(20'015'087).epsilon(0.001));
}

TEST_CASE("home: inside, outside and not configured") {
    const Home home{.location = Location{50.1, 8.6}, .radius_m = 300, .geofence = {}};
    CHECK(is_at_home(home, {50.102, 8.6}) == true);
    CHECK(is_at_home(home, {50.104, 8.6}) == false);
    CHECK_FALSE(is_at_home(Home{}, {50.1, 8.6}).has_value());
}
