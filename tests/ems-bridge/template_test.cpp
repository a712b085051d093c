#include "ems-bridge/template.hpp"

#include <filesystem>
#include <fstream>
#include <unistd.h>

#include <doctest/doctest.h>
#include <fmt/format.h>

#include "contract/schema.hpp"
#include "ems-bridge/sources/http_source.hpp"
#include "ems-bridge/sources/modbus_source.hpp"
#include "support.hpp"

using namespace ems_bridge;

namespace {

const std::filesystem::path folder = std::filesystem::path(SOURCE_DIR) / "services/ems-bridge/templates";

Reading answer_with_files(const Template& device, const TemplateTest& test, const Program& program) {
    const auto text_of = [&](const std::string& document) {
        const auto file = test.files.find(document);
        return file == test.files.end() ? "" : config::read_file(device.file.parent_path() / file->second);
    };
    test::FakeHttp http;
    test::FakeModbus modbus;
    Io io{http, modbus};
    if (const auto* const web = std::get_if<HttpProgram>(&program.transport)) {
        http.answer = [&](const http::Request& request) {
            for (const auto& query : web->queries) {
                if (query.request.url == request.url) {
                    return http::Response{.status = 200, .body = text_of(query.document)};
                }
            }
            return http::Response{.status = 404};
        };
        return make_http_source(*web, program.mapping)(io)->read();
    }
    if (const auto* const registers = std::get_if<ModbusProgram>(&program.transport)) {
        modbus.units[registers->unit] = test::parse_registers(text_of(""));
        return make_modbus_source(*registers, program.mapping)(io)->read();
    }
    mapping::Answer answer;
    for (const auto& [document, topic] : std::get<MqttProgram>(program.transport).topics) {
        answer.documents[document] = contract::parse_json(text_of(document));
    }
    return mapping::apply(program.mapping, answer);
}

std::map<std::string, std::string> with_required(const Template& device, std::map<std::string, std::string> given) {
    for (const auto& parameter : device.parameters) {
        if (parameter.is_required && !given.contains(parameter.id)) {
            given[parameter.id] = "192.0.2.1";
        }
    }
    return given;
}

void check_expected(const TemplateTest& test, const Reading& reading) {
    std::size_t known = 0;
    for (const Quantity quantity : all_quantities()) {
        const auto expected = test.expected.find(std::string(name_of(quantity)));
        if (expected == test.expected.end()) {
            continue;
        }
        ++known;
        CAPTURE(name_of(quantity));
        const auto& value = value_of(reading, quantity);
        REQUIRE(value.has_value() == expected->second.has_value());
        if (value) {
            CHECK(*value == doctest::Approx(*expected->second));
        }
    }
    CHECK(known == test.expected.size());
}

void run_test(const Template& device, const TemplateTest& test) {
    const auto program = expand(device, with_required(device, test.parameters)).program;
    if (test.expected_error.empty()) {
        return check_expected(test, answer_with_files(device, test, program));
    }
    try {
        answer_with_files(device, test, program);
        FAIL("no error");
    } catch (const std::exception& error) {
        CHECK(std::string(error.what()).find(test.expected_error) != std::string::npos);
    }
}

}  // namespace

TEST_CASE("templates: each one gives what its own tests expect") {
    const auto names = TemplateLibrary({folder}).names();
    REQUIRE(names.size() >= 10);
    for (const auto& name : names) {
        CAPTURE(name);
        const Template device = load_template(folder / (name + ".yaml"));
        REQUIRE_FALSE(device.tests.empty());
        int number = 0;
        for (const auto& test : device.tests) {
            CAPTURE(++number);
            run_test(device, test);
        }
    }
}

TEST_CASE("templates: the build puts them where the installed program looks for them") {
    CHECK(TemplateLibrary({shipped_templates()}).names() == TemplateLibrary({folder}).names());
}

TEST_CASE("templates: an unknown one is refused with the names of those there are") {
    CHECK_THROWS_WITH_AS(TemplateLibrary({folder}).find("shelly"),
                         doctest::Contains("unknown template \"shelly\"; there are esphome, fronius-solarapi"),
                         config::ConfigError);
    CHECK_THROWS_AS(TemplateLibrary({folder}).find("../templates/esphome"), config::ConfigError);
}

TEST_CASE("templates: a parameter cannot change the structure of the file") {
    const Template device = load_template(folder / "shelly-pro-3em.yaml");

    const auto program = expand(device, {{"host", "x\", method: \"POST\n{{host}}"}}).program;

    const auto& query = std::get<HttpProgram>(program.transport).queries.at(0);
    CHECK(query.request.method == "GET");
    CHECK(query.request.url == "http://x\", method: \"POST\n{{host}}/rpc/EM.GetStatus?id=0");
}

TEST_CASE("templates: mistakes in a template are reported with its file and line") {
    const auto file = std::filesystem::temp_directory_path() / fmt::format("ems-bridge-{}.yaml", getpid());
    std::ofstream(file) << "transport: http\nurl: ftp://x\nvalues:\n  grid_w: {ptr: a}\n";
    const Template device = load_template(file);

    CHECK_THROWS_WITH_AS(expand(device, {}), doctest::Contains(".yaml:2:1: url: expected http://"),
                         config::ConfigError);
    CHECK_THROWS_WITH_AS(expand(device, {}), doctest::Contains(".yaml:4:12: values.grid_w.ptr: \"a\" is not"),
                         config::ConfigError);
    std::filesystem::remove(file);
}

TEST_CASE("templates: neighbouring registers are read together, optional ones apart, blocks as given") {
    using mapping::RegisterRange;
    const auto plan =
        plan_reads({{10, 2, true}, {12, 2, true}, {14, 1, false}, {40, 2, true}, {100, 1, true}}, {{38, 10, true}});

    REQUIRE(plan.size() == 4);
    CHECK(plan[0].address == 38);
    CHECK(plan[0].count == 10);
    CHECK(plan[1].address == 10);
    CHECK(plan[1].count == 4);
    CHECK(plan[2].address == 14);
    CHECK_FALSE(plan[2].is_required);
    CHECK(plan[3].address == 100);
}

TEST_CASE("templates: an optional block the device does not have does not spoil the rest") {
    const Template device = load_template(folder / "victron-gx.yaml");
    const auto program = expand(device, {{"host", "gx"}}).program;
    test::FakeModbus modbus;
    modbus.units[100] = test::parse_registers("817: 01F4 012C 00B4\n820: FD76 0014 FFFE\n");
    test::FakeHttp http;
    Io io{http, modbus};

    const auto reading = make_modbus_source(std::get<ModbusProgram>(program.transport), program.mapping)(io)->read();

    CHECK(reading.grid_w == -632);
    CHECK(reading.house_w == 980);
    CHECK_FALSE(reading.battery_w);
}
