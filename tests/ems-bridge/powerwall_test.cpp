#include "ems-bridge/sources/powerwall.hpp"

#include <algorithm>

#include <doctest/doctest.h>

#include "support.hpp"

using namespace ems_bridge;
using namespace std::chrono_literals;

namespace {

const char* const aggregates = R"({
 "site":{"last_communication_time":"2026-06-01T11:20:01.5+02:00","instant_power":-980.5,"frequency":50.0,
         "energy_exported":2000000,"energy_imported":1500000,"instant_average_voltage":238.5,"i_a_current":0},
 "battery":{"instant_power":-1500,"energy_exported":1,"energy_imported":2},
 "load":{"instant_power":720.25},"solar":{"instant_power":3200.75,"energy_exported":9000000}})";

// A gateway that knows one password and hands out numbered tokens.
struct Gateway {
    test::FakeHttp http;
    test::FakeModbus modbus;
    Io io{http, modbus};
    int logins = 0;
    int login_status = 200;
    int data_status = 200;
    int charge_status = 200;
    std::string valid_token;
    bool keeps_refusing = false;
    MakeSource make = make_powerwall({.url = "https://pw", .email = "a@b", .password = "secret"});

    Gateway() {
        http.answer = [this](const http::Request& request) { return answer(request); };
    }

    http::Response answer(const http::Request& request) {
        if (request.url == "https://pw/api/login/Basic") {
            ++logins;
            CHECK(request.method == "POST");
            CHECK(nlohmann::json::parse(request.body) ==
                  nlohmann::json(
                      {{"username", "customer"}, {"email", "a@b"}, {"password", "secret"}, {"force_sm_off", false}}));
            if (login_status != 200) {
                return {.status = login_status, .body = R"({"code":401,"error":"bad credentials"})"};
            }
            valid_token = "token-" + std::to_string(logins);
            return {.status = 200, .body = R"({"email":"a@b","token":")" + valid_token + R"("})"};
        }
        const auto login =
            std::ranges::find(request.headers, "Authorization", &std::pair<std::string, std::string>::first);
        if (keeps_refusing || login == request.headers.end() || login->second != "Bearer " + valid_token) {
            return {.status = 401};
        }
        if (request.url == "https://pw/api/system_status/soe") {
            return {.status = charge_status, .body = R"({"percentage":62})"};
        }
        return {.status = data_status, .body = aggregates};
    }

    static std::optional<SourceError> failure(Source& source) {
        try {
            source.read();
        } catch (const SourceError& error) {
            return error;
        }
        return std::nullopt;
    }
};

}  // namespace

TEST_CASE("powerwall: aggregates") {
    const auto reading = parse_powerwall_aggregates(aggregates);

    CHECK(reading.grid_w == -980.5);
    CHECK(reading.pv_w == 3200.75);
    CHECK(reading.battery_w == -1500);
    CHECK(reading.house_w == 720.25);
    CHECK(reading.voltage_v[0] == 238.5);
    CHECK(reading.import_kwh == 1500);
    CHECK(reading.export_kwh == 2000);
    CHECK(reading.pv_kwh == 9000);
    CHECK(reading.measured_at == contract::parse_timestamp("2026-06-01T11:20:01.5+02:00"));
}

TEST_CASE("powerwall: what is no aggregates is refused") {
    for (const char* body : {"", "[]", "null", "{", "{\"site\":5}", "{\"site\":{\"instant_power\":\"5\"}}", "<html>"}) {
        CAPTURE(body);
        CHECK_THROWS_AS(parse_powerwall_aggregates(body), SourceError);
    }
    CHECK_THROWS_AS(
        parse_powerwall_aggregates(
            R"({"site":{"instant_power":0},"battery":{"instant_power":0},"load":{"instant_power":0},"solar":{"instant_power":0}})"),
        SourceError);
    CHECK(parse_powerwall_aggregates(R"({"site":{"instant_power":1},"solar":{"instant_power":-6}})").pv_w == 0);
}

TEST_CASE("powerwall: the state of charge is shown as the app does") {
    CHECK(parse_powerwall_charge(R"({"percentage":71.5})") == doctest::Approx(70));
    CHECK(parse_powerwall_charge(R"({"percentage":3})") == 0);
    CHECK(parse_powerwall_charge(R"({"percentage":100})") == 100);
    CHECK_THROWS_AS(parse_powerwall_charge(R"({"percentage":101})"), SourceError);
    CHECK_THROWS_AS(parse_powerwall_charge(R"({})"), SourceError);
}

TEST_CASE_FIXTURE(Gateway, "powerwall: one login serves many reads, also those of a new source") {
    for (int i = 0; i < 3; ++i) {
        const auto source = make(io);
        CHECK(source->read().battery_soc_pct == doctest::Approx(60));
        CHECK(source->read().grid_w == -980.5);
    }
    CHECK(logins == 1);
}

TEST_CASE_FIXTURE(Gateway, "powerwall: an expired token costs one login") {
    const auto source = make(io);
    for (int i = 0; i < 20; ++i) {
        source->read();
    }
    valid_token = "revoked";

    CHECK(source->read().grid_w == -980.5);
    CHECK(logins == 2);
}

TEST_CASE_FIXTURE(Gateway, "powerwall: tokens that are refused at once lead to a pause and not to a series of logins") {
    keeps_refusing = true;
    const auto source = make(io);

    const auto error = failure(*source);

    REQUIRE(error);
    CHECK(error->kind() == ErrorKind::login);
    CHECK(error->not_before() == 10min);
    CHECK(logins == 1);
}

TEST_CASE_FIXTURE(Gateway, "powerwall: a wrong password pauses ten minutes, too many logins five") {
    login_status = 401;
    const auto source = make(io);
    auto error = failure(*source);
    REQUIRE(error);
    CHECK(error->kind() == ErrorKind::login);
    CHECK(error->not_before() == 10min);
    CHECK(std::string(error->what()).find("secret") == std::string::npos);

    login_status = 429;
    error = failure(*source);
    REQUIRE(error);
    CHECK(error->kind() == ErrorKind::rate_limited);
    CHECK(error->not_before() == 5min);
}

TEST_CASE_FIXTURE(Gateway, "powerwall: busy, stopped and missing are told apart") {
    const auto source = make(io);
    data_status = 429;
    CHECK(failure(*source)->not_before() == 5min);
    data_status = 503;
    CHECK(failure(*source)->not_before() == 5min);
    data_status = 502;
    CHECK(std::string(failure(*source)->what()).find("sitemaster") != std::string::npos);
    data_status = 404;
    CHECK(failure(*source)->not_before() == 10min);
}

TEST_CASE_FIXTURE(Gateway, "powerwall: firmware without the state of charge is not asked for it every time") {
    charge_status = 404;
    const auto source = make(io);
    for (int i = 0; i < 10; ++i) {
        CHECK_FALSE(source->read().battery_soc_pct);
    }

    CHECK(std::ranges::count_if(http.requests, [](const auto& request) { return request.url.ends_with("/soe"); }) == 1);
}
