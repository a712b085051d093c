#include "twc-bus/state_file.hpp"

#include <doctest/doctest.h>

#include "contract/schema.hpp"

using namespace twc_bus;

TEST_CASE("state file: what is written is read back") {
    SavedState state{.estop = true};
    state.chargers[0x0A4F] = {
        .protocol = 2,
        .granted_ca = 1650,
        .linked = true,
        .silenced = false,
        .line = "garage",
        .totals = {.energy_kwh = 1234.567891,
                   .session_kwh = 1.5,
                   .session_start = scheduling::WallTime{std::chrono::seconds(1'790'000'000)},
                   .in_session = true,
                   .mark = CounterMark{.unit_kwh = 2203,
                                       .energy_kwh = 1234.5,
                                       .at = scheduling::WallTime{std::chrono::seconds(1'790'000'000)}}}};
    state.chargers[0x7744] = {.silenced = true};
    CHECK(saved_state_from_text(to_json_text(state)) == state);
}

TEST_CASE("state file: damage is named, not guessed over") {
    CHECK_THROWS_AS(saved_state_from_text(""), contract::Invalid);
    CHECK_THROWS_AS(saved_state_from_text("{}"), contract::Invalid);
    CHECK_THROWS_WITH_AS(saved_state_from_text(R"({"estop":false,"chargers":{"77":{"granted_a":0,"linked":true,
                                                   "energy_kwh":1,"in_session":false}}})"),
                         "chargers.77: expected four hexadecimal digits as the id", contract::Invalid);
}

TEST_CASE("state file: one of an earlier version is read") {
    const auto state = saved_state_from_text(
        R"({"estop":false,"chargers":{"7744":{"granted_a":16,"linked":true,"energy_kwh":12.5,"in_session":false}}})");
    CHECK(state.chargers.at(0x7744).linked);
    CHECK(state.chargers.at(0x7744).line.empty());
    CHECK(state.chargers.at(0x7744).totals.energy_kwh == 12.5);
}
