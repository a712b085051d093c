#include <doctest/doctest.h>
#include <fmt/format.h>

#include "stack.hpp"

using namespace std::chrono_literals;

namespace {

struct Command {
    std::string service;
    std::string topic;
};

const std::vector<Command> commands{
    {"twc-bus", "twc/bus/limit/set"},
    {"twc-bus", "twc/bus/estop/set"},
    {"ems-bridge", "twc/ems/input/battery_power/set"},
    {"ems-bridge", "twc/ems/input/nonsense/set"},
    {"tesla-bridge", "twc/vehicle/kestrel/command/charge_start/set"},
    {"tesla-bridge", "twc/vehicle/kestrel/command/charge_stop/set"},
    {"tesla-bridge", "twc/vehicle/kestrel/command/set_amps/set"},
    {"tesla-bridge", "twc/vehicle/kestrel/command/set_limit/set"},
    {"tesla-bridge", "twc/vehicle/kestrel/command/wake/set"},
    {"tesla-bridge", "twc/vehicle/nobody/command/wake/set"},
    {"policy-engine", "twc/policy/mode/set"},
    {"policy-engine", "twc/policy/reserve_w/set"},
    {"policy-engine", "twc/policy/nonsense/set"},
    {"policy-engine", "twc/policy/charger/7744/priority/set"},
    {"policy-engine", "twc/policy/charger/9999/priority/set"},
    {"policy-engine", "twc/policy/vehicle/kestrel/priority/set"},
    {"policy-engine", "twc/policy/schedule/set"},
    {"policy-engine", "twc/policy/plan/set"},
    {"policy-engine", "twc/policy/override/set"},
    {"policy-engine", "twc/policy/override/7744/set"},
};

// What a wrong command must leave alone.
struct Settled {
    std::string settings;
    std::string override_state;
    nlohmann::json estop;
    bool operator==(const Settled&) const = default;
};

Settled settled(const Stack& stack) {
    return {stack.last("twc/policy/settings"), stack.last("twc/policy/override/state"),
            stack.field("twc/bus/state", "estop")};
}

std::string check_config(const Stack& stack, const std::string& name, const std::string& extra) {
    support::Process process(
        {BINARY_DIR "/" + name, "--check-config", "--config", stack.folder / (name + ".yaml"), "--set", extra},
        stack.folder / "check.log");
    const auto code = process.wait_for_exit();
    return fmt::format("{}: {}", code.value_or(-1), process.output());
}

}  // namespace

TEST_CASE("bad input: a malformed payload on each command topic is refused visibly and changes nothing") {
    Stack stack;
    INFO(stack.logs());
    REQUIRE(stack.charges());
    REQUIRE(support::eventually([&] { return !stack.last("twc/vehicle/kestrel/state").empty(); }, 20s));
    const auto before = settled(stack);
    for (const auto& command : commands) {
        for (const std::string& payload : {std::string("{\"amps\":"), std::string("\xff\x00\x1b", 3), std::string(),
                                           std::string(3000, '['), std::string("NaN")}) {
            CAPTURE(command.topic);
            CAPTURE(payload);
            const auto mark = stack.probe.mark();
            REQUIRE(stack.probe.publish(command.topic, payload));
            const auto event = stack.event(command.service, "command_rejected", mark);
            REQUIRE(event.has_value());
            CHECK(event->at("topic") == command.topic);
            CHECK(event->at("reason").get<std::string>().size() > 3);
            CHECK(event->at("expected").get<std::string>().size() > 3);
        }
    }
    CHECK(settled(stack) == before);
    for (const auto& name : Stack::services) {
        CHECK(stack.process(name).running());
    }
    CHECK(stack.charges(10s));
}

TEST_CASE("bad input: a retained command is refused by a service that starts, and nothing changes") {
    Stack stack;
    INFO(stack.logs());
    REQUIRE(stack.charges());
    const auto before = settled(stack);
    for (const Command& command :
         {Command{"policy-engine", "twc/policy/mode/set"}, Command{"twc-bus", "twc/bus/estop/set"},
          Command{"tesla-bridge", "twc/vehicle/kestrel/command/charge_stop/set"}}) {
        CAPTURE(command.topic);
        stack.stop(command.service);
        const auto mark = stack.probe.mark();
        const std::string order = command.service == "twc-bus"        ? "stop"
                                  : command.service == "tesla-bridge" ? "1"
                                                                      : "off";
        REQUIRE(stack.probe.publish(command.topic, order, true));
        stack.start(command.service);

        const auto event = stack.event(command.service, "command_rejected", mark, 10s);
        REQUIRE(event.has_value());
        CHECK(event->at("reason").get<std::string>().find("retained") != std::string::npos);
        REQUIRE(stack.probe.publish(command.topic, "", true));
    }
    CHECK(support::eventually([&] { return settled(stack) == before; }, 10s));
    CHECK(stack.charges());
}

TEST_CASE("bad input: a limit above the hard maximum never reaches the wire") {
    Stack stack;
    INFO(stack.logs());
    REQUIRE(stack.charges());
    stack.stop("policy-engine");
    const auto limit = [&](double amps) {
        static int count = 0;
        const auto seq = std::chrono::system_clock::now().time_since_epoch() / 10ms + ++count;
        return fmt::format(R"({{"ttl_s":30,"seq":{},"chargers":{{"7744":{}}}}})", seq, amps);
    };
    auto mark = stack.probe.mark();
    REQUIRE(stack.probe.publish("twc/bus/limit/set", limit(81)));
    const auto refused = stack.event("twc-bus", "command_rejected", mark);
    REQUIRE(refused.has_value());
    CHECK(refused->at("reason") == "chargers.7744: got 81, expected a number from 0 to 80");

    mark = stack.probe.mark();
    REQUIRE(stack.probe.publish("twc/bus/limit/set", limit(80)));
    CHECK(stack.probe
              .wait_for(
                  "twc/charger/7744/event",
                  [](const std::string& text) { return nlohmann::json::parse(text)["event_type"] == "limited"; }, 5s,
                  mark)
              .has_value());
    CHECK(support::eventually([&] { return stack.wire_a() > Stack::wiring_a - 0.1; }, 10s));
    CHECK(stack.highest_wire_a() <= Stack::wiring_a);
}

TEST_CASE("bad input: Modbus exceptions make the source say so, and its values old and not zero") {
    Stack stack;
    INFO(stack.logs());
    REQUIRE(stack.charges());
    REQUIRE(stack.probe.publish("twc/house-sim/fault/set", "modbus error 8"));

    CHECK(support::eventually([&] { return stack.field("twc/ems/source/roof/state", "ok") == false; }, 8s));
    CHECK(stack.field("twc/ems/source/roof/state", "error").get<std::string>().size() > 5);
    CHECK(support::eventually([&] { return stack.field("twc/ems/state", "quality") != "ok"; }, 8s));
    for (const auto& message : stack.probe.messages_on("twc/ems/state")) {
        CHECK(nlohmann::json::parse(message.payload)["pv_w"] != 0);
    }
    CHECK(support::eventually([&] { return stack.field("twc/ems/source/roof/state", "ok") == true; }, 20s));
    CHECK(stack.charges());
}

TEST_CASE("bad input: HTTP 500 and a refused login show in the vehicle's state, and charging goes on") {
    for (const std::string fault : {"error", "unauthorized"}) {
        CAPTURE(fault);
        Stack stack;
        INFO(stack.logs());
        REQUIRE(stack.charges());
        REQUIRE(
            support::eventually([&] { return stack.field("twc/vehicle/kestrel/state", "soc_pct").is_number(); }, 20s));
        REQUIRE(stack.probe.publish("twc/house-sim/fault/set", "tesla " + fault));

        CHECK(support::eventually(
            [&] {
                const auto state = stack.last_json("twc/vehicle/kestrel/state");
                return state.contains("last_error") && state["last_error"].is_string();
            },
            30s));
        CHECK(stack.charges(5s));
        CHECK(stack.process("tesla-bridge").running());
        CHECK(stack.process("tesla-bridge").output().find("sim-refresh") == std::string::npos);
    }
}

TEST_CASE("bad input: flipped bits on the line are counted, believed by nobody, and do not stop the charging") {
    Stack stack;
    INFO(stack.logs());
    REQUIRE(stack.charges());
    REQUIRE(support::eventually([&] { return stack.wire_a() > 10; }, 30s));
    stack.tap.corrupt_every(97);

    CHECK(support::eventually(
        [&] {
            const auto metrics = stack.last_json("twc/service/twc-bus/metrics");
            // NOLINTNEXTLINE(readability-use-anyofallof): no range
            for (const auto& [key, value] : metrics.items()) {
                if (key.find("checksum") != std::string::npos && value.is_number() && value.get<double>() > 0) {
                    return true;
                }
            }
            return false;
        },
        25s));
    CHECK(stack.charges(10s));
    CHECK(stack.field("twc/bus/state", "chargers") == nlohmann::json{"7744"});
    CHECK(stack.highest_wire_a() <= Stack::wiring_a);
}

TEST_CASE("bad input: an unknown key of the configuration stops each service with its name") {
    const Stack stack;
    for (const std::string name : {"twc-bus", "ems-bridge", "tesla-bridge", "policy-engine", "house-sim"}) {
        CAPTURE(name);
        CHECK(check_config(stack, name, "mqtt.protocol=auto").starts_with("0: "));
        const auto words = check_config(stack, name, "mispelt=1");
        CHECK(words.starts_with("2: "));
        CHECK(words.find("mispelt: unknown key") != std::string::npos);
    }
    CHECK(check_config(stack, "twc-bus", "limits.wiring_max_a=1000").find("wiring_max_a: 1000 is outside") !=
          std::string::npos);
}
