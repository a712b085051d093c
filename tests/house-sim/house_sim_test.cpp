#include "house-sim/house_sim.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "bytes.hpp"
#include "messaging/in_memory_broker.hpp"
#include "scheduling/simulated_loop.hpp"

namespace house_sim {

namespace {

using namespace std::chrono_literals;
using nlohmann::json;

Config sunny() {
    Config config;
    config.site.house.sky = Sky::clear;
    config.site.house.appliances = false;
    config.site.units = {{}};
    config.site.cars = {{.name = "kestrel", .vin = "LRW3E7EK0NC000777"}};
    config.publish.teslamate = "teslamate";
    return config;
}

// The service in virtual time, with a broker in memory.
struct World {
    explicit World(Config config = sunny()) : house(std::make_unique<HouseSim>(std::move(config), environment)) {
        house->on_line_output([this](std::span<const std::uint8_t> heard) {
            for (const auto byte : heard) {
                if (const auto message = reader.add(byte)) {
                    messages.push_back({loop.now(), *message});
                }
            }
        });
        person->subscribe("twc/service/house-sim/event", 1,
                          [this](const messaging::Delivery& event) { events.push_back(json::parse(event.payload)); });
        loop.run_for(100ms);  // everyone is connected
    }

    void say(const std::string& what, const std::string& payload) {
        person->publish({.topic = "twc/house-sim/" + what + "/set", .payload = payload, .qos = 1});
        loop.run_for(200ms);
    }
    json state() const { return json::parse(broker.retained("twc/house-sim/state").value()); }

    struct Heard {
        scheduling::Instant at;
        Bytes message;
    };

    scheduling::SimulatedLoop loop;
    scheduling::SimulatedWorkerFactory workers{loop};
    messaging::InMemoryBroker broker{loop};
    std::unique_ptr<messaging::InMemoryClient> bus = broker.connect("house-sim");
    std::unique_ptr<messaging::InMemoryClient> person = broker.connect("person");
    service::Environment environment{loop, workers, *bus, contract::Topics("twc"), "house-sim"};
    SegmentReader reader;
    std::vector<Heard> messages;
    std::vector<json> events;
    std::unique_ptr<HouseSim> house;
};

}  // namespace

TEST_CASE("service: units announce themselves on the line and answer in time") {
    World world;
    world.loop.run_for(25s);
    REQUIRE(world.messages.size() >= 2);
    CHECK(world.messages[0].message[1] == 0xE2);
    CHECK(world.messages[1].at - world.messages[0].at > 9s);

    world.messages.clear();
    const auto asked = world.loop.now();
    world.house->transmit(to_wire(bytes("FB E0 77 77 77 44 00 00 00 00 00 00 00 00 00")));
    world.loop.run_for(1s);
    REQUIRE(world.messages.size() == 1);
    CHECK(world.messages[0].message[1] == 0xE0);
    CHECK(world.messages[0].at - asked > 40ms);
    CHECK(world.messages[0].at - asked < 200ms);
}

TEST_CASE("service: the truth is published and moves") {
    World world;
    world.loop.run_for(2s);
    CHECK(world.state()["units"][0]["id"] == "7744");
    CHECK(world.state()["battery_soc_pct"].is_null());
    const double before_w = world.state()["grid_w"].get<double>();

    world.say("load_w", "3000 60");
    world.loop.run_for(2s);

    CHECK(world.state()["grid_w"].get<double>() - before_w == doctest::Approx(3000).epsilon(0.05));
    const auto truth = json::parse(world.house->truth({.url = "/house.json"}).body);
    CHECK(truth["load_w"].get<double>() == doctest::Approx(world.state()["load_w"].get<double>()).epsilon(0.02));
    CHECK(world.house->truth({.url = "/other"}).status == 404);
}

TEST_CASE("service: live commands plug cars, move clouds and break devices") {
    World world;
    world.say("plug", "7744 on");
    CHECK(world.house->site().cars()[0].plugged());
    world.say("plug", "7744 off");
    CHECK_FALSE(world.house->site().cars()[0].plugged());
    world.say("cloud", "0.2 30");
    world.loop.run_for(15s);
    CHECK(world.state()["cloud_factor"] == 0.2);
    world.say("fault", "modbus error 5");
    CHECK(world.house->site().fault(Device::modbus) == Fault::error);
    CHECK(world.events.empty());
}

TEST_CASE("service: bad commands are refused visibly and change nothing") {
    World world;
    const std::pair<const char*, const char*> cases[] = {
        {"cloud", "dark"},     {"cloud", "2"},      {"cloud", "0.5 0"},        {"load_w", "-5"},
        {"load_w", "1 2 3"},   {"plug", "7744"},    {"plug", "7745 on"},       {"plug", "7744 maybe"},
        {"plug", "7744 on x"}, {"fault", "modbus"}, {"fault", "modbus melts"}, {"fault", "modbus error -1"},
        {"paint", "blue"},
    };
    for (const auto& one : cases) {
        const auto* what = one.first;
        const auto* payload = one.second;
        CAPTURE(std::string(what));
        CAPTURE(std::string(payload));
        world.events.clear();
        world.say(what, payload);
        REQUIRE(world.events.size() == 1);
        CHECK(world.events[0]["event_type"] == "command_rejected");
        CHECK_FALSE(world.events[0]["expected"].get<std::string>().empty());
    }
    CHECK_FALSE(world.house->site().cars()[0].plugged());
    CHECK(world.house->site().fault(Device::modbus) == Fault::none);
}

TEST_CASE("service: TeslaMate's topics are retained, change-only and without a VIN") {
    World world;
    world.loop.run_for(3s);
    CHECK(world.broker.retained("teslamate/cars/1/plugged_in") == "false");
    CHECK(world.broker.retained("teslamate/cars/1/charging_state") == "Disconnected");
    int repeats = 0;
    world.broker.tap([&](const std::string&, const messaging::Publication& publication) {
        repeats += publication.topic.starts_with("teslamate/") ? 1 : 0;
    });
    world.loop.run_for(10s);
    CHECK(repeats == 0);

    world.say("plug", "7744 on");
    world.loop.run_for(2s);
    CHECK(world.broker.retained("teslamate/cars/1/plugged_in") == "true");
    for (const auto& [topic, payload] : world.broker.all_retained()) {
        CHECK_FALSE((topic.starts_with("teslamate/") && payload.find("LRW3") != std::string::npos));
    }
}

TEST_CASE("service: meter values are pushed at their pace, not retained") {
    auto config = sunny();
    config.publish.push_every = 500ms;
    World world(config);
    int pushed = 0;
    double grid_w = 0;
    world.person->subscribe("twc/ems/input/grid_power/set", 0, [&](const messaging::Delivery& message) {
        ++pushed;
        grid_w = std::stod(message.payload);
        CHECK_FALSE(message.retained);
    });
    world.loop.run_for(10s);

    CHECK(pushed == 20);
    CHECK(grid_w == doctest::Approx(world.house->site().house().flow().grid_w).epsilon(0.01));
}

TEST_CASE("service: it can be destroyed while the loop lives on") {
    World world;
    world.loop.run_for(5s);
    world.house.reset();
    CHECK_NOTHROW(world.loop.run_for(60s));
}

}  // namespace house_sim
