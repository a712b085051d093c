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
