#include "live-view/board.hpp"

#include <doctest/doctest.h>

#include "messaging/in_memory_broker.hpp"
#include "scheduling/simulated_loop.hpp"

using namespace live_view;

namespace {

using namespace std::chrono_literals;

const scheduling::WallTime start{1'772'000'000s};

struct World {
    scheduling::SimulatedLoop loop{start};
    messaging::InMemoryBroker broker{loop};
    std::unique_ptr<messaging::InMemoryClient> writer = broker.connect("writer");
    std::unique_ptr<messaging::InMemoryClient> reader = broker.connect("reader");
    Board board{contract::Topics("twc"), "broker:1883"};

    World() { loop.run_for(1s); }

    void look() {
        for (const auto& filter : board.filters()) {
            reader->subscribe(filter, 0, [this](const messaging::Delivery& delivery) {
                board.take(delivery, loop.now(), loop.wall_now());
            });
        }
        loop.run_for(1ms);
    }

    void say(const std::string& topic, const std::string& payload) {
        writer->publish({.topic = topic, .payload = payload, .retained = true});
        loop.run_for(1ms);
    }

    std::string charger_state(double current_a) const {
        return contract::to_json(
                   contract::ChargerState{.ts = loop.wall_now(), .state = "charging", .current_a = current_a})
            .dump();
    }

    Model model() const { return board.model(loop.now(), loop.wall_now()); }
};

}  // namespace

TEST_CASE("board: states are kept by their id with their age") {
    World world;
    world.look();

    world.say("twc/charger/7744/state", world.charger_state(9.5));
    world.say("twc/charger/7744/availability", "online");
    world.say("twc/service/twc-bus/status", "offline");
    world.say("twc/policy/state", R"({"mode":"solar","reason":"sun","allocated_a":10})");
    world.loop.run_for(5s);

    const auto model = world.model();
    REQUIRE(model.chargers.count("7744") == 1);
    CHECK(model.chargers.at("7744").state->value.current_a == 9.5);
    CHECK(model.chargers.at("7744").state->age_s == doctest::Approx(5).epsilon(0.01));
    CHECK(model.chargers.at("7744").online == true);
    CHECK(model.services.at("twc-bus") == false);
    CHECK(model.policy->value.mode == "solar");
    CHECK(!model.site);
}

TEST_CASE("board: what waited in the broker is as old as its time stamp says") {
    World world;
    world.say("twc/charger/7744/state", world.charger_state(9.5));
    world.loop.run_for(10min);

    world.look();

    CHECK(world.model().chargers.at("7744").state->age_s == doctest::Approx(600).epsilon(0.01));
}

TEST_CASE("board: a payload that breaks the contract changes nothing and is named") {
    World world;
    world.look();
    world.say("twc/charger/7744/state", world.charger_state(9.5));

    world.say("twc/charger/7744/state", R"({"state":"charging","current_a":"many"})");
    CHECK(world.model().chargers.at("7744").state->value.current_a == 9.5);
    CHECK(world.model().problem.starts_with("twc/charger/7744/state: current_a: got \"many\""));

    world.say("twc/service/twc-bus/status", "perhaps");
    CHECK(world.model().services.empty());
    CHECK(world.model().problem == "twc/service/twc-bus/status: payload: expected online or offline");
}

TEST_CASE("board: an empty retained payload takes a state back") {
    World world;
    world.look();
    world.say("twc/vehicle/modely/state", R"({"can_command":true,"soc_pct":54})");
    REQUIRE(world.model().vehicles.size() == 1);

    world.say("twc/vehicle/modely/state", "");

    CHECK(world.model().vehicles.empty());
    CHECK(world.model().problem.empty());
}

TEST_CASE("board: flat topics and foreign topics are not looked at") {
    World world;
    world.look();

    world.say("twc/charger/7744/current_a", "9.5");
    world.board.take(
        {.topic = "other/charger/7744/state", .payload = "x", .response_topic = "", .correlation_data = ""},
        world.loop.now(), world.loop.wall_now());

    CHECK(world.model().chargers.empty());
    CHECK(world.model().problem.empty());
}
