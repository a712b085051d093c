#include <algorithm>

#include <doctest/doctest.h>

#include "contract/messages.hpp"
#include "messaging/message_bus.hpp"
#include "stack.hpp"

using namespace std::chrono_literals;

namespace {

// Empty when the payload is what the contract says.
template <class Message>
std::string breach(const std::string& payload) {
    try {
        contract::from_text<Message>(payload);
        return "";
    } catch (const contract::Invalid& error) {
        return error.what();
    }
}

using Check = std::string (*)(const std::string&);

std::string not_an_object(const std::string& payload) {
    return contract::parse_json(payload).is_object() ? "" : "not an object";
}

std::string not_online(const std::string& payload) { return payload == "online" ? "" : payload; }

// Every topic of the contract that the four services own while one car charges.
std::map<std::string, Check> expected_topics() {
    std::map<std::string, Check> topics{
        {"twc/bus/state", &breach<contract::BusState>},
        {"twc/charger/7744/availability", &not_online},
        {"twc/charger/7744/state", &breach<contract::ChargerState>},
        {"twc/ems/state", &breach<contract::SitePower>},
        {"twc/ems/source/roof/state", &breach<contract::SourceState>},
        {"twc/ems/source/push/state", &breach<contract::SourceState>},
        {"twc/vehicle/kestrel/availability", &not_online},
        {"twc/vehicle/kestrel/state", &breach<contract::VehicleState>},
        {"twc/policy/state", &breach<contract::PolicyState>},
        {"twc/policy/charger/7744/state", &breach<contract::PolicyChargerState>},
        {"twc/policy/settings", &not_an_object},
        {"twc/policy/override/state", &breach<contract::OverrideState>},
        {"twc/policy/plan/state", &breach<contract::PlansState>},
    };
    for (const auto& service : Stack::services) {
        const std::string branch = "twc/service/" + service;
        topics[branch + "/status"] = &not_online;
        topics[branch + "/info"] = &breach<contract::ServiceInfo>;
        topics[branch + "/metrics"] = &not_an_object;
    }
    return topics;
}

}  // namespace

TEST_CASE("contract topics: every topic the four services own is there, retained and valid") {
    Stack stack;
    INFO(stack.logs());
    REQUIRE(stack.charges());
    REQUIRE(support::eventually([&] { return !stack.last("twc/vehicle/kestrel/state").empty(); }, 20s));

    const support::MqttProbe newcomer(stack.broker.port(), {"probe", "probe-password"});
    for (const auto& expected : expected_topics()) {
        const auto& topic = expected.first;
        const auto& check = expected.second;
        CAPTURE(topic);
        const auto message = newcomer.wait_for(
            topic, [](const std::string& text) { return !text.empty(); }, 20s);
        REQUIRE(message.has_value());
        CHECK(message->retained);
        CHECK(check(message->payload) == "");
    }
    CHECK(newcomer.messages_on("twc/bus/limit/set").empty());
}

TEST_CASE("contract topics: limits are leases, and flat topics say the same as the snapshot") {
    Stack stack;
    INFO(stack.logs());
    REQUIRE(stack.charges());
    const auto limit = stack.probe.latest("twc/bus/limit/set");
    REQUIRE(limit.has_value());
    CHECK_FALSE(limit->retained);
    const auto lease = contract::from_text<contract::LimitSet>(limit->payload);
    CHECK(lease.ttl_s == 15);
    CHECK(lease.chargers.contains("7744"));

    CHECK(stack.last("twc/charger/7744/status") == stack.field("twc/charger/7744/state", "state"));
    CHECK(stack.last("twc/bus/limit_a") == stack.field("twc/bus/state", "limit_a").dump());
    CHECK(stack.last("twc/policy/mode") == "min_solar");
    CHECK(std::stod(stack.last("twc/ems/pv_w")) > 0);
}

TEST_CASE("contract topics: all that is valid at every moment, and no service is refused anything by the broker") {
    Stack stack;
    INFO(stack.logs());
    REQUIRE(stack.charges());
    stack.probe.publish("twc/house-sim/cloud/set", "0.5 20");
    REQUIRE(stack.probe.publish("twc/policy/override/7744/set", "10 1h"));
    REQUIRE(support::eventually([&] { return stack.wire_a() == 10; }, 20s));

    const auto expected = expected_topics();
    std::size_t checked = 0;
    for (const auto& message : stack.probe.messages()) {
        const auto found = expected.find(message.topic);
        if (found != expected.end() && found->second != &not_online) {
            CAPTURE(message.topic);
            CAPTURE(message.payload);
            CHECK(found->second(message.payload) == "");
            ++checked;
        }
        if (messaging::matches("twc/service/+/event", message.topic)) {
            const auto event = contract::parse_json(message.payload);
            CHECK(contract::parse_timestamp(event["ts"].get<std::string>()).has_value());
            CHECK_FALSE(message.retained);
        }
    }
    CHECK(checked > 30);
    for (const auto& name : Stack::services) {
        CAPTURE(name);
        CHECK(stack.process(name).output().find("was refused for user") == std::string::npos);
        CHECK(stack.process(name).output().find(name + "-password") == std::string::npos);
    }
}

TEST_CASE("contract topics: the shipped access rules let every service announce itself to Home Assistant, retained") {
    Stack stack;
    INFO(stack.logs());
    REQUIRE(stack.charges());
    for (const char* topic : {"homeassistant/sensor/twc-bus/twc_home_charger_7744_power_w/config",
                              "homeassistant/sensor/ems-bridge/twc_home_ems_grid_w/config",
                              "homeassistant/sensor/tesla-bridge/twc_home_vehicle_kestrel_soc_pct/config",
                              "homeassistant/select/policy-engine/twc_home_controller_mode/config"}) {
        CAPTURE(topic);
        REQUIRE(support::eventually([&] { return !stack.last(topic).empty(); }, 20s));
        const support::MqttProbe newcomer(stack.broker.port(), {"probe", "probe-password"});
        const auto document = newcomer.wait_for(
            topic, [](const std::string& text) { return !text.empty(); }, 20s);
        REQUIRE(document.has_value());
        CHECK(document->retained);
        CHECK(contract::parse_json(document->payload)["origin"]["name"] == "twc-mqtt");
    }
    // Who started after them hears them again.
    const auto before = stack.probe.messages().size();
    stack.probe.publish("homeassistant/status", "online");
    CHECK(support::eventually(
        [&] {
            const auto all = stack.probe.messages();
            return std::any_of(all.begin() + static_cast<std::ptrdiff_t>(before), all.end(), [](const auto& message) {
                return message.topic == "homeassistant/select/policy-engine/twc_home_controller_mode/config";
            });
        },
        10s));
}
