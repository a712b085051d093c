#include "contract/topics.hpp"

#include <doctest/doctest.h>

#include "messaging/message_bus.hpp"

using contract::Topics;

TEST_CASE("topics: are those of the contract, under the base") {
    const Topics topics("sites/garage/twc");

    CHECK(topics.service_status("twc-bus") == "sites/garage/twc/service/twc-bus/status");
    CHECK(topics.bus_limit_set() == "sites/garage/twc/bus/limit/set");
    CHECK(topics.charger_state("7744") == "sites/garage/twc/charger/7744/state");
    CHECK(topics.ems_input_set("grid_power") == "sites/garage/twc/ems/input/grid_power/set");
    CHECK(topics.vehicle_command_set("ida", "set_amps") == "sites/garage/twc/vehicle/ida/command/set_amps/set");
    CHECK(topics.policy_set("mode") == "sites/garage/twc/policy/mode/set");
    CHECK(topics.policy_charger_set("7744", "priority") == "sites/garage/twc/policy/charger/7744/priority/set");
    CHECK(topics.policy_override_set("7744") == "sites/garage/twc/policy/override/7744/set");
}

TEST_CASE("topics: a filter is made with a plus for the id, and gives the id back") {
    const Topics topics("twc");
    const auto filter = topics.vehicle_command_set("+", "+");

    CHECK(Topics::wildcard_level(filter, "twc/vehicle/ida/command/wake/set", 0) == "ida");
    CHECK(Topics::wildcard_level(filter, "twc/vehicle/ida/command/wake/set", 1) == "wake");
    CHECK_FALSE(Topics::wildcard_level(filter, "twc/vehicle/ida/command/wake/set", 2).has_value());
    CHECK_FALSE(Topics::wildcard_level(filter, "twc/vehicle/ida/state", 0).has_value());
    CHECK(Topics::wildcard_level("a/+", "a/") == "");
    CHECK_FALSE(Topics::wildcard_level("a/#", "a/b/c").has_value());
}

TEST_CASE("topics: an id is lower-case, short and safe in a topic") {
    CHECK(contract::is_valid_id("7744"));
    CHECK(contract::is_valid_id("model_3-blue"));
    CHECK(contract::is_valid_id(std::string(64, 'a')));
    for (const std::string& bad : {std::string(), std::string("A"), std::string("a/b"), std::string("+"),
                                   std::string("#"), std::string("ä"), std::string("a b"), std::string(65, 'a')}) {
        CAPTURE(bad);
        CHECK_FALSE(contract::is_valid_id(bad));
    }
}
