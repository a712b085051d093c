#include "hostile_client.hpp"

#include <doctest/doctest.h>

#include "support/instrumented.hpp"

using namespace std::chrono_literals;

namespace {

std::map<std::string, pid_t> pids(Stack& stack) {
    std::map<std::string, pid_t> result;
    for (const auto& name : Stack::services) {
        REQUIRE(stack.process(name).running());
        result[name] = stack.process(name).pid();
    }
    return result;
}

bool is_healthy(const Stack& stack, const std::string& name) {
    support::Process check({BINARY_DIR "/" + name, "--healthcheck", "--config", stack.folder / (name + ".yaml")},
                           stack.folder / "healthcheck.log");
    return check.wait_for_exit() == 0;
}

}  // namespace

// The whole number of the acceptance test is the program hostile-bench. An instrumented build is slow, and keeps freed
// memory on purpose: there it is about crashes.
TEST_CASE("hostile client: with a front end's password it ends no service, breaks no limit, and each refusal counts") {
    constexpr unsigned seed = 5;
    CAPTURE(seed);
    Stack stack;
    INFO(stack.logs());
    REQUIRE(stack.charges());
    const auto before = pids(stack);
    HostileClient client(stack, seed);
    client.attack(support::is_instrumented ? 50 : 500);
    std::map<std::string, double> resident;
    for (const auto& [name, pid] : before) {
        resident[name] = resident_mib(pid);
    }

    client.attack(support::is_instrumented ? 250 : 1500);

    CHECK(client.metrics_agree());
    for (const auto& each : client.counts()) {
        const auto& service = each.first;
        const auto& count = each.second;
        CAPTURE(service);
        CHECK(count.accepted + count.rejected >= count.sent);
        CHECK(count.rejected == count.rejected_events);
        CHECK(count.rejected > 0);
    }
    CHECK(stack.probe.latest("homeassistant/select/policy-engine/mode/config") == std::nullopt);

    client.flood(2s);
    CHECK(client.all_answer(60s));

    CHECK(pids(stack) == before);
    for (const auto& each : before) {
        const auto& name = each.first;
        const auto& pid = each.second;
        CAPTURE(name);
        CHECK(is_healthy(stack, name));
        CHECK(stack.last("twc/service/" + name + "/status") == "online");
        CHECK((support::is_instrumented || resident_mib(pid) < resident[name] + 10));
    }
    CHECK(stack.highest_wire_a() <= Stack::wiring_a);
    CHECK((support::is_instrumented || longest_heartbeat_gap_s(stack) < 2.5));

    // And it still does what it is told.
    REQUIRE(stack.probe.publish("twc/bus/estop/set", "release"));
    CHECK(support::eventually([&] { return stack.field("twc/bus/state", "estop") == false; }));
    REQUIRE(stack.probe.publish("twc/policy/override/set", "11 1h"));
    CHECK(support::eventually([&] { return stack.field("twc/policy/override/state", "amps") == 11; }));
}
