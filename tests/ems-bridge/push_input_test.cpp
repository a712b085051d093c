#include "ems-bridge/push_input.hpp"

#include <doctest/doctest.h>

#include "service/service_host.hpp"

using namespace ems_bridge;
using namespace std::chrono_literals;

namespace {

const auto wall = contract::parse_timestamp("2026-06-01T12:00:00Z").value();
const scheduling::Instant now{1h};
const PushRules all{.roles = {Role::grid, Role::pv, Role::battery, Role::house}, .stale_after = 60s, .limits = {}};

PushedValue push(const char* name, const char* payload, const PushRules& rules = all) {
    return read_push(name, payload, rules, now, wall);
}

std::string refusal(const char* name, const char* payload, const PushRules& rules = all) {
    try {
        push(name, payload, rules);
    } catch (const service::Rejected& error) {
        CHECK_FALSE(error.expected().empty());
        return error.what();
    } catch (const contract::Invalid& error) {
        return std::string("invalid: ") + error.what();
    }
    return "accepted";
}

}  // namespace

TEST_CASE("push: scalars and objects") {
    CHECK(push("grid_power", "-1840").value == -1840);
    CHECK(push("grid_power", " -1840 W ").value == -1840);
    CHECK(push("battery_soc", "81%").value == 81);
    CHECK(push("pv_power", R"({"value": 4200})").value == 4200);
    CHECK(push("pv_power", R"({"value": "4200", "ts": null})").value == 4200);
    CHECK(push("pv_power", "-20").value == 0);
    CHECK(push("house_power", "100").quantity == Quantity::house_w);
}

TEST_CASE("push: the time in the payload is the age of the value") {
    CHECK(push("grid_power", R"({"value":1,"ts":"2026-06-01T11:59:50Z"})").at == now - 10s);
    CHECK(push("grid_power", R"({"value":1,"ts":"2026-06-01T12:00:05Z"})").at == now);
    CHECK(push("grid_power", "1").at == now);
}

TEST_CASE("push: everything else is refused with a reason") {
    CHECK(refusal("gridpower", "1") == "unknown input");
    CHECK(refusal("grid_power", "on") == "not a number");
    CHECK(refusal("grid_power", "nan") == "not a number");
    CHECK(refusal("grid_power", "1e3") == "not a number");
    CHECK(refusal("grid_power", "1000001") == "1e+06 is outside the allowed range");
    CHECK(refusal("battery_soc", "101") == "101 is outside the allowed range");
    CHECK(refusal("house_power", "-5") == "-5 is outside the allowed range");
    CHECK(refusal("pv_power", "-51") == "-51 is outside the allowed range");
    CHECK(refusal("grid_power", "{}") == "no value");
    CHECK(refusal("grid_power", R"({"value":true})") == "value is not a number");
    CHECK(refusal("grid_power", R"({"value":null})") == "value is not a number");
    CHECK(refusal("grid_power", R"({"value":1)").starts_with("invalid: "));
    CHECK(refusal("grid_power", R"({"value":1,"ts":"2026-06-01T11:58:59Z"})") == "ts is older than 60 s");
    CHECK(refusal("grid_power", R"({"value":1,"ts":"2026-06-01T12:01:01Z"})") ==
          "ts is in the future: do the clocks agree?");
    CHECK(refusal("grid_power", R"({"value":1,"ts":"12:00"})") == "ts is not a time with an offset");
    CHECK(refusal("grid_power", R"({"value":1,"ts":5})") == "ts is not a time with an offset");
    CHECK(refusal("pv_power", "1", {.roles = {Role::grid}, .stale_after = 60s, .limits = {}}) ==
          "the push source does not have the role pv");
}
