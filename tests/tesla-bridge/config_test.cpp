#include "tesla-bridge/config.hpp"

#include <regex>
#include <sstream>

#include <doctest/doctest.h>
#include <fmt/format.h>

#include "tesla-bridge/support.hpp"

using namespace tesla_bridge;
using namespace tesla_bridge_test;
using namespace std::chrono_literals;

namespace {

/// Empty when the text is a good configuration. The shared keys are not this service's business.
std::string problems(const std::string& text, Config* result = nullptr) {
    const config::Document document(text, "test.yaml");
    const Config config = read_config(document.root());
    if (result != nullptr) {
        *result = config;
    }
    try {
        document.finish();
    } catch (const config::ConfigError& error) {
        return error.what();
    }
    return "";
}

Config read(const std::string& text) {
    Config config;
    REQUIRE(problems(text, &config) == "");
    return config;
}

void check_problem(const std::string& text, const std::string& expected) {
    CAPTURE(text);
    const auto found = problems(text);
    CHECK_MESSAGE(found.find(expected) != std::string::npos, found);
}

const std::string proxy = "account: {backend: ble_proxy, base_url: 'http://127.0.0.1:8080'}\n";

}  // namespace

TEST_CASE("config: the shipped file loads and idles") {
    const config::Document document(config::read_file(SOURCE_DIR "/config/tesla-bridge.yaml"), "tesla-bridge.yaml");
    const Config config = read_config(document.root());
    document.root().section("mqtt");
    document.root().section("log");
    document.root().section("home_assistant");

    CHECK_NOTHROW(document.finish());
    CHECK(config.vehicles.empty());
    CHECK_FALSE(config.account.has_value());
}

TEST_CASE("config: every commented example of the shipped file is understood") {
    const TemporaryFolder folder;
    const auto tokens = folder.write("tokens.json", R"({"refresh_token":"r"})").string();
    const auto certificate = folder.write("proxy.pem", "x").string();
    // "  # key: value" and "#   key: value" become what they show.
    const std::regex commented_key("^( *)# ( *(?:- )?[a-z_]+:(?: .*)?)$");
    std::string text;
    std::istringstream lines(config::read_file(SOURCE_DIR "/config/tesla-bridge.yaml"));
    for (std::string line; std::getline(lines, line);) {
        text += (line == "vehicles: []" ? "vehicles:" : std::regex_replace(line, commented_key, "$1$2")) + "\n";
    }
    const auto put = [&text](const std::string& example, const std::string& real) {
        REQUIRE(text.find(example) != std::string::npos);
        text.replace(text.find(example), example.size(), real);
    };
    put("/var/lib/twc-mqtt/tesla-tokens.json", tokens);
    put("/etc/twc-mqtt/proxy.pem", certificate);
    const config::Document document(text, "examples.yaml");
    CAPTURE(text);
    const Config config = read_config(document.root());
    const auto mqtt = document.root().section("mqtt");
    const auto log = document.root().section("log");
    const auto home_assistant = document.root().section("home_assistant");

    CHECK_NOTHROW(document.finish());
    REQUIRE(config.account);
    CHECK(config.account->oauth.client_id == "00000000-0000-0000-0000-000000000000");
    REQUIRE(config.vehicles.size() == 1);
    CHECK(config.vehicles[0].max_amps == 32);
    CHECK(config.home.geofence == "Home");
    // The numbers shown are the defaults they claim to be.
    const Pacing pacing;
    CHECK(config.pacing.amps_gap == pacing.amps_gap);
    CHECK(config.pacing.wake_gap == pacing.wake_gap);
    CHECK(config.pacing.expire_after == pacing.expire_after);
    CHECK(config.pacing.confirmed_for == pacing.confirmed_for);
    CHECK(config.pacing.commands_per_day == pacing.commands_per_day);
    CHECK(config.poll.charging == PollPace{}.charging);
    CHECK(config.poll.idle == PollPace{}.idle);
    CHECK(config.poll.asleep == PollPace{}.asleep);
    CHECK(config.poll.reads_per_day == PollPace{}.reads_per_day);
}

TEST_CASE("config: nothing at all is a service that idles") {
    const auto config = read("");
    CHECK(config.vehicles.empty());
    CHECK(config.teslamate_prefix == "teslamate");
}

TEST_CASE("config: a Bluetooth proxy brings its own defaults") {
    const auto config = read(proxy + "vehicles: [{alias: kestrel, vin: LRW3E7EK0NC000777}]");

    REQUIRE(config.account);
    CHECK(config.account->backend == Backend::ble_proxy);
    CHECK_FALSE(config.account->needs_token);
    CHECK(config.account->timeout == 45s);
    CHECK(config.pacing.commands_wake);
    CHECK(config.pacing.low_amps_twice);
    CHECK(config.pacing.amps_gap == 15s);
    CHECK(config.poll.charging == 60s);
    CHECK(config.vehicles[0].has_link);
    CHECK(config.vehicles[0].max_amps == 48);
}

TEST_CASE("config: TeslaMate alone is enough") {
    const auto config = read(
        "teslamate: {topic_prefix: teslamate/garage}\n"
        "vehicles: [{alias: kestrel, teslamate_car_id: 1}]");

    CHECK_FALSE(config.vehicles[0].has_link);
    CHECK(config.vehicles[0].teslamate_car_id == 1);
    CHECK(config.teslamate_prefix == "teslamate/garage");
}

TEST_CASE("config: a cloud account with a private token file") {
    const TemporaryFolder folder;
    const auto file = folder.write("tokens.json", R"({"refresh_token":"r"})").string();
    const auto config =
        read(fmt::format("account: {{backend: fleet_api, base_url: 'https://fleet.example/', "
                         "token_file: '{}', client_id: me}}",
                         file));

    CHECK(config.account->base_url == "https://fleet.example");
    CHECK(config.account->needs_token);
    CHECK(config.account->oauth.token_url == "https://fleet-auth.prd.vn.cloud.tesla.com/oauth2/v3/token");
    CHECK_FALSE(config.pacing.low_amps_twice);
}

TEST_CASE("config: the token file is checked before anything starts") {
    const TemporaryFolder folder;
    const auto account = [&](const std::string& file, const std::string& more = "client_id: me") {
        return fmt::format("account: {{backend: fleet_api, base_url: 'https://x', token_file: '{}', {}}}", file, more);
    };
    check_problem("account: {backend: fleet_api, base_url: 'https://x'}",
                  "account.token_file: missing: the file with the login");
    check_problem(account((folder.path() / "none.json").string()), "does not exist");
    check_problem(account(folder.write("open.json", R"({"refresh_token":"s3cret"})", 0644).string()), "chmod 600");
    check_problem(account(folder.write("bad.json", "s3cret").string()), "not a JSON object");
    check_problem(account(folder.write("good.json", R"({"refresh_token":"r"})").string(), "timeout_s: 10"),
                  "account.client_id: missing: needed to renew the login");
    CHECK(problems(account(folder.write("bad.json", "s3cret").string())).find("s3cret") == std::string::npos);
    CHECK(problems(account(folder.write("fixed.json", R"({"access_token":"a"})").string(), "timeout_s: 10")) == "");
}

TEST_CASE("config: a misspelt key is refused in every section") {
    for (const char* text : {"vehicle: []", "account: {backend: ble_proxy, base_url: 'http://x', base: y}",
                             "teslamate: {prefix: x}", "home: {lat: 1}", "pacing: {amps_gap: 3}", "poll: {idle: 3}",
                             "vehicles: [{alias: a, teslamate_car_id: 1, teslamate_id: 1}]"}) {
        check_problem(text, "unknown key");
    }
}

TEST_CASE("config: values that cannot work are named with what is allowed") {
    check_problem("account: {backend: fleet, base_url: 'https://x'}",
                  "\"fleet\" is not one of fleet_api, tesla_http_proxy, ble_proxy");
    check_problem("account: {backend: ble_proxy, base_url: 'x:8080'}", "is not a URL like https://host:port");
    check_problem("account: {backend: ble_proxy, base_url: 'http://user:pw@x'}", "is not a URL like");
    check_problem("account: {backend: ble_proxy}", "account.base_url: missing");
    check_problem("account: {backend: ble_proxy, base_url: 'http://x', client_id: me}", "not used with auth: none");
    check_problem("account: {backend: ble_proxy, base_url: 'https://x', ca_file: /nowhere}", "cannot be read");
    check_problem("home: {latitude: 91, longitude: 0}", "home.latitude: 91 is outside -90 to 90");
    check_problem("home: {latitude: 50}", "home.longitude: missing");
    check_problem("teslamate: {topic_prefix: 'teslamate/#'}", "without +, #");
    check_problem("pacing: {wake_gap_s: 5}", "outside 20 to 86400");
    check_problem("pacing: {amps_gap_s: 60, expire_after_s: 60}", "orders would expire waiting");
    check_problem("vehicles: [{alias: a, link: fleet, vin: LRW3E7EK0NC000777}]", "fleet needs the section account");
    check_problem(proxy + "vehicles: [{alias: a}]", "vehicles[0].vin: missing");
    check_problem(proxy + "vehicles: [{alias: a, vin: LRW3E7EK0NC00O777}]", "17 capital letters");
    check_problem(proxy + "vehicles: [{alias: My Car, vin: LRW3E7EK0NC000777}]", "not made of a-z");
    check_problem("vehicles: [{alias: a}]", "teslamate_car_id: missing");
    check_problem("vehicles: [{alias: a, teslamate_car_id: 1}, {alias: a, teslamate_car_id: 2}]",
                  "vehicles[1].alias: \"a\" is used twice");
    check_problem("vehicles: [{alias: a, teslamate_car_id: 1}, {alias: b, teslamate_car_id: 1}]",
                  "vehicles[1].teslamate_car_id: 1 is used twice");
    check_problem("vehicles: [{alias: a, teslamate_car_id: 1, max_amps: 100}]", "outside 1 to 80");
}
