#include <doctest/doctest.h>

#include "stack.hpp"
#include "storage/atomic_file.hpp"

using namespace std::chrono_literals;

namespace {

// Died without a word, and the broker said so.
void kill_and_see_will(Stack& stack, const std::string& name) {
    const auto mark = stack.probe.mark();
    stack.kill(name);
    CHECK(stack.probe.wait_for("twc/service/" + name + "/status", "offline", 5s, mark).has_value());
}

void start_and_see_online(Stack& stack, const std::string& name) {
    const auto mark = stack.probe.mark();
    stack.start(name);
    CHECK(stack.probe.wait_for("twc/service/" + name + "/status", "online", 10s, mark).has_value());
}

bool heartbeat_after(const Stack& stack, std::chrono::steady_clock::time_point moment,
                     std::chrono::milliseconds timeout) {
    return support::eventually([&] { return stack.tap.last_heartbeat() > moment; }, timeout);
}

}  // namespace

TEST_CASE("kill each: without policy-engine the lease lapses to the fail-safe, with it the sun is followed again") {
    Stack stack;
    INFO(stack.logs());
    REQUIRE(stack.charges());
    REQUIRE(support::eventually([&] { return stack.wire_a() > 10; }, 30s));
    REQUIRE(stack.probe.publish("twc/policy/reserve_w/set", "130"));
    REQUIRE(support::eventually([&] { return stack.field("twc/policy/settings", "reserve_w") == 130; }));
    REQUIRE(support::eventually([&] {
        const auto kept = storage::read_if_present(stack.folder / "policy-engine.json");
        return kept && nlohmann::json::parse(*kept).dump().find("\"reserve_w\":130") != std::string::npos;
    }));

    kill_and_see_will(stack, "policy-engine");
    CHECK(support::eventually([&] { return stack.field("twc/bus/state", "failsafe") == true; }, 20s));
    CHECK(support::eventually([&] { return stack.wire_a() <= Stack::failsafe_a; }, 5s));
    CHECK(stack.field("twc/bus/state", "reason").get<std::string>().size() > 5);
    CHECK(heartbeat_after(stack, std::chrono::steady_clock::now(), 2s));
    CHECK(support::eventually([&] { return stack.drawn_a() <= Stack::failsafe_a + 0.5; }, 20s));

    start_and_see_online(stack, "policy-engine");
    CHECK(support::eventually([&] { return stack.field("twc/bus/state", "failsafe") == false; }, 10s));
    CHECK(support::eventually([&] { return stack.wire_a() > 10; }, 30s));
    CHECK(stack.field("twc/policy/settings", "reserve_w") == 130);
}

TEST_CASE("kill each: without ems-bridge nothing is raised and the minimum is kept, with it the sun counts again") {
    Stack stack;
    INFO(stack.logs());
    REQUIRE(stack.charges());
    REQUIRE(support::eventually([&] { return stack.wire_a() > 10; }, 30s));

    kill_and_see_will(stack, "ems-bridge");
    const auto at_death = std::chrono::steady_clock::now();
    const double before = stack.wire_a();
    CHECK(support::eventually([&] { return stack.wire_a() <= 6; }, 20s));
    CHECK(stack.highest_wire_a(at_death) <= before);

    start_and_see_online(stack, "ems-bridge");
    CHECK(support::eventually([&] { return stack.wire_a() > 10; }, 30s));
}

TEST_CASE("kill each: twc-bus is back in heartbeat within two seconds and has lost no energy") {
    Stack stack;
    INFO(stack.logs());
    REQUIRE(stack.charges());
    const auto energy = [&] { return stack.field("twc/charger/7744/state", "energy_kwh"); };
    REQUIRE(support::eventually([&] { return energy().is_number() && energy().get<double>() > 0; }, 30s));
    // What is on disk is at most ten seconds old.
    std::this_thread::sleep_for(11s);
    const double before = energy().get<double>();

    kill_and_see_will(stack, "twc-bus");
    const auto restart = std::chrono::steady_clock::now();
    stack.start("twc-bus");

    CHECK(heartbeat_after(stack, restart, 2s));
    CHECK(support::eventually([&] { return stack.is_online("twc-bus"); }));
    CHECK(stack.charges());
    CHECK(support::eventually([&] { return energy().is_number() && energy().get<double>() >= before - 0.02; }, 20s));
    CHECK(stack.highest_wire_a(restart) <= Stack::wiring_a);
}

TEST_CASE("kill each: without tesla-bridge the car goes on, and it comes back with its login") {
    Stack stack;
    INFO(stack.logs());
    REQUIRE(stack.charges());
    REQUIRE(support::eventually([&] { return stack.last("twc/vehicle/kestrel/availability") == "online"; }, 20s));

    kill_and_see_will(stack, "tesla-bridge");
    CHECK(stack.charges(2s));
    CHECK(heartbeat_after(stack, std::chrono::steady_clock::now(), 2s));

    const auto mark = stack.probe.mark();
    start_and_see_online(stack, "tesla-bridge");
    CHECK(stack.probe
              .wait_for(
                  "twc/vehicle/kestrel/state",
                  [](const std::string& payload) {
                      return nlohmann::json::parse(payload).value("soc_pct", nlohmann::json()).is_number();
                  },
                  20s, mark)
              .has_value());
}

TEST_CASE("kill each: without the house the line is reported and comes back by itself") {
    Stack stack;
    INFO(stack.logs());
    REQUIRE(stack.charges());

    stack.kill("house-sim");
    CHECK(support::eventually([&] { return stack.field("twc/bus/state", "link") != "ok"; }, 20s));
    CHECK(support::eventually([&] { return stack.field("twc/ems/source/roof/state", "ok") == false; }, 20s));
    for (const auto& name : Stack::services) {
        CHECK(stack.process(name).running());
    }

    stack.start("house-sim");
    CHECK(support::eventually([&] { return stack.field("twc/bus/state", "link") == "ok"; }, 20s));
    CHECK(support::eventually([&] { return stack.field("twc/ems/source/roof/state", "ok") == true; }, 20s));
    CHECK(stack.charges(40s));
}

TEST_CASE("kill each: without the broker the heartbeats go on, with it everyone is back") {
    Stack stack;
    INFO(stack.logs());
    REQUIRE(stack.charges());

    stack.broker.kill();
    std::this_thread::sleep_for(2s);
    CHECK(heartbeat_after(stack, std::chrono::steady_clock::now(), 2s));

    const auto mark = stack.probe.mark();
    stack.broker.start();
    for (const auto& name : Stack::services) {
        CAPTURE(name);
        CHECK(stack.probe.wait_for("twc/service/" + name + "/status", "online", 20s, mark).has_value());
    }
    CHECK(stack.probe
              .wait_for(
                  "twc/policy/settings", [](const auto& text) { return !text.empty(); }, 5s, mark)
              .has_value());
    CHECK(support::eventually([&] { return stack.field("twc/bus/state", "failsafe") == false; }, 20s));
    CHECK(stack.charges());
}
