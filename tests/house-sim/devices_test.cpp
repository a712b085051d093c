#include <bit>
#include <cmath>

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "bytes.hpp"
#include "house-sim/modbus_image.hpp"
#include "house-sim/powerwall_api.hpp"
#include "house-sim/tesla_api.hpp"

namespace house_sim {

namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using Instant = scheduling::Instant;

constexpr const char* vin = "LRW3E7EK0NC000777";
constexpr const char* car_path = "/api/1/vehicles/LRW3E7EK0NC000777";

SiteConfig with_battery() {
    SiteConfig config;
    config.house.sky = Sky::clear;
    config.house.appliances = false;
    config.house.battery = {.capacity_kwh = 13.5, .soc_pct = 60};
    config.units = {{}};
    config.cars = {{.name = "kestrel", .vin = vin}, {.name = "guest"}};
    return config;
}

// A whole Modbus TCP read request of function 3.
Bytes read_request(std::uint16_t address, std::uint16_t count, std::uint8_t unit = 1) {
    return {0x12,
            0x34,
            0,
            0,
            0,
            6,
            unit,
            3,
            static_cast<std::uint8_t>(address >> 8U),
            static_cast<std::uint8_t>(address & 0xFFU),
            static_cast<std::uint8_t>(count >> 8U),
            static_cast<std::uint8_t>(count & 0xFFU)};
}

// One 16-bit value times its scale factor.
double scaled(const ModbusImage& image, std::uint16_t address, std::uint16_t factor_address) {
    const auto value = static_cast<std::int16_t>(image.read(address, 1).value()[0]);
    const auto factor = static_cast<std::int16_t>(image.read(factor_address, 1).value()[0]);
    return value * std::pow(10, factor);
}

float swapped_float(const ModbusImage& image, std::uint16_t address) {
    const auto words = image.read(address, 2).value();
    return std::bit_cast<float>(static_cast<std::uint32_t>(words[1]) << 16U | words[0]);
}

http::Request get(const std::string& path, const std::string& bearer = "") {
    http::Request request{.url = fmt::format("http://house{}", path)};
    if (!bearer.empty()) {
        request.headers.emplace_back("Authorization", fmt::format("Bearer {}", bearer));
    }
    return request;
}

http::Request post(const std::string& path, const std::string& body, const std::string& bearer = "") {
    http::Request request{.method = "POST", .url = fmt::format("http://house{}", path), .body = body};
    request.headers.emplace_back("Content-Type", "application/json");
    if (!bearer.empty()) {
        request.headers.emplace_back("Authorization", fmt::format("Bearer {}", bearer));
    }
    return request;
}

// A cloud with a car that the test can move.
struct Cloud {
    Site site{with_battery(), Instant{}};
    TeslaApi api{{}, 7};
    scheduling::WallTime wall{std::chrono::seconds(1'790'000'000)};
    std::string token = log_in("sim-refresh-0")["access_token"].get<std::string>();

    json log_in(const std::string& refresh) {
        http::Request request{.method = "POST",
                              .url = "/oauth2/v3/token",
                              .body = "grant_type=refresh_token&client_id=house-sim-client&refresh_token=" + refresh};
        return json::parse(api.answer(request, site, wall)->body);
    }
    void pass(std::chrono::seconds time) {
        site.advance(site.now() + time);
        wall += time;
    }
    http::Response ask(const http::Request& request) { return api.answer(request, site, wall).value(); }
    http::Response read(const std::string& endpoints = "") {
        return ask(get(fmt::format("{}/vehicle_data{}", car_path, endpoints), token));
    }
    http::Response command(const std::string& name, const std::string& body = "{}") {
        return ask(post(fmt::format("{}/command/{}", car_path, name), body, token));
    }
    json result(const std::string& name, const std::string& body = "{}") {
        return json::parse(command(name, body).body)["response"];
    }
};

}  // namespace

TEST_CASE("modbus: the SunSpec chain leads from the marker to the meter at SolarEdge's addresses") {
    for (const int phases : {1, 3}) {
        CAPTURE(phases);
        auto config = with_battery();
        config.house.phases = phases;
        config.house.inverter_phases = phases;
        const Site site(config, Instant{});
        const ModbusImage image({}, site.house(), false);
        CHECK(image.read(40000, 2) == std::vector<std::uint16_t>{0x5375, 0x6E53});
        std::vector<std::pair<std::uint16_t, std::uint16_t>> models;
        std::uint16_t address = 40002;
        while (image.read(address, 2).value()[0] != 0xFFFF) {
            models.emplace_back(address, image.read(address, 1).value()[0]);
            address = static_cast<std::uint16_t>(address + 2 + image.read(address, 2).value()[1]);
            REQUIRE(image.read(static_cast<std::uint16_t>(models.back().first), 2));
        }
        const std::uint16_t inverter = phases == 1 ? 101 : 103;
        const std::uint16_t meter = phases == 1 ? 201 : 203;
        CHECK(models == std::vector<std::pair<std::uint16_t, std::uint16_t>>{
                            {40002, 1}, {40069, inverter}, {40121, 1}, {40188, meter}});
        CHECK(image.read(40004, 5) == std::vector<std::uint16_t>{0x536F, 0x6C61, 0x7245, 0x6467, 0x6500});
        CHECK_FALSE(image.read(39999, 2));
        CHECK_FALSE(image.read(40296, 2));
    }
}

TEST_CASE("modbus: inverter and meter show the house, with SolarEdge's sign or the other") {
    Site site(with_battery(), Instant{});
    site.perform(AddLoad{.watts = 9000, .lasts_s = 100});
    site.advance(Instant{} + 3s);
    const auto& flow = site.house().flow();
    const ModbusImage image({}, site.house(), false);

    CHECK(scaled(image, 40083, 40084) == doctest::Approx(flow.pv_w).epsilon(0.001));
    CHECK(scaled(image, 40100, 40101) == doctest::Approx(flow.pv_w).epsilon(0.001));
    CHECK(scaled(image, 40206, 40210) == doctest::Approx(-flow.grid_w).epsilon(0.001));
    CHECK(scaled(image, 40196, 40203) == doctest::Approx(flow.voltage_v[0]).epsilon(0.001));
    CHECK(image.read(40107, 1).value()[0] == 4);

    const ModbusImage other({.meter_exports_positive = false}, site.house(), false);
    CHECK(scaled(other, 40206, 40210) == doctest::Approx(flow.grid_w).epsilon(0.001));
}

TEST_CASE("modbus: the battery block is word-swapped, and absent without a battery on this inverter") {
    Site site(with_battery(), Instant{});
    site.advance(Instant{} + 30s);
    const auto& flow = site.house().flow();
    const ModbusImage image({.battery = true}, site.house(), false);

    CHECK(swapped_float(image, 0xE174) == doctest::Approx(-flow.battery_w).epsilon(0.001));
    CHECK(swapped_float(image, 0xE184) == doctest::Approx(flow.battery_soc_pct).epsilon(0.001));
    CHECK(image.read(0xE186, 1).value()[0] == 3);
    CHECK(scaled(image, 40100, 40101) - flow.battery_w == doctest::Approx(flow.pv_w).epsilon(0.002));

    const ModbusImage without({}, site.house(), false);
    CHECK(without.read(0xE174, 2) == std::vector<std::uint16_t>{0xFFFF, 0xFF7F});
    CHECK(without.read(0xE184, 2) == std::vector<std::uint16_t>{0xFFFF, 0xFF7F});
}

TEST_CASE("modbus: at night the inverter has no values, a broken one never has") {
    auto config = with_battery();
    config.house.battery.capacity_kwh = 0;
    config.house.start_s = 2 * 3600;
    const Site night(config, Instant{});
    const ModbusImage image({}, night.house(), false);
    CHECK(image.read(40083, 2) == std::vector<std::uint16_t>{0x8000, 0x8000});
    CHECK(image.read(40100, 2) == std::vector<std::uint16_t>{0x8000, 0x8000});
    CHECK(image.read(40107, 1).value()[0] == 2);
    CHECK(scaled(image, 40206, 40210) == doctest::Approx(-night.house().flow().grid_w).epsilon(0.01));

    const ModbusImage broken({}, night.house(), true);
    CHECK(broken.read(40206, 1).value()[0] == 0x8000);
    CHECK(broken.read(40210, 1).value()[0] == 0x8000);
}

TEST_CASE("modbus: requests are answered, refused or left alone as a device would") {
    Site site(with_battery(), Instant{});
    const auto ask = [&](const Bytes& request) { return answer_modbus({}, site, request); };

    CHECK(ask(read_request(40000, 2)) == bytes("12 34 00 00 00 07 01 03 04 53 75 6E 53"));
    CHECK(ask(read_request(1, 2)) == bytes("12 34 00 00 00 03 01 83 02"));
    CHECK(ask(read_request(40000, 0)) == bytes("12 34 00 00 00 03 01 83 03"));
    CHECK(ask(read_request(40000, 126)) == bytes("12 34 00 00 00 03 01 83 03"));
    auto write = read_request(40000, 2);
    write[7] = 6;
    CHECK(ask(write) == bytes("12 34 00 00 00 03 01 86 01"));
    CHECK_FALSE(ask(read_request(40000, 2, 2)));

    site.perform(SetFault{.device = "modbus", .kind = "error"});
    CHECK(ask(read_request(40000, 2)) == bytes("12 34 00 00 00 03 01 83 04"));
    site.perform(SetFault{.device = "modbus", .kind = "silence"});
    CHECK_FALSE(ask(read_request(40000, 2)));
    site.perform(SetFault{.device = "modbus", .kind = "nan"});
    CHECK(ask(read_request(40206, 1)) == bytes("12 34 00 00 00 05 01 03 02 80 00"));
}

TEST_CASE("modbus: a stream is cut into frames, and garbage is recognised") {
    auto two = read_request(40000, 2);
    CHECK(modbus_frame_length(std::span(two).first(5)) == 0);
    CHECK(modbus_frame_length(std::span(two).first(11)) == 0);
    CHECK(modbus_frame_length(two) == 12);
    two.insert(two.end(), {1, 2});
    CHECK(modbus_frame_length(two) == 12);
    CHECK_THROWS_AS(modbus_frame_length(bytes("47 45 54 20 2F 20 48 54")), std::invalid_argument);
}

TEST_CASE("powerwall: without log-in 401, with cookie or token the meters, and the log-in ends") {
    Site site(with_battery(), Instant{});
    site.advance(Instant{} + 30s);
    PowerwallApi api({.cookie_lasts_s = 60}, 1);
    const auto ask = [&](const http::Request& request) { return api.answer(request, site, {}).value(); };
    const std::string login = R"({"username":"customer","email":"a@b.c","password":"sim12","force_sm_off":false})";

    CHECK(ask(get("/api/status")).status == 200);
    CHECK(ask(get("/api/meters/aggregates")).status == 401);
    CHECK(ask(post("/api/login/Basic", R"({"username":"customer","password":"wrong"})")).status == 401);
    CHECK(ask(post("/api/login/Basic", "not json")).status == 401);

    const auto logged_in = ask(post("/api/login/Basic", login));
    REQUIRE(logged_in.status == 200);
    const auto token = json::parse(logged_in.body)["token"].get<std::string>();
    CHECK(logged_in.headers.count("set-cookie") == 2);

    const auto meters = json::parse(ask(get("/api/meters/aggregates", token)).body);
    const auto& flow = site.house().flow();
    CHECK(meters["site"]["instant_power"].get<double>() == doctest::Approx(flow.grid_w));
    CHECK(meters["battery"]["instant_power"].get<double>() == doctest::Approx(flow.battery_w));
    CHECK(meters["solar"]["instant_power"].get<double>() == doctest::Approx(flow.pv_w));
    CHECK(meters["load"]["instant_power"].get<double>() == doctest::Approx(flow.load_w + flow.chargers_w));

    auto with_cookie = get("/api/system_status/soe");
    with_cookie.headers.emplace_back("Cookie", "AuthCookie=" + token + "; UserRecord=x");
    const double raw = json::parse(ask(with_cookie).body)["percentage"].get<double>();
    CHECK((raw - 5) / 0.95 == doctest::Approx(flow.battery_soc_pct));
    CHECK(ask(get("/api/nothing", token)).status == 404);

    site.advance(Instant{} + 100s);
    CHECK(ask(with_cookie).status == 401);
}

TEST_CASE("powerwall: faults are the ones clients meet") {
    Site site(with_battery(), Instant{});
    PowerwallApi api({}, 1);
    site.perform(SetFault{.device = "powerwall", .kind = "rate_limited"});
    const auto limited = api.answer(get("/api/status"), site, {});
    REQUIRE(limited);
    CHECK(limited->status == 429);
    CHECK(http::header(*limited, "retry-after") == "37");
    site.perform(SetFault{.device = "powerwall", .kind = "error"});
    CHECK(api.answer(get("/api/status"), site, {})->status == 500);
    site.perform(SetFault{.device = "powerwall", .kind = "silence"});
    CHECK_FALSE(api.answer(get("/api/status"), site, {}));
}

TEST_CASE("tesla: refresh tokens rotate, the last but one works once more, older ones are refused") {
    Cloud cloud;
    CHECK(cloud.log_in("sim-refresh-1")["refresh_token"] == "sim-refresh-2");
    CHECK(cloud.log_in("sim-refresh-1")["refresh_token"] == "sim-refresh-2");
    CHECK(cloud.log_in("sim-refresh-2")["refresh_token"] == "sim-refresh-3");
    CHECK(cloud.log_in("sim-refresh-0")["error"] == "login_required");
    CHECK(cloud.log_in("stolen")["error"] == "invalid_grant");
    CHECK(cloud.log_in("sim-refresh-41")["refresh_token"] == "sim-refresh-42");

    http::Request foreign{.method = "POST",
                          .url = "/oauth2/v3/token",
                          .body = R"({"grant_type":"refresh_token","client_id":"x","refresh_token":"sim-refresh-3"})"};
    CHECK(cloud.api.answer(foreign, cloud.site, cloud.wall)->status == 400);
}

TEST_CASE("tesla: only a token that is ours and fresh opens the door") {
    Cloud cloud;
    CHECK(cloud.ask(get("/api/1/vehicles", cloud.token)).status == 200);
    CHECK(cloud.ask(get("/api/1/vehicles")).status == 401);
    CHECK(cloud.ask(get("/api/1/vehicles", cloud.token + "0")).status == 401);
    CHECK(cloud.ask(get("/api/1/vehicles", "a.b.99999999999-0")).status == 401);
    cloud.wall += 9h;
    CHECK(cloud.ask(get("/api/1/vehicles", cloud.token)).status == 401);
}

TEST_CASE("tesla: only cars with a VIN are listed, with ids too large for a double") {
    Cloud cloud;
    const auto list = json::parse(cloud.ask(get("/api/1/vehicles", cloud.token)).body)["response"];
    REQUIRE(list.size() == 1);
    CHECK(list[0]["vin"] == vin);
    CHECK(list[0]["id"].get<std::int64_t>() > (1LL << 53));
    CHECK(cloud.ask(get("/api/1/vehicles/LRW3E7EK0NC000778", cloud.token)).status == 404);
}

TEST_CASE("tesla: vehicle data follows the car, location only when asked for") {
    Cloud cloud;
    auto data = json::parse(cloud.read().body)["response"];
    CHECK(data["charge_state"]["charging_state"] == "Disconnected");
    CHECK(data["charge_state"]["charger_phases"].is_null());
    CHECK_FALSE(data["drive_state"].contains("latitude"));

    cloud.site.perform(PlugIn{.car = "kestrel", .soc_pct = 41});
    cloud.pass(3s);
    data = json::parse(cloud.read("?endpoints=charge_state%3Blocation_data").body)["response"];
    CHECK(data["charge_state"]["battery_level"] == 41);
    CHECK(data["charge_state"]["charging_state"] == "NoPower");
    CHECK(data["drive_state"].contains("latitude"));
    CHECK_FALSE(data.contains("vehicle_state"));
}

TEST_CASE("tesla: commands answer with the reasons of the real service") {
    Cloud cloud;
    CHECK(cloud.result("charge_start")["reason"] == "disconnected");
    CHECK(cloud.result("charge_stop")["reason"] == "not_charging");
    CHECK(cloud.result("set_charge_limit", R"({"percent":80})")["reason"] == "already_set");
    CHECK(cloud.result("set_charge_limit", R"({"percent":60})")["result"] == true);
    CHECK(cloud.site.cars()[0].charge_limit_pct() == 60);
    CHECK(cloud.result("set_charging_amps", R"({"charging_amps":9})")["result"] == true);
    CHECK(cloud.result("set_charging_amps", R"({"charging_amps":"10"})")["result"] == true);
    CHECK(cloud.site.cars()[0].amps_request() == 10);
    CHECK(cloud.command("set_charging_amps", R"({"amps":9})").status == 400);
    CHECK(cloud.command("set_charge_limit", R"({"percent":10})").status == 400);
    CHECK(cloud.command("self_destruct").status == 400);

    cloud.site.perform(PlugIn{.car = "kestrel", .soc_pct = 30});
    CHECK(cloud.result("charge_stop")["result"] == true);
    CHECK_FALSE(cloud.site.cars()[0].wants_power());
    CHECK(cloud.result("charge_start")["result"] == true);
    CHECK(cloud.site.cars()[0].wants_power());
    cloud.site.perform(PlugIn{.car = "kestrel", .soc_pct = 70});
    CHECK(cloud.result("charge_start")["reason"] == "complete");
}

TEST_CASE("tesla: a sleeping car is 408 until it was woken and some seconds have passed") {
    Cloud cloud;
    cloud.site.cars()[0].fall_asleep();
    CHECK(cloud.read().status == 408);
    CHECK(cloud.command("charge_start").status == 408);

    const auto woken = cloud.ask(post(fmt::format("{}/wake_up", car_path), "", cloud.token));
    CHECK(json::parse(woken.body)["response"]["state"] == "asleep");
    CHECK(cloud.read().status == 408);
    cloud.pass(20s);
    CHECK(cloud.read().status == 200);
}

TEST_CASE("tesla: quotas and faults answer 429 with a time to wait") {
    Cloud cloud;
    const auto wake = post(fmt::format("{}/wake_up", car_path), "", cloud.token);
    for (int i = 0; i < 3; ++i) {
        CHECK(cloud.ask(wake).status == 200);
    }
    const auto limited = cloud.ask(wake);
    CHECK(limited.status == 429);
    CHECK(std::stoi(http::header(limited, "retry-after").value()) > 50);
    cloud.pass(61s);
    CHECK(cloud.ask(wake).status == 200);

    cloud.site.perform(SetFault{.device = "tesla", .kind = "rate_limited"});
    CHECK(cloud.ask(get("/api/1/vehicles", cloud.token)).status == 429);
    cloud.site.perform(SetFault{.device = "tesla", .kind = "error"});
    CHECK(cloud.ask(get("/api/1/vehicles", cloud.token)).status == 500);
}

TEST_CASE("tesla: as a command proxy the reasons carry its prefix") {
    Cloud cloud;
    cloud.api = TeslaApi({.reason_prefix = "car could not execute command: "}, 7);
    cloud.token = cloud.log_in("sim-refresh-0")["access_token"].get<std::string>();
    CHECK(cloud.result("charge_start")["reason"] == "car could not execute command: disconnected");
}

}  // namespace house_sim
