#include "ems-bridge/mapping.hpp"

#include <doctest/doctest.h>

#include "support.hpp"

using namespace ems_bridge;
using mapping::Answer;

namespace {

Answer answer_of(const char* json) { return {.documents = {{"", nlohmann::json::parse(json)}}}; }

std::optional<double> grid_of(const std::string& expression, const Answer& answer) {
    return mapping::apply(test::mapping_of("values: {grid_w: " + expression + "}"), answer).grid_w;
}

std::string problem_of(const std::string& yaml) {
    try {
        test::mapping_of(yaml);
    } catch (const config::ConfigError& error) {
        return error.what();
    }
    return "none";
}

}  // namespace

TEST_CASE("mapping: pointer, scale, offset, invert and clamps") {
    const auto answer = answer_of(R"({"a":{"b":[0, 71.5]}, "n": -20, "text": " 1320"})");

    CHECK(grid_of("{ptr: /a/b/1}", answer) == 71.5);
    CHECK(grid_of("{ptr: /a/b/1, scale: 2, offset: -3}", answer) == 140);
    CHECK(grid_of("{ptr: /n, invert: true}", answer) == 20);
    CHECK(grid_of("{ptr: /n, max0: true}", answer) == 0);
    CHECK(grid_of("{ptr: /n, min: -5}", answer) == -5);
    CHECK(grid_of("{ptr: /a/b/1, max: 50}", answer) == 50);
    CHECK(grid_of("{ptr: /text}", answer) == 1320);
}

TEST_CASE("mapping: missing is an error unless it is said to be allowed, and never zero by itself") {
    const auto answer = answer_of(R"({"null": null, "bad": "unavailable", "empty": {}, "nan": "NaN"})");

    CHECK_THROWS_WITH_AS(grid_of("{ptr: /not/there}", answer), "grid_w: nothing at /not/there", mapping::MappingError);
    CHECK_THROWS_AS(grid_of("{ptr: /null}", answer), mapping::MappingError);
    for (const char* place : {"/null", "/bad", "/empty", "/nan", "/not/there"}) {
        CAPTURE(place);
        CHECK_FALSE(grid_of(std::string("{ptr: ") + place + ", or: null}", answer));
        CHECK(grid_of(std::string("{ptr: ") + place + ", or: 7}", answer) == 7);
    }
}

TEST_CASE("mapping: what is there but no number is an error even where missing is allowed") {
    const auto answer = answer_of(R"({"flag": true, "words": "twelve", "list": [1]})");

    CHECK_THROWS_WITH_AS(grid_of("{ptr: /flag, or: 0}", answer), "grid_w: true is not a number", mapping::MappingError);
    CHECK_THROWS_WITH_AS(grid_of("{ptr: /words, or: 0}", answer), R"(grid_w: "twelve" is not a number)",
                         mapping::MappingError);
    CHECK_THROWS_AS(grid_of("{ptr: /list, or: 0}", answer), mapping::MappingError);
}

TEST_CASE("mapping: select, each, sum, product, quotient and first") {
    const auto answer = answer_of(
        R"({"outputs":[{"name":"A","ch":0,"value":10},{"name":"B","ch":1,"value":20}],"x":5,"zero":0,"holes":[{"v":1},{}]})");

    CHECK(grid_of("{sel: /outputs, where: {name: B}, ptr: /value}", answer) == 20);
    CHECK(grid_of("{sel: /outputs, where: {ch: '0'}, ptr: /value}", answer) == 10);
    CHECK_FALSE(grid_of("{sel: /outputs, where: {name: C}, ptr: /value, or: null}", answer));
    CHECK(grid_of("{each: /outputs, ptr: /value}", answer) == 30);
    CHECK_FALSE(grid_of("{each: /holes, ptr: /v, or: null}", answer));
    CHECK(grid_of("{sum: [{ptr: /x}, {ptr: /x, invert: true}, {value: 2}]}", answer) == 2);
    CHECK_FALSE(grid_of("{sum: [{ptr: /x}, {ptr: /y}], or: null}", answer));
    CHECK(grid_of("{sum: [{ptr: /x}, {ptr: /y, or: 0}]}", answer) == 5);
    CHECK(grid_of("{mul: [{ptr: /x}, {ptr: /x}]}", answer) == 25);
    CHECK(grid_of("{div: [{ptr: /x}, {value: 2}]}", answer) == 2.5);
    CHECK_FALSE(grid_of("{div: [{ptr: /x}, {ptr: /zero}], or: null}", answer));
    CHECK(grid_of("{first: [{ptr: /y}, {ptr: /x}]}", answer) == 5);
}

TEST_CASE("mapping: conditions and units") {
    const auto answer = answer_of(R"({"power":1.5,"unit":"kW","ok":false,"good":true})");

    CHECK(grid_of("{ptr: /power, unit_ptr: /unit}", answer) == 1500);
    CHECK_FALSE(grid_of("{ptr: /power, only_if: {ok: 'true'}, or: null}", answer));
    CHECK(grid_of("{ptr: /power, only_if: {good: 'true'}}", answer) == 1.5);
}

TEST_CASE("mapping: text is a number with or without a unit, or means missing") {
    CHECK(mapping::number_in(" -1846.0 W\n") == -1846);
    CHECK(mapping::number_in("2.4 kW") == 2400);
    CHECK(mapping::number_in("+12") == 12);
    CHECK(mapping::number_in("230.1 V") == 230.1);
    CHECK(mapping::number_in("64%") == 64);
    for (const char* text : {"", "  ", "null", "NaN", "UNDEF", "NULL", "unavailable", "unknown", "NA"}) {
        CAPTURE(text);
        CHECK_FALSE(mapping::number_in(text));
    }
    for (const char* text : {"twelve", "12,5", "1.2.3", "12 34", "inf", "1e999", "<html>"}) {
        CAPTURE(text);
        CHECK_THROWS_AS(mapping::number_in(text), mapping::MappingError);
    }
}

TEST_CASE("mapping: registers with scale factor and further not-available values") {
    const Answer answer{.registers = test::image_of("10: FF9C 0001 7FFF")};

    CHECK(grid_of("{reg: 10, type: i16}", answer) == -100);
    CHECK(grid_of("{reg: 0x0A, type: i16, sf: 11}", answer) == -1000);
    CHECK_FALSE(grid_of("{reg: 12, type: i16, nan: ['32767'], or: null}", answer));
    CHECK_THROWS_WITH_AS(grid_of("{reg: 99, type: i16}", answer), "grid_w: nothing at register 99",
                         mapping::MappingError);
}

TEST_CASE("mapping: the balance is made from the parts and unknown without them") {
    const auto mapping = test::mapping_of(
        "values: {house_w: balance, grid_w: {ptr: /g, or: null}, pv_w: {ptr: /p}, battery_w: {ptr: /b, or: null}}");

    CHECK(mapping::apply(mapping, answer_of(R"({"g":-1157.5,"p":2477.9,"b":null})")).house_w ==
          doctest::Approx(1320.4));
    CHECK(mapping::apply(mapping, answer_of(R"({"g":-1000,"p":2000,"b":100})")).house_w == 1100);
    CHECK_FALSE(mapping::apply(mapping, answer_of(R"({"p":2000})")).house_w);
}

TEST_CASE("mapping: the device's time is read in its format") {
    const auto at = [](const char* format, const char* json) {
        return mapping::apply(test::mapping_of(std::string("values: {grid_w: {value: 1}}\ntime: {ptr: /t, format: ") +
                                               format + "}"),
                              answer_of(json))
            .measured_at;
    };
    const auto expected = std::chrono::system_clock::from_time_t(1780305600);

    CHECK(at("iso8601", R"({"t":"2026-06-01T11:20:00+02:00"})") == expected);
    CHECK(at("epoch_s", R"({"t":1780305600})") == expected);
    CHECK(at("epoch_ms", R"({"t":"1780305600000"})") == expected);
    CHECK_FALSE(at("iso8601", R"({"t":"2026-06-01T11:20:00"})"));
    CHECK_FALSE(at("epoch_s", R"({"t":-5})"));
    CHECK_FALSE(at("epoch_s", R"({})"));
}

TEST_CASE("mapping: mistakes in a mapping are named") {
    CHECK(problem_of("values: {grid_w: {ptr: a/b}}").find("is not a JSON pointer") != std::string::npos);
    CHECK(problem_of("values: {grid_w: {ptr: /a, scael: 2}}").find("values.grid_w.scael: unknown key") !=
          std::string::npos);
    CHECK(problem_of("values: {grid_w: {reg: 70000, type: u16}}").find("not a register address") != std::string::npos);
    CHECK(problem_of("values: {grid_w: {reg: 1, type: u8}}").find("values.grid_w.type: not one of") !=
          std::string::npos);
    CHECK(problem_of("values: {grid_w: {sum: [], ptr: /a}}").find("at least one value") != std::string::npos);
    CHECK(problem_of("values: {grid_w: {sum: [{ptr: /a}], reg: 1, type: u16}}").find("exclude each other") !=
          std::string::npos);
    CHECK(problem_of("values: {watts: {ptr: /a}}").find("not a quantity") != std::string::npos);
    CHECK(problem_of("values: {grid_w: balance}").find("only house_w") != std::string::npos);
    CHECK(problem_of("values: {voltage_v: [{value: 1}, {value: 1}, {value: 1}, {value: 1}]}").find("one to three") !=
          std::string::npos);
    CHECK(problem_of("values: {grid_w: {sunspec: '203:Q'}}").find("not a known model:point") != std::string::npos);
    CHECK(problem_of("{}").find("names no quantity") != std::string::npos);
}
