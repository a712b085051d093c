#include "house-sim/config.hpp"

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <unistd.h>

#include <doctest/doctest.h>

namespace house_sim {

namespace {

// All problems of a text, or "".
std::string problems_of(const std::string& text) {
    try {
        const config::Document document(text, "test.yaml");
        read_config(document.root());
        document.finish();
    } catch (const config::ConfigError& error) {
        return error.what();
    }
    return "";
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("config: the example file is read as it stands") {
    const std::string file = SOURCE_DIR "/config/house-sim.yaml";
    const config::Document document(config::read_file(file), file);
    for (const char* key : {"host", "port"}) {
        CHECK(document.root().section("mqtt").has(key));  // read by the framework in a process
    }
    CHECK(document.root().section("log").has("level"));
    const auto config = read_config(document.root());
    CHECK_NOTHROW(document.finish());

    CHECK(config.site.units.size() == 1);
    CHECK(config.site.units[0].id == 0x7744);
    CHECK(config.site.house.start_s == 10.75 * 3600);
    CHECK(config.ports.modbus == 0);
    CHECK(config.publish.teslamate == "teslamate");
}

TEST_CASE("config: a misspelt key is refused in every section") {
    const char* cases[] = {
        "time: {sped: 2}",
        "house: {phase: 1}",
        "pv: {peak: 1}",
        "battery: {kwh: 1}",
        "line: {ptty: x}",
        "line: {noise: {flips: 1}}",
        "units: [{id: \"7744\", rating: 1}]",
        "units: [{id: \"7744\", quirks: {chatter: true}}]",
        "cars: [{name: a, socs: 1}]",
        "script: [{after_s: 1, unplug: a, fore_s: 1}]",
        "ports: {modbuss: 1}",
        "modbus: {unit: 1}",
        "powerwall: {pass: x}",
        "tesla: {client: x}",
        "publish: {telsamate: x}",
        "red_file: x",
    };
    for (const char* text : cases) {
        CAPTURE(std::string(text));
        CHECK(contains(problems_of(text), "unknown key"));
    }
}

TEST_CASE("config: values that make no sense are named with what would") {
    CHECK(contains(problems_of("units: [{id: 77x4}]"), "four hexadecimal digits"));
    CHECK(contains(problems_of("units: [{id: \"7744\"}, {id: \"7744\"}]"), "given to two units"));
    CHECK(contains(problems_of("units: [{id: \"1111\"}, {id: \"2222\"}, {id: \"3333\"}, {id: \"4444\"}]"),
                   "three units"));
    CHECK(contains(problems_of("units: [{id: \"7744\", protocol: 1, firmware: 4.5.3}]"), "does not speak protocol 1"));
    CHECK(contains(problems_of("units: [{id: \"7744\", phases: 3}]"), "one phase"));
    CHECK(contains(problems_of("cars: [{name: a, vin: short}]"), "not 17"));
    CHECK(contains(problems_of("cars: [{name: a}, {name: a}]"), "given to two cars"));
    CHECK(contains(problems_of("time: {speed: 0}"), "outside"));
    CHECK(contains(problems_of("time: {start: \"25:00\"}"), "not a time of day"));
    CHECK(contains(problems_of("pv: {sky: foggy}"), "not one of"));
    CHECK(contains(problems_of("pv: {sunrise: \"20:00\", sunset: \"10:00\"}"), "not after sunrise"));
}

TEST_CASE("script: every error is found before the start") {
    const auto script = [](const std::string& line) {
        return problems_of("cars: [{name: a}]\nunits: [{id: \"7744\"}]\nscript:\n  - " + line + "\n");
    };
    CHECK(script("{at: \"10:00\", plug_in: a, soc: 55}").empty());
    CHECK(script("{after_s: 3, fault: modbus error, for_s: 5}").empty());
    CHECK(contains(script("{at: \"10:00\", plug_in: b}"), "no car \"b\""));
    CHECK(contains(script("{at: \"10:00\", plug_in: a, unit: \"7745\"}"), "no unit \"7745\""));
    CHECK(contains(script("{at: \"10:00\", reset_unit: \"7745\"}"), "no unit \"7745\""));
    CHECK(contains(script("{at: \"10\", unplug: a}"), "not a time of day"));
    CHECK(contains(script("{unplug: a}"), "exactly one of at and after_s"));
    CHECK(contains(script("{at: \"10:00\", after_s: 1, unplug: a}"), "exactly one of at and after_s"));
    CHECK(contains(script("{after_s: 1}"), "exactly one of plug_in"));
    CHECK(contains(script("{after_s: 1, unplug: a, cloud: 0.5}"), "exactly one of plug_in"));
    CHECK(contains(script("{after_s: 1, cloud: 3}"), "outside"));
    CHECK(contains(script("{after_s: 1, fault: modbus}"), "DEVICE KIND"));
    CHECK(contains(script("{after_s: 1, fault: modbus broken}"), "DEVICE KIND"));
}

TEST_CASE("times of day are read strictly") {
    CHECK(parse_time_of_day("10:30") == 37800);
    CHECK(parse_time_of_day("00:00:05") == 5);
    for (const char* text : {"", "10", "1:30", "10:60", "24:00", "10:30:", "10:3x", "-1:00", "10:30:00:00", "aa:bb"}) {
        CAPTURE(std::string(text));
        CHECK_FALSE(parse_time_of_day(text));
    }
}

TEST_CASE("trace: a recorded day is read, and a bad line is named") {
    const auto file = std::filesystem::temp_directory_path() / ("house-sim-trace-" + std::to_string(getpid()) + ".csv");
    std::ofstream(file) << "t_s,pv_w,load_w\n0,0,300\n43200,5000,500\n";
    const auto trace = read_trace(file.string());
    CHECK(trace.size() == 2);
    House house({.start_s = 21600, .trace = trace}, 1);
    CHECK(house.flow().pv_w == doctest::Approx(2500));
    CHECK(house.flow().load_w == doctest::Approx(400));

    std::ofstream(file) << "t_s,pv_w,load_w\n0,0,300\n0,1,2\n";
    CHECK_THROWS_WITH_AS(read_trace(file.string()), doctest::Contains(":3:"), std::invalid_argument);
    std::filesystem::remove(file);
    CHECK_THROWS_AS(read_trace(file.string()), std::invalid_argument);
}

}  // namespace house_sim
