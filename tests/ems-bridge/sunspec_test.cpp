#include <doctest/doctest.h>

#include "ems-bridge/sources/sunspec_source.hpp"
#include "support.hpp"

using namespace ems_bridge;

namespace {

// Marker, common block of 65, meter 203, end of the chain.
const char* const meter = R"(
default 0
40000: 5375 6E53
40002: 0001 0041
40069: 00CB 0069
40072: 0368 000C 0011 FFFE
40077: 090A 08FA 0902
40084: FFFF
40087: B7E4 B1E0 0604 0000 FFFF
40176: FFFF 0000
)";

// Common block of 66, inverter 103, MPPT 160 with four modules, storage 124, end.
test::Registers hybrid() {
    auto registers = test::parse_registers("default 0\n0: 5375 6E53\n2: 0001 0042\n70: 0067 0032\n");
    const auto put = [&](int address, int value) { registers.words[address] = static_cast<std::uint16_t>(value); };
    put(70 + 10, 2305);
    put(70 + 13, -1);
    put(70 + 14, 312);
    put(70 + 15, 1);
    const int mppt = 70 + 2 + 50;
    put(mppt, 160);
    put(mppt + 1, 88);
    put(mppt + 4, 0);
    put(mppt + 8, 4);
    put(mppt + 10 + 11, 2000);
    put(mppt + 30 + 11, 1500);
    put(mppt + 50 + 11, 400);
    put(mppt + 70 + 11, 0);
    const int storage = mppt + 2 + 88;
    put(storage, 124);
    put(storage + 1, 24);
    put(storage + 8, 6450);
    put(storage + 22, -2);
    put(storage + 2 + 24, 0xFFFF);
    return registers;
}

Reading read(test::FakeModbus& device, SunSpecSettings settings) {
    test::FakeHttp http;
    Io io{http, device};
    return make_sunspec(std::move(settings))(io)->read();
}

}  // namespace

TEST_CASE("sunspec: the chain is walked and never assumed") {
    test::FakeModbus device;
    device.units[1] = test::parse_registers(meter);
    const auto client = device.make_client({});

    const auto models =
        sunspec::walk([&](int address, int count) { return client->read_holding(1, address, count); }, std::nullopt);

    CHECK(models == std::vector<sunspec::Model>{{1, 40002, 65}, {203, 40069, 105}});
}

TEST_CASE("sunspec: a meter gives power, signed currents and voltages") {
    test::FakeModbus device;
    device.units[200] = test::parse_registers(meter);

    const auto reading = read(device, {.unit = 200, .roles = {Role::grid}});

    CHECK(reading.grid_w == -1846);
    CHECK(reading.voltage_v == contract::PerPhase{231.4, 229.8, 230.6});
    CHECK(reading.grid_a[0] == doctest::Approx(-8.72));
    CHECK(reading.grid_a[1] == doctest::Approx(0.12));
    CHECK_FALSE(reading.pv_w);
}

TEST_CASE("sunspec: the sign of a meter can be turned round") {
    test::FakeModbus device;
    device.units[1] = test::parse_registers(meter);

    CHECK(read(device, {.roles = {Role::grid}, .invert_grid = true}).grid_w == 1846);
}

TEST_CASE("sunspec: the marker is also found at address 0") {
    test::FakeModbus device;
    device.units[1] = hybrid();

    const auto reading = read(device, {.roles = {Role::pv}});

    CHECK(reading.pv_w == 3120);
    CHECK(reading.voltage_v[0] == 230.5);
    CHECK_FALSE(reading.voltage_v[1]);
    CHECK_FALSE(reading.grid_w);
}

TEST_CASE("sunspec: a hybrid inverter tells panels and battery apart by its trackers") {
    test::FakeModbus device;
    device.units[1] = hybrid();

    const auto reading = read(device, {.roles = {Role::pv, Role::battery}, .hybrid = true});

    CHECK(reading.pv_w == 3500);
    CHECK(reading.battery_w == -400);
    CHECK(reading.battery_soc_pct == 64.5);
}

TEST_CASE("sunspec: an inverter without values sleeps") {
    test::FakeModbus device;
    device.units[1] = hybrid();
    device.units[1].words[70 + 14] = 0x8000;

    const auto reading = read(device, {.roles = {Role::pv}});

    CHECK(reading.pv_w == 0);
    CHECK(reading.pv_asleep);
}

TEST_CASE("sunspec: a device without the wanted model says what is missing") {
    test::FakeModbus device;
    device.units[1] = test::parse_registers(meter);

    CHECK_THROWS_WITH_AS(read(device, {.endpoint = {.host = "x"}, .roles = {Role::battery}}),
                         "x:502 unit 1 has no SunSpec battery (models 802, 713 or 124)", SourceError);
}

TEST_CASE("sunspec: no marker and endless chains are errors") {
    test::FakeModbus device;
    device.units[1] = test::parse_registers("default 0\n");
    CHECK_THROWS_WITH_AS(read(device, {.roles = {Role::grid}}), "no SunSpec marker at 40000, 0 or 50000", SourceError);
    CHECK_THROWS_WITH_AS(read(device, {.base = 7, .roles = {Role::grid}}), "no SunSpec marker at 7", SourceError);

    device.units[1] = test::parse_registers("default 0\n40000: 5375 6E53\n");
    CHECK_THROWS_WITH_AS(read(device, {.roles = {Role::grid}}), "the SunSpec chain from 40000 has no end", SourceError);
}

TEST_CASE("sunspec: points are named model:point or model:module:point") {
    CHECK(sunspec::parse_point("203:W"));
    CHECK(sunspec::parse_point("160:2:DCW")->module == 2);
    CHECK_FALSE(sunspec::parse_point("203"));
    CHECK_FALSE(sunspec::parse_point("203:X"));
    CHECK_FALSE(sunspec::parse_point("160:0:DCW"));
    CHECK_FALSE(sunspec::parse_point("203:1:W"));
    CHECK_FALSE(sunspec::parse_point("x:W"));
}
