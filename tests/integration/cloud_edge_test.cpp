#include <doctest/doctest.h>
#include <fmt/format.h>

#include "stack.hpp"

using namespace std::chrono_literals;

namespace {

// What the sun leaves for the charger, from the house's own truth.
double spare_a(const Stack& stack) {
    const auto house = stack.last_json("twc/house-sim/state");
    return (house.value("pv_w", 0.0) - house.value("load_w", 0.0)) / 230;
}

// The limit on the wire is what the sun gives, in whole amps and never below the minimum: rounded to the nearest, and
// held there until the sun is a tenth of an ampere past the edge. Another tenth for truth and wire not being of one
// moment.
bool follows_the_sun(const Stack& stack) {
    const double expected = std::max(6.0, spare_a(stack));
    return stack.wire_a() <= expected + 0.7 && stack.wire_a() >= expected - 2;
}

std::string sun_and_wire(const Stack& stack) {
    return fmt::format("the sun leaves {:.2f} A, {} A on the wire", spare_a(stack), stack.wire_a());
}

}  // namespace

TEST_CASE("cloud edge: from the Modbus register to the amps in the frame on the wire") {
    Stack stack;
    INFO(stack.logs());
    REQUIRE(stack.charges());
    REQUIRE(support::eventually([&] { return stack.wire_a() > 12 && follows_the_sun(stack); }, 30s));
    const double before = stack.wire_a();

    const auto begin = std::chrono::steady_clock::now();
    stack.probe.publish("twc/house-sim/cloud/set", "0.5 600");
    CHECK(support::eventually([&] { return stack.wire_a() < before - 4; }, 5s));
    const auto reaction = std::chrono::steady_clock::now() - begin;
    MESSAGE("reaction " << std::chrono::duration_cast<std::chrono::milliseconds>(reaction).count() << " ms");
    CHECK_MESSAGE(support::eventually([&] { return follows_the_sun(stack); }, 10s), sun_and_wire(stack));
    CHECK(stack.wire_a() >= 6);
    const double under_the_cloud = stack.wire_a();

    stack.probe.publish("twc/house-sim/cloud/set", "1 600");
    CHECK(support::eventually([&] { return stack.wire_a() > under_the_cloud + 4 && follows_the_sun(stack); }, 30s));
    CHECK(stack.highest_wire_a() <= Stack::wiring_a);
    CHECK(stack.field("twc/policy/state", "reason").get<std::string>().size() > 5);
}

TEST_CASE("cloud edge: more sun than the wiring carries is cut to the wiring") {
    Stack stack;
    INFO(stack.logs());
    REQUIRE(stack.charges());
    stack.probe.publish("twc/policy/override/set", "40");
    CHECK(support::eventually([&] { return stack.wire_a() > Stack::wiring_a - 0.1; }, 20s));
    CHECK(support::eventually([&] { return stack.drawn_a() > Stack::wiring_a - 2; }, 30s));
    stack.probe.publish("twc/policy/override/set", "clear");
    CHECK_MESSAGE(support::eventually([&] { return follows_the_sun(stack); }, 20s), sun_and_wire(stack));

    CHECK(stack.highest_wire_a() <= Stack::wiring_a);
}
