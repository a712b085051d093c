#include "ems-bridge/sources/solaredge.hpp"

#include <doctest/doctest.h>

#include "support.hpp"

using namespace ems_bridge;

namespace {

// Facts of the EMS source notes: scale factors, the meter's reversed sign, the battery's reversed word order.
const char* const day = R"(
40069: 0067 0032
40071: 069C 0234 0234 0234 FFFE
40079: 090D 08FA 0902 FFFF
40083: 0F46 0000
40100: 0F78 0000
40121: 0001 0041
40188: 00CB 0069
40191: 03E8 0064 0032 FFFE
40196: 090E 08FB 0903
40203: FFFF
40206: 08A2 0320 02BC 02C6 0000
40226: 0012 D687
40234: 0020 0000
40242: 0000
0xE174: 8000 44BB
0xE184: 0000 4280
)";

const char* const night = R"(
40069: 0067 0032
40083: 8000 8000
40100: 8000 8000
40196: 090E 08FB 0903
40203: FFFF
40206: EFE8 0000 0000 0000 FFFF
0xE174: FFFF FF7F
0xE184: FFFF FF7F
)";

test::Registers everything_readable(const char* text) {
    auto registers = test::parse_registers(text);
    registers.readable_everywhere = true;
    return registers;
}

}  // namespace

TEST_CASE("solaredge: a day with a battery on the DC side") {
    const auto reading = decode_solaredge(test::image_of(day), {.battery = true}, 0);

    CHECK(reading.pv_w == 5460);        // what the inverter converts plus what charges the battery
    CHECK(reading.grid_w == -2210);     // the meter counts export as positive
    CHECK(reading.battery_w == -1500);  // the battery counts charging as positive
    CHECK(reading.house_w == 1700);
    CHECK(reading.battery_soc_pct == 64);
    CHECK(reading.voltage_v == contract::PerPhase{231.8, 229.9, 230.7});
    CHECK(reading.grid_a == contract::PerPhase{-10.0, -1.0, -0.5});
    CHECK(reading.import_kwh == doctest::Approx(2097.152));
    CHECK(reading.export_kwh == doctest::Approx(1234.567));
    CHECK_FALSE(reading.pv_asleep);
}

TEST_CASE("solaredge: without a battery the AC power is what the panels give") {
    const auto reading = decode_solaredge(test::image_of(day), {}, 0);

    CHECK(reading.pv_w == 3910);
    CHECK_FALSE(reading.battery_w);
}

TEST_CASE("solaredge: at night the inverter sleeps and the meter goes on") {
    const auto reading = decode_solaredge(test::image_of(night), {.battery = true}, 0);

    CHECK(reading.pv_w == 0);
    CHECK(reading.pv_asleep);
    CHECK(reading.grid_w == 412);
    CHECK(reading.house_w == 412);
    CHECK_FALSE(reading.battery_w);
    CHECK_FALSE(reading.battery_soc_pct);
    CHECK(reading.voltage_v == contract::PerPhase{231.8, 229.9, 230.7});
}

TEST_CASE("solaredge: a meter without a value is unknown and never zero") {
    auto image = test::image_of(day);
    image.store(40206, std::vector<std::uint16_t>{0x8000});

    const auto reading = decode_solaredge(image, {}, 0);

    CHECK_FALSE(reading.grid_w);
    CHECK_FALSE(reading.house_w);
    CHECK(reading.pv_w == 3910);
}

TEST_CASE("solaredge: a Synergy inverter moves its meters by the length of its extra block") {
    CHECK(synergy_shift(160, 48) == 50);
    CHECK(synergy_shift(160, 68) == 70);
    CHECK(synergy_shift(1, 65) == 0);
}

TEST_CASE("solaredge: the source reads inverter and meter, and the battery only if there is one") {
    test::FakeModbus device;
    device.units[1] = everything_readable(day);
    test::FakeHttp http;
    Io io{http, device};

    const auto source = make_solaredge({})(io);
    const auto first = source->read();
    const auto second = source->read();

    CHECK(first.grid_w == -2210);
    CHECK(second == first);
    CHECK(device.requests == std::vector<std::string>{"holding 40069+40", "holding 40121+2", "holding 40188+55",
                                                      "holding 40069+40", "holding 40188+55"});
}

TEST_CASE("solaredge: the second meter behind a Synergy inverter is found") {
    test::FakeModbus device;
    auto& registers = device.units[1] = everything_readable(day);
    registers.words[40121] = 160;
    registers.words[40122] = 48;
    const int shift = 50 + 174;
    registers.words[40188 + shift] = 0xCB;
    registers.words[40206 + shift] = 100;
    registers.words[40210 + shift] = 1;
    test::FakeHttp http;
    Io io{http, device};

    CHECK(make_solaredge({.meter = 2})(io)->read().grid_w == -1000);
}

TEST_CASE("solaredge: a device that is something else is named as such") {
    test::FakeModbus device;
    device.units[1] = everything_readable("40069: 00CB");
    test::FakeHttp http;
    Io io{http, device};

    CHECK_THROWS_WITH_AS(make_solaredge({.endpoint = {.host = "inv", .port = 1502}})(io)->read(),
                         "inv:1502 unit 1: register 40069 holds 203, not the model number of an inverter (101 to 103)",
                         SourceError);

    device.units[1] = everything_readable(day);
    device.units[1].words[40188] = 0;
    CHECK_THROWS_WITH_AS(make_solaredge({.endpoint = {.host = "inv", .port = 1502}})(io)->read(),
                         "inv:1502 unit 1: no meter 1: register 40188 holds 0", SourceError);
}
