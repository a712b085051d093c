#include "ems-bridge/plausibility.hpp"

#include <doctest/doctest.h>

using namespace ems_bridge;

namespace {

struct Fixture {
    PlausibilityFilter filter{{.power_w = 20000}};
    std::vector<std::string> problems;
    Reading accept(const Reading& reading) {
        problems.clear();
        return filter.accept(reading, problems);
    }
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "plausibility: the standby of an inverter is no generation and no news") {
    CHECK(accept({.pv_w = -12}).pv_w == 0);
    CHECK(problems.empty());
    CHECK(accept({.pv_w = -120}).pv_w == 0);
    CHECK(problems.size() == 1);
}

TEST_CASE_FIXTURE(Fixture, "plausibility: strongly negative generation is a reversed clamp and unknown") {
    CHECK_FALSE(accept({.pv_w = -2500}).pv_w);
    CHECK(problems.at(0) == "pv_w -2500 W is negative: is a sign or a clamp reversed?");
}

TEST_CASE_FIXTURE(Fixture, "plausibility: powers beyond what the fuse carries are dropped") {
    const auto reading = accept({.grid_w = 20001, .house_w = 500});

    CHECK_FALSE(reading.grid_w);
    CHECK(reading.house_w == 500);
    CHECK(problems.at(0) == "grid_w 20001 W is beyond 20000 W");
}

TEST_CASE_FIXTURE(Fixture, "plausibility: a state of charge outside 0 to 100 is dropped") {
    CHECK_FALSE(accept({.battery_soc_pct = 655}).battery_soc_pct);
    CHECK_FALSE(accept({.battery_soc_pct = -1}).battery_soc_pct);
    CHECK(accept({.battery_soc_pct = 100}).battery_soc_pct == 100);
}

TEST_CASE_FIXTURE(Fixture, "plausibility: an energy counter that goes back is believed when it says so twice") {
    CHECK(accept({.import_kwh = 1000}).import_kwh == 1000);
    CHECK_FALSE(accept({.import_kwh = 0}).import_kwh);
    CHECK(accept({.import_kwh = 1000.5}).import_kwh == 1000.5);
    CHECK_FALSE(accept({.import_kwh = 3}).import_kwh);
    CHECK(accept({.import_kwh = 3.1}).import_kwh == 3.1);
}

TEST_CASE_FIXTURE(Fixture, "plausibility: unknown stays unknown") {
    CHECK(accept({}) == Reading{});
    CHECK(problems.empty());
}
