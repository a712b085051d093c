#include "tesla-bridge/fleet_answer.hpp"

#include <random>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "contract/schema.hpp"
#include "tesla-bridge/support.hpp"

using namespace tesla_bridge;
using namespace tesla_bridge_test;
using namespace std::chrono_literals;
using Kind = Verdict::Kind;

namespace {

constexpr Command start{CommandKind::charge_start, 0};
constexpr Command stop{CommandKind::charge_stop, 0};
constexpr Command amps{CommandKind::set_amps, 16};
constexpr Command limit{CommandKind::set_limit, 80};
constexpr Command wake{CommandKind::wake, 0};

const CallTime call_time{at(1000), fixture_wall()};
const Home home{.location = Location{50.1, 8.6}, .radius_m = 500, .geofence = {}};

http::Response answer(int status, std::string body, http::Headers headers = {}) {
    return {status, std::move(headers), std::move(body)};
}

http::Response refusal(const std::string& reason, int status = 200) {
    return answer(status, nlohmann::json{{"response", {{"result", false}, {"reason", reason}}}}.dump());
}

http::Response error(int status, const std::string& text) {
    return answer(status, nlohmann::json{{"response", nullptr}, {"error", text}, {"error_description", ""}}.dump());
}

}  // namespace

TEST_CASE("answers: what a car says to a command") {
    struct Row {
        const char* name;
        Command command;
        http::Response response;
        Kind expected;
        const char* words;
    };
    const std::vector<Row> rows{
        {"accepted", start, answer(200, fixture("command_accepted.json")), Kind::done, ""},
        {"is_charging", start, refusal("is_charging"), Kind::done, "already"},
        {"is_charging through the proxy", start, answer(200, fixture("command_refused_prefixed.json")), Kind::done,
         "already"},
        {"requested", start, refusal("requested"), Kind::done, "already"},
        {"is_charging is no success of a stop", stop, refusal("is_charging"), Kind::refused, "is_charging"},
        {"not_charging", stop, refusal("not_charging"), Kind::done, "already"},
        {"not_charging is no success of a start", start, refusal("not_charging"), Kind::refused, "not_charging"},
        {"stop when unplugged", stop, refusal("disconnected"), Kind::done, "already"},
        {"start when unplugged", start, refusal("disconnected"), Kind::refused, "not plugged in"},
        {"complete", start, refusal("complete"), Kind::refused, "charge limit"},
        {"already_set", limit, refusal("already_set"), Kind::done, "already"},
        {"amps already_set", amps, refusal("already_set"), Kind::done, "already"},
        {"no_power", start, refusal("no_power"), Kind::retry, "no current"},
        {"could_not_wake_buses", start, refusal("could_not_wake_buses"), Kind::retry, "could_not_wake_buses"},
        {"battery test", start, refusal("high-energy features disabled: SoH test running"), Kind::refused,
         "battery test"},
        {"old form of the reason", start,
         answer(200, R"({"response":{"result":false,"string":"vehicle rejected: complete"}})"), Kind::refused,
         "charge limit"},
        {"unknown reason", amps, refusal("mercury_retrograde"), Kind::refused, "mercury_retrograde"},
        {"no reason", amps, refusal(""), Kind::refused, "no reason given"},
        {"wake answers with the car", wake, answer(200, fixture("vehicle_asleep.json")), Kind::done, ""},
        {"yes to nothing", start, answer(200, R"({"response":{}})"), Kind::retry, "base_url"},
        {"a web page", start, answer(200, "<html><title>router</title>"), Kind::retry, "base_url"},
        {"Bluetooth failed", amps, refusal("failed to find BLE device", 503), Kind::retry, "BLE device"},
        {"Bluetooth proxy, car sleeps", amps, refusal("vehicle is sleeping", 503), Kind::asleep, "asleep"},
    };
    for (const auto& row : rows) {
        CAPTURE(row.name);
        const auto verdict = judge_command(row.command, row.response);
        CHECK(verdict.kind == row.expected);
        CHECK_MESSAGE(verdict.reason.find(row.words) != std::string::npos, verdict.reason);
    }
}

TEST_CASE("answers: what a server says, to a read and to a command alike") {
    struct Row {
        const char* name;
        http::Response response;
        Kind expected;
        const char* words;
    };
    const std::vector<Row> rows{
        {"asleep, cloud", answer(408, fixture("asleep.json")), Kind::asleep, "asleep"},
        {"asleep, signing proxy", answer(500, fixture("asleep.json")), Kind::asleep, "asleep"},
        {"asleep, no words", answer(408, ""), Kind::asleep, "asleep"},
        {"timeout", error(408, "operation_timedout for txid"), Kind::retry, "could not reach the car"},
        {"deadline", error(408, "context deadline exceeded"), Kind::retry, "could not reach the car"},
        {"token expired", error(401, "token expired (401)"), Kind::unauthorised, "token expired"},
        {"401 without words", answer(401, ""), Kind::unauthorised, "HTTP 401"},
        {"remote access off", error(401, "mobile_access_disabled"), Kind::blocked, "mobile access"},
        {"no payment", error(402, "payment required"), Kind::rate_limited, "payment"},
        {"scope", answer(403, fixture("missing_scope.json")), Kind::blocked, "vehicle_charging_cmds"},
        {"signing", answer(403, fixture("protocol_required.json")), Kind::blocked, "tesla-http-proxy"},
        {"limit of the bill", answer(403, fixture("exceeded_limit.json")), Kind::rate_limited, "billing limit"},
        {"another 403", error(403, "use HTTP/2"), Kind::blocked, "use HTTP/2"},
        {"no such car", error(404, "not_found"), Kind::blocked, "vin"},
        {"car is gone", error(410, "gone"), Kind::blocked, "no longer served"},
        {"service", error(405, "vehicle is currently in service"), Kind::blocked, "service mode"},
        {"not registered", answer(412, ""), Kind::blocked, "not registered"},
        {"region", answer(421, fixture("wrong_region.json")), Kind::blocked,
         "https://fleet-api.prd.eu.vn.cloud.tesla.com"},
        {"422", error(422, "vehicle does not support the protocol"), Kind::refused, "does not support"},
        {"key", error(500, "vehicle rejected request: your public key has not been paired with the vehicle"),
         Kind::blocked, "pair it"},
        {"busy proxy", answer(503, ""), Kind::retry, "HTTP 503"},
        {"540", answer(540, "device unavailable"), Kind::retry, "device unavailable"},
        {"redirect", answer(302, ""), Kind::blocked, "base_url"},
        {"429", answer(429, fixture("rate_limited.json")), Kind::rate_limited, "37 s"},
    };
    for (const auto& row : rows) {
        CAPTURE(row.name);
        for (const auto& verdict : {judge_read(row.response), judge_command(amps, row.response)}) {
            CHECK(verdict.kind == row.expected);
            CHECK_MESSAGE(verdict.reason.find(row.words) != std::string::npos, verdict.reason);
        }
    }
}

TEST_CASE("answers: only the limits of the whole account stop the other cars") {
    CHECK(judge_read(answer(403, fixture("exceeded_limit.json"))).whole_account);
    CHECK(judge_read(answer(403, fixture("exceeded_limit.json"))).retry_after == 900s);
    CHECK(judge_read(answer(402, "")).whole_account);
    CHECK_FALSE(judge_read(answer(429, "")).whole_account);
}

TEST_CASE("answers: a host that is not Tesla's is never suggested as base URL") {
    const auto verdict = judge_read(error(421, "use base URL: https://fleet-api.tesla.com.evil.example/x"));

    CHECK(verdict.kind == Kind::blocked);
    CHECK(verdict.reason.find("evil") == std::string::npos);
}

TEST_CASE("answers: a rate limit is read from header, then body, and is never endless") {
    CHECK(parse_retry_after(answer(429, "", {{"retry-after", "12"}})) == 12s);
    CHECK(parse_retry_after(answer(429, "", {{"ratelimit-reset", "55"}})) == 55s);
    CHECK(parse_retry_after(answer(429, fixture("rate_limited.json"))) == 37s);
    CHECK(parse_retry_after(answer(429, fixture("rate_limited.json"), {{"retry-after", "12"}})) == 12s);
    CHECK(parse_retry_after(answer(429, "")) == 300s);
    CHECK(parse_retry_after(answer(429, "", {{"retry-after", "soon"}})) == 300s);
    CHECK(parse_retry_after(answer(429, "", {{"retry-after", "-5"}})) == 300s);
    CHECK(parse_retry_after(answer(429, "Retry in x")) == 300s);
    CHECK(parse_retry_after(answer(429, "", {{"retry-after", "0"}})) == 1s);
    CHECK(parse_retry_after(answer(429, "Retry in 99999999 seconds")) == 86'400s);
    CHECK(parse_retry_after(answer(429, "Retry in 99999999999999999999999 seconds")) == 300s);
}

TEST_CASE("vehicle data: a charging car") {
    const auto data = parse_vehicle_data(fixture("vehicle_data_charging.json"), home, call_time);

    CHECK(data.problems.empty());
    CHECK(value_of(data.facts.soc_pct) == 57);
    CHECK(value_of(data.facts.charge_limit_pct) == 80);
    CHECK(value_of(data.facts.charging_state) == ChargingState::charging);
    CHECK(value_of(data.facts.charge_amps) == 13);
    CHECK(value_of(data.facts.charge_amps_set) == 14);
    CHECK(value_of(data.facts.plugged) == true);
    CHECK(value_of(data.facts.at_home) == true);
    CHECK(value_of(data.facts.time_to_full_min) == 95);
    CHECK(value_of(data.facts.range_km).value() == doctest::Approx(241.4));
    CHECK(value_of(data.facts.sleep_state) == SleepState::online);
}

TEST_CASE("vehicle data: true at the time of the call, with the car's own stamp to tell copies") {
    const auto data = parse_vehicle_data(fixture("vehicle_data_charging.json"), home, call_time);
    CHECK(data.facts.heard_at == at(1000));
    CHECK(data.facts.soc_pct->at == at(1000));
    CHECK(data.stamp == 1788800000123.0);
    CHECK_FALSE(parse_vehicle_data(R"({"response":{"charge_state":{}}})", home, call_time).stamp.has_value());
}

TEST_CASE("vehicle data: null is unknown and absent says nothing") {
    const auto data = parse_vehicle_data(fixture("vehicle_data_unplugged.json"), home, call_time);

    CHECK(value_of(data.facts.plugged) == false);
    CHECK(value_of(data.facts.charging_state) == ChargingState::disconnected);
    REQUIRE(data.facts.range_km);
    CHECK_FALSE(data.facts.range_km->value.has_value());
    CHECK_FALSE(data.facts.at_home.has_value());
    CHECK(data.problems.empty());
}

TEST_CASE("vehicle data: TeslaBleHttpProxy nests one level deeper") {
    const auto data = parse_vehicle_data(fixture("vehicle_data_ble_proxy.json"), home, call_time);

    CHECK(value_of(data.facts.soc_pct) == 61);
    CHECK(value_of(data.facts.charge_amps_set) == 16);
    CHECK(value_of(data.facts.time_to_full_min) == 30);
    CHECK(data.stamp == 1788800000.0);
}

TEST_CASE("vehicle data: an unusable field is named and unknown, the others count") {
    const auto data = parse_vehicle_data(fixture("vehicle_data_odd_fields.json"), home, call_time);

    CHECK(value_of(data.facts.charge_limit_pct) == 80);
    CHECK_FALSE(value_of(data.facts.soc_pct).has_value());
    CHECK_FALSE(value_of(data.facts.charging_state).has_value());
    CHECK_FALSE(data.facts.plugged.has_value());
    REQUIRE(data.problems.size() == 4);
    CHECK(data.problems[0] == R"(charge_state.battery_level: got "57", expected a number from 0 to 100)");
}

TEST_CASE("vehicle data: hours to full are minutes here") {
    const auto data =
        parse_vehicle_data(R"({"response":{"charge_state":{"time_to_full_charge":1.5}}})", home, call_time);

    CHECK(value_of(data.facts.time_to_full_min) == 90);
}

TEST_CASE("vehicle data: what is none is refused with a reason") {
    for (const char* body : {"", "null", "[]", "{}", R"({"response":null})", R"({"response":{}})", "<html>",
                             R"({"response":{"charge_state":)"}) {
        CAPTURE(body);
        CHECK_THROWS_AS(parse_vehicle_data(body, home, call_time), contract::Invalid);
    }
}

TEST_CASE("vehicle presence: only the three states are taken") {
    CHECK(value_of(parse_vehicle(fixture("vehicle_asleep.json"), call_time).sleep_state) == SleepState::asleep);
    CHECK_FALSE(parse_vehicle(fixture("vehicle_asleep.json"), call_time).heard_at.has_value());
    CHECK_THROWS_WITH_AS(parse_vehicle(R"({"response":{"state":null}})", call_time),
                         "response.state: got \"\", expected online, asleep or offline", contract::Invalid);
}

TEST_CASE("printable: other people's text cannot break a log line") {
    CHECK(printable("a\nb\tc\x1b[31m  d") == "a b c [31m d");
    CHECK(printable("  \n ").empty());
    CHECK(printable(std::string(500, 'x'), 10) == "xxxxxxxxxx...");
}

TEST_CASE("answers: damaged bodies never crash and never count as success") {
    const unsigned seed = std::random_device{}();
    CAPTURE(seed);
    std::mt19937 random(seed);
    const std::vector<std::string> bodies{fixture("vehicle_data_charging.json"), fixture("asleep.json"),
                                          fixture("command_refused_prefixed.json"), fixture("rate_limited.json")};
    for (int round = 0; round < 3000; ++round) {
        std::string body = bodies[random() % bodies.size()];
        for (int changes = 0; changes < 4; ++changes) {
            body[random() % body.size()] = static_cast<char>(random() % 256);
        }
        body.resize(random() % (body.size() + 1));
        const auto response = answer(static_cast<int>(200 + random() % 350), body);
        CHECK(judge_command(amps, response).kind != Kind::done);
        if (response.status != 200) {
            CHECK(judge_read(response).kind != Kind::done);
        }
        try {
            parse_vehicle_data(body, home, call_time);
        } catch (const contract::Invalid& invalid) {
            CHECK(std::string(invalid.what()) != "");
        }
    }
}
