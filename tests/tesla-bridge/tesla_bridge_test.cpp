#include "tesla-bridge/tesla_bridge.hpp"

#include <algorithm>
#include <functional>
#include <set>

#include <doctest/doctest.h>
#include <fmt/format.h>

#include "messaging/in_memory_broker.hpp"
#include "scheduling/simulated_loop.hpp"
#include "tesla-bridge/support.hpp"

namespace {

using namespace std::chrono_literals;
using namespace tesla_bridge;
using namespace tesla_bridge_test;
using nlohmann::json;

/// Tesla's cloud with one car, as far as the bridge talks to it.
struct FakeTesla {
    bool asleep = false;
    bool unreachable = false;
    std::string charging_state = "Stopped";
    int amps = 16;
    int limit = 80;
    double latitude = 50.1;
    std::optional<http::Response> answer_all;  ///< Instead of what the car would say.
    std::function<void()> during_call;
    std::vector<std::string> calls;  ///< "POST charge_start {}"

    http::Response handle(const http::Request& request) {
        const auto slash = request.url.rfind('/');
        std::string what = request.url.substr(slash + 1);
        what = what.substr(0, what.find('?'));
        calls.push_back(fmt::format("{} {} {}", request.method, what, request.body));
        if (during_call) {
            during_call();
        }
        if (unreachable) {
            throw http::TransportError("https://tesla.example: Couldn't connect to server");
        }
        if (answer_all) {
            return *answer_all;
        }
        if (what == "wake_up") {
            asleep = false;
            return {200, {}, R"({"response":{"state":"asleep"}})"};
        }
        if (what == vin) {
            return {200, {}, json{{"response", {{"state", asleep ? "asleep" : "online"}}}}.dump()};
        }
        if (asleep) {
            return {408, {}, fixture("asleep.json")};
        }
        return what == "vehicle_data" ? data() : command(what, request.body);
    }

    http::Response data() const {
        const json body{{"response",
                         {{"state", "online"},
                          {"charge_state",
                           {{"battery_level", 57},
                            {"charging_state", charging_state},
                            {"charge_current_request", amps},
                            {"charge_limit_soc", limit}}},
                          {"drive_state", {{"latitude", latitude}, {"longitude", 8.6}}}}}};
        return {200, {}, body.dump()};
    }

    http::Response command(const std::string& what, const std::string& body) {
        if (what == "charge_start") {
            charging_state = "Charging";
        } else if (what == "charge_stop") {
            charging_state = "Stopped";
        } else if (what == "set_charging_amps") {
            amps = json::parse(body).at("charging_amps").get<int>();
        } else if (what == "set_charge_limit") {
            limit = json::parse(body).at("percent").get<int>();
        }
        return {200, {}, fixture("command_accepted.json")};
    }

    long count(const std::string& part) const {
        return std::ranges::count_if(calls, [&](const auto& call) { return call.find(part) != std::string::npos; });
    }
};

class FakeClients final : public http::HttpClientFactory {
public:
    explicit FakeClients(FakeTesla& tesla) : tesla_(tesla) {}
    std::unique_ptr<http::HttpClient> make_client(const http::TlsTrust& /*trust*/) override {
        return std::make_unique<Client>(tesla_);
    }

private:
    class Client final : public http::HttpClient {
    public:
        explicit Client(FakeTesla& tesla) : tesla_(tesla) {}
        http::Response send(const http::Request& request) override { return tesla_.handle(request); }

    private:
        FakeTesla& tesla_;
    };
    FakeTesla& tesla_;
};

Config usual_config() {
    Config config;
    config.account = AccountConfig{.base_url = "https://tesla.example", .needs_token = false};
    config.home.location = Location{50.1, 8.6};
    config.vehicles = {{.alias = "kestrel", .vin = vin}};
    return config;
}

struct World {
    explicit World(Config config = usual_config()) {
        broker.tap([this](const std::string&, const messaging::Publication& publication) {
            if (publication.topic.ends_with("/event")) {
                events.push_back(json::parse(publication.payload));
            }
        });
        bridge = std::make_unique<TeslaBridge>(std::move(config), environment, clients);
        loop.run_for(1s);
    }

    void command(const std::string& word, const std::string& payload, const std::string& alias = "kestrel") {
        user->publish({.topic = "twc/vehicle/" + alias + "/command/" + word + "/set", .payload = payload, .qos = 1});
        loop.run_for(100ms);
    }
    json state(const std::string& alias = "kestrel") const {
        const auto text = broker.retained("twc/vehicle/" + alias + "/state");
        REQUIRE(text);
        return json::parse(*text);
    }
    std::vector<json> events_of(const std::string& type) const {
        std::vector<json> found;
        std::ranges::copy_if(events, std::back_inserter(found),
                             [&](const json& event) { return event.at("event_type") == type; });
        return found;
    }

    scheduling::SimulatedLoop loop{fixture_wall()};
    scheduling::SimulatedWorkerFactory workers{loop};
    messaging::InMemoryBroker broker{loop};
    std::unique_ptr<messaging::InMemoryClient> user = broker.connect("user");
    std::unique_ptr<messaging::InMemoryClient> bus = broker.connect("tesla-bridge");
    service::Environment environment{loop, workers, *bus, contract::Topics("twc"), "tesla-bridge"};
    FakeTesla tesla;
    FakeClients clients{tesla};
    std::vector<json> events;
    std::unique_ptr<TeslaBridge> bridge;
};

}  // namespace

TEST_CASE("service: the state of a car appears as the contract says") {
    World world;

    const auto state = contract::from_json<contract::VehicleState>(world.state());
    CHECK(state.soc_pct == 57);
    CHECK(state.charging_state == "stopped");
    CHECK(state.charge_amps_set == 16);
    CHECK(state.sleep_state == "online");
    CHECK(state.plugged == true);
    CHECK(state.at_home == true);
    CHECK(state.can_command);
    CHECK(state.vin == vin);
    CHECK_FALSE(state.charge_amps.has_value());
    CHECK(world.broker.retained("twc/vehicle/kestrel/availability") == "online");
    CHECK(world.broker.retained("twc/vehicle/kestrel/soc_pct") == "57.0");
}

TEST_CASE("service: a start wakes a sleeping car and then sets the current") {
    World world;
    world.tesla.asleep = true;
    world.tesla.calls.clear();
    world.loop.run_for(30min);

    world.command("charge_start", "1");
    world.command("set_amps", "10A");
    world.loop.run_for(60s);

    CHECK(world.tesla.charging_state == "Charging");
    CHECK(world.tesla.amps == 10);
    CHECK(world.tesla.count("wake_up") == 1);
    const auto done = world.events_of("command_done");
    REQUIRE(done.size() == 3);
    CHECK(done[0].at("command") == "wake");
    CHECK(done[1].at("command") == "charge_start");
    CHECK(done[2].at("command") == "set_amps");
    CHECK(done[2].at("value") == 10);
}

TEST_CASE("service: a command that makes no sense is refused with what would") {
    World world;
    struct Row {
        const char* word;
        const char* payload;
        const char* alias;
        const char* reason;
        const char* expected;
    };
    for (const auto& row :
         {Row{"set_amps", "lots", "kestrel", "not a number", "a number from 1 to 48 A"},
          Row{"set_amps", "0", "kestrel", "0 is outside the allowed range", "a number from 1 to 48 A"},
          Row{"set_amps", "80", "kestrel", "80 is outside the allowed range", "a number from 1 to 48 A"},
          Row{"set_amps", "{\"amps\":16}", "kestrel", "not a number", "a number from 1 to 48 A"},
          Row{"set_limit", "49", "kestrel", "49 is outside the allowed range", "a number from 50 to 100 %"},
          Row{"set_limit", "80.5", "kestrel", "80.5 is not whole", "a whole number from 50 to 100 %"},
          Row{"charge_start", "0", "kestrel", "charge_start cannot be switched off",
              "1, on or true; to stop, charge_stop"},
          Row{"wake", "please", "kestrel", "neither on nor off", "on, off, true, false, 1 or 0"},
          Row{"honk", "1", "kestrel", "unknown command \"honk\"",
              "one of charge_start, charge_stop, set_amps, set_limit, wake"},
          Row{"wake", "1", "falcon", "unknown vehicle \"falcon\"", "one of kestrel"},
          Row{"wake", "", "kestrel", "empty payload", "a value; to clear something send clear or auto"}}) {
        CAPTURE(row.payload);
        world.events.clear();
        const auto calls = world.tesla.calls.size();
        world.command(row.word, row.payload, row.alias);
        const auto rejected = world.events_of("command_rejected");
        REQUIRE(rejected.size() == 1);
        CHECK(rejected[0].at("reason") == row.reason);
        CHECK(rejected[0].at("expected") == row.expected);
        CHECK(rejected[0].at("value") == row.payload);
        CHECK(world.tesla.calls.size() == calls);
    }
}

TEST_CASE("service: a retained command is refused") {
    World world;
    world.user->publish(
        {.topic = "twc/vehicle/kestrel/command/charge_start/set", .payload = "1", .retained = true, .qos = 1});
    world.loop.run_for(5s);
    CHECK(world.tesla.count("charge_start") == 1);  // it reached us live

    world.broker.go_down();
    world.broker.go_up();
    world.loop.run_for(5s);
    CHECK(world.events_of("command_rejected").size() == 1);
    CHECK(world.tesla.count("charge_start") == 1);
}

TEST_CASE("service: current as people type it, rounded down, up to the car's own maximum") {
    auto config = usual_config();
    config.vehicles[0].max_amps = 16;
    World world(config);
    world.command("set_amps", " 12.9 a ");
    world.loop.run_for(1s);
    CHECK(world.tesla.amps == 12);

    world.command("set_amps", "17");
    REQUIRE(world.events_of("command_rejected").size() == 1);
    CHECK(world.events_of("command_rejected")[0].at("expected") == "a number from 1 to 16 A");
}

TEST_CASE("service: each command has its outcome as an event and in the state") {
    World world;
    world.command("set_limit", "70 %");
    world.loop.run_for(2s);

    const auto done = world.events_of("command_done");
    REQUIRE(done.size() == 1);
    CHECK(done[0].at("command") == "set_limit");
    CHECK(done[0].at("value") == 70);
    CHECK(done[0].at("attempts") == 1);
    CHECK(world.state().at("charge_limit_pct") == 70);
    CHECK(world.state().at("last_command") == "set_limit 70");
    CHECK(world.state().at("last_error").is_null());
}

TEST_CASE("service: an MQTT 5 response topic gets an answer at once") {
    World world;
    std::vector<messaging::Delivery> replies;
    world.user->subscribe("twc/reply/#", 1, [&](const messaging::Delivery& reply) { replies.push_back(reply); });
    world.user->publish({.topic = "twc/vehicle/kestrel/command/set_amps/set",
                         .payload = "10",
                         .qos = 1,
                         .response_topic = "twc/reply/ann/7",
                         .correlation_data = "x"});
    world.loop.run_for(1s);

    REQUIRE(replies.size() == 1);
    CHECK(json::parse(replies[0].payload).at("result").at("accepted") == "set_amps 10");
    CHECK(replies[0].correlation_data == "x");
}

TEST_CASE("service: what the car refuses is said and kept as last_error until a command succeeds") {
    World world;
    world.tesla.answer_all = http::Response{200, {}, R"({"response":{"result":false,"reason":"disconnected"}})"};
    world.command("charge_start", "1");
    world.loop.run_for(2s);

    const auto failed = world.events_of("command_failed");
    REQUIRE(failed.size() == 1);
    CHECK(failed[0].at("reason") == "the car is not plugged in");
    CHECK(world.state().at("last_error") == "charge_start: the car is not plugged in");
    CHECK(world.state().at("can_command") == true);

    world.tesla.answer_all.reset();
    world.command("set_amps", "10");
    world.loop.run_for(5s);
    CHECK(world.state().at("last_error").is_null());
}

TEST_CASE("service: wrong credentials are said once, block commands and heal by themselves") {
    World world;
    world.tesla.answer_all = http::Response{403, {}, fixture("missing_scope.json")};
    world.command("set_amps", "10");
    world.loop.run_for(2s);
    CHECK(world.state().at("can_command") == false);
    CHECK(world.state().at("last_error").get<std::string>().find("vehicle_charging_cmds") != std::string::npos);
    const auto calls = world.tesla.calls.size();
    for (int i = 0; i < 20; ++i) {
        world.command("set_amps", std::to_string(6 + i));
        world.loop.run_for(10s);
    }
    CHECK(world.tesla.calls.size() - calls <= 1);
    // All but the last, which waits for the next attempt, have had their outcome.
    CHECK(world.events_of("command_failed").size() >= 10);
    CHECK(world.events_of("command_failed").size() + world.events_of("command_replaced").size() == 20);

    world.tesla.answer_all.reset();
    world.loop.run_for(6min);
    world.command("set_amps", "11");
    world.loop.run_for(5s);
    CHECK(world.tesla.amps == 11);
    CHECK(world.state().at("can_command") == true);
}

TEST_CASE("service: a cloud that is away makes the state old, not wrong, and the car unavailable") {
    World world;
    REQUIRE(world.state().at("soc_pct") == 57.0);
    world.tesla.unreachable = true;
    world.loop.run_for(2h);

    CHECK(world.state().at("soc_pct") == 57.0);
    CHECK(world.state().at("age_s").get<double>() > 7000);
    CHECK(world.state().at("can_command") == false);
    CHECK(world.state().at("last_error") == "no answer: https://tesla.example: Couldn't connect to server");
    CHECK(world.broker.retained("twc/vehicle/kestrel/availability") == "offline");

    world.tesla.unreachable = false;
    world.loop.run_for(31min);
    CHECK(world.state().at("can_command") == true);
    CHECK(world.state().at("last_error").is_null());
    CHECK(world.broker.retained("twc/vehicle/kestrel/availability") == "online");
}

TEST_CASE("service: a rate limit of the account stops all cars, one of a car only that car") {
    auto config = usual_config();
    config.vehicles.push_back({.alias = "falcon", .vin = "7SAYGDEE2PF000042"});
    for (const bool whole_account : {true, false}) {
        CAPTURE(whole_account);
        World world(config);
        world.tesla.answer_all = whole_account
                                     ? http::Response{403, {}, fixture("exceeded_limit.json")}
                                     : http::Response{429, {{"retry-after", "900"}}, fixture("rate_limited.json")};
        world.command("set_amps", "10", "kestrel");
        world.loop.run_for(1s);
        world.tesla.answer_all.reset();
        const auto calls = world.tesla.calls.size();
        world.command("set_amps", "9", "falcon");
        world.loop.run_for(14min);
        CHECK((world.tesla.calls.size() == calls) == whole_account);
        world.loop.run_for(2min);
        world.command("set_amps", "9", "falcon");
        world.loop.run_for(5s);
        CHECK(world.tesla.amps == 9);
    }
}

TEST_CASE("service: a sleeping car sleeps on, whatever the day") {
    World world;
    world.tesla.asleep = true;
    world.loop.run_for(30min);
    world.tesla.calls.clear();
    world.loop.run_for(24h);

    CHECK(world.tesla.count("vehicle_data") == 0);
    CHECK(world.tesla.count("wake_up") == 0);
    CHECK(world.tesla.count(vin) <= 145);
    CHECK(world.state().at("sleep_state") == "asleep");
    CHECK(world.broker.retained("twc/vehicle/kestrel/availability") == "online");
}

TEST_CASE("service: the last of many currents reaches the car within the gap") {
    World world;
    for (int second = 0; second < 300; ++second) {
        world.command("set_amps", std::to_string(6 + second % 20));
        world.loop.run_for(900ms);
    }
    world.command("set_amps", "13");
    world.loop.run_for(35s);

    CHECK(world.tesla.amps == 13);
    CHECK(world.tesla.count("set_charging_amps") <= 13);
    CHECK_FALSE(world.events_of("command_replaced").empty());
}

TEST_CASE("service: a repeated order costs one call and has an outcome each time") {
    World world;
    for (int i = 0; i < 10; ++i) {
        world.command("set_amps", "10");
        world.loop.run_for(20s);
    }
    CHECK(world.tesla.count("set_charging_amps") == 1);
    CHECK(world.events_of("command_done").size() == 10);
}

TEST_CASE("service: a car elsewhere gets no commands and its position is asked first") {
    World world;
    world.tesla.latitude = 51;
    world.loop.run_for(21min);
    REQUIRE(world.state().at("at_home") == false);
    world.loop.run_for(5min);
    world.command("charge_start", "1");
    world.loop.run_for(30s);
    CHECK(world.tesla.count("charge_start") == 0);
    CHECK(world.events_of("command_failed").at(0).at("reason") == "the car is not at home");

    world.tesla.latitude = 50.1;
    world.loop.run_for(5min);
    world.command("charge_start", "1");
    world.loop.run_for(30s);
    CHECK(world.tesla.charging_state == "Charging");
}

TEST_CASE("service: an answer that arrives after the service has ended is dropped") {
    World world;
    world.tesla.during_call = [&] { world.bridge.reset(); };
    world.user->publish({.topic = "twc/vehicle/kestrel/command/set_amps/set", .payload = "10", .qos = 1});
    world.loop.run_for(10min);

    CHECK(world.tesla.count("set_charging_amps") == 1);
    CHECK(world.events_of("command_done").empty());
}

TEST_CASE("service: without vehicles it idles and refuses politely") {
    World world(Config{});
    world.loop.run_for(1h);
    CHECK(world.tesla.calls.empty());
    world.command("wake", "1");
    CHECK(world.events_of("command_rejected").at(0).at("expected") == "a vehicle; none is configured");
    CHECK(world.broker.retained("twc/service/tesla-bridge/info").has_value());
}

TEST_CASE("service: metrics count calls") {
    World world;
    world.command("set_amps", "10");
    world.loop.run_for(15s);
    const auto metrics = json::parse(world.broker.retained("twc/service/tesla-bridge/metrics").value());

    CHECK(metrics.at("vehicles") == 1);
    CHECK(metrics.at("reads") == 1);
    CHECK(metrics.at("vehicle_commands_sent") == 1);
    CHECK(metrics.at("wakes") == 0);
}

namespace {

Config teslamate_config(bool with_link) {
    Config config = usual_config();
    config.vehicles[0].has_link = with_link;
    config.vehicles[0].teslamate_car_id = 3;
    return config;
}

void teslamate_says(World& world, const std::string& key, const std::string& payload) {
    world.user->publish({.topic = "teslamate/cars/3/" + key, .payload = payload, .retained = true, .qos = 1});
    world.loop.run_for(1s);
}

}  // namespace

TEST_CASE("TeslaMate: live messages become state with a true age") {
    World world(teslamate_config(false));
    CHECK(world.broker.retained("twc/vehicle/kestrel/availability") == "offline");
    teslamate_says(world, "battery_level", "57");
    teslamate_says(world, "charging_state", "Charging");
    teslamate_says(world, "charger_actual_current", "13");
    teslamate_says(world, "location", R"({"latitude":50.1,"longitude":8.6})");
    teslamate_says(world, "state", "charging");

    auto state = world.state();
    CHECK(state.at("soc_pct") == 57.0);
    CHECK(state.at("charging_state") == "charging");
    CHECK(state.at("plugged") == true);
    CHECK(state.at("charge_amps") == 13.0);
    CHECK(state.at("at_home") == true);
    CHECK(state.at("sleep_state") == "online");
    CHECK(state.at("can_command") == false);
    CHECK(world.broker.retained("twc/vehicle/kestrel/availability") == "online");
    CHECK(world.tesla.calls.empty());

    teslamate_says(world, "charger_actual_current", "");
    CHECK(world.state().at("charge_amps").is_null());
    world.loop.run_for(10min);
    CHECK(world.state().at("age_s").get<double>() > 500);
}

TEST_CASE("TeslaMate: what was stored before we came is shown with an unknown age") {
    World world(Config{});
    world.user->publish({.topic = "teslamate/cars/3/battery_level", .payload = "44", .retained = true, .qos = 1});
    world.loop.run_for(1s);
    world.bridge = std::make_unique<TeslaBridge>(teslamate_config(false), world.environment, world.clients);
    world.loop.run_for(2s);

    CHECK(world.state().at("soc_pct") == 44.0);
    CHECK(world.state().at("age_s").is_null());
    CHECK(world.state().at("updated").is_null());
}

TEST_CASE("TeslaMate: what changed while the broker was away arrives, and what we know better stays") {
    World world(teslamate_config(true));
    REQUIRE(world.state().at("soc_pct") == 57.0);
    teslamate_says(world, "battery_level", "58");
    CHECK(world.state().at("soc_pct") == 58.0);

    const auto away = [&](const std::string& level) {
        world.broker.go_down();
        world.loop.run_for(1s);
        // Someone else's client reconnects first and sends the news.
        auto teslamate = world.broker.connect("teslamate");
        world.broker.go_up();
        teslamate->publish({.topic = "teslamate/cars/3/battery_level", .payload = level, .retained = true, .qos = 1});
        world.loop.run_for(2s);
    };
    away("61");
    CHECK(world.state().at("soc_pct") == 61.0);
}

TEST_CASE("TeslaMate: a stored value never replaces what the car said since") {
    World world(Config{});
    world.user->publish({.topic = "teslamate/cars/3/battery_level", .payload = "44", .retained = true, .qos = 1});
    world.loop.run_for(1s);
    world.bridge = std::make_unique<TeslaBridge>(teslamate_config(true), world.environment, world.clients);
    world.loop.run_for(2s);
    CHECK(world.state().at("soc_pct") == 57.0);

    world.broker.go_down();
    world.broker.go_up();
    world.loop.run_for(2s);
    CHECK(world.state().at("soc_pct") == 44.0);  // it may have changed while we were cut off
}

TEST_CASE("TeslaMate: while it reports, the car is not read as well") {
    World world(teslamate_config(true));
    teslamate_says(world, "charging_state", "Charging");
    const auto reads = world.tesla.count("vehicle_data");
    for (int minute = 0; minute < 60; ++minute) {
        teslamate_says(world, "battery_level", std::to_string(40 + minute % 50));
        world.loop.run_for(59s);
    }
    CHECK(world.tesla.count("vehicle_data") == reads);
    world.loop.run_for(6min);
    CHECK(world.tesla.count("vehicle_data") == reads + 1);
}

TEST_CASE("TeslaMate: nonsense is counted and changes nothing") {
    World world(teslamate_config(false));
    teslamate_says(world, "battery_level", "57");
    for (int i = 0; i < 3; ++i) {
        teslamate_says(world, "battery_level", "full");
        teslamate_says(world, "location", "{{{");
    }
    world.loop.run_for(15s);

    CHECK(world.state().at("soc_pct") == 57.0);
    const auto metrics = json::parse(world.broker.retained("twc/service/tesla-bridge/metrics").value());
    CHECK(metrics.at("teslamate_bad_messages") == 6);
}

TEST_CASE("TeslaMate: a car without a link takes no commands and says why") {
    World world(teslamate_config(false));
    world.command("charge_start", "1");
    CHECK(world.events_of("command_rejected").at(0).at("reason") ==
          "kestrel takes no commands: its only source is TeslaMate");
}
