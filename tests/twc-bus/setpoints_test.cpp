#include "twc-bus/setpoints.hpp"

#include <doctest/doctest.h>

using namespace std::chrono_literals;
using scheduling::Instant;
using twc_bus::Setpoints;

namespace {

constexpr twc_bus::UnitId unit = 0x7744;

Setpoints setpoints(bool estop = false) {
    return {{.wiring_ca = 4800, .charger_max_ca = 3200, .failsafe_ca = 600, .own_max_ca = {{unit, 2000}}}, estop, {}};
}

contract::LimitSet limit_of(double amps) { return {.ttl_s = 20, .seq = 1, .chargers = {{"7744", amps}}}; }

}  // namespace

TEST_CASE("setpoints: after a start nothing changes for ten seconds, then only the fail-safe current is left") {
    const auto fresh = setpoints();
    const Instant start{};
    CHECK(fresh.wish_ca(unit, 1600, false, start + 9s) == 1600);
    CHECK(fresh.changes_at(start + 9s) == start + 10s);
    CHECK(fresh.failsafe(start + 10s));
    CHECK(fresh.wish_ca(unit, 1600, false, start + 10s) == 600);
    CHECK(fresh.wish_ca(unit, 0, false, start + 10s) == 0);  // never raised by it
}

TEST_CASE("setpoints: the lease holds to its end, the charger's own maximum always, the emergency stop above all") {
    auto held = setpoints();
    const Instant start{};
    held.accept(limit_of(32), start);
    CHECK(held.wish_ca(unit, 600, false, start + 19s) == 2000);
    CHECK(held.wish_ca(0x7745, 600, false, start + 19s) == 0);  // not named
    CHECK(held.wish_ca(unit, 2000, true, start + 19s) == 600);
    CHECK(held.changes_at(start + 19s) == start + 20s);
    CHECK(held.failsafe(start + 20s));
    CHECK(held.wish_ca(unit, 2000, false, start + 20s) == 600);
    held.accept(limit_of(32), start + 30s);
    held.set_estop(true);
    CHECK(held.wish_ca(unit, 2000, false, start + 31s) == 0);
}
