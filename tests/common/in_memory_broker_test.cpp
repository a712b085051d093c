#include "messaging/in_memory_broker.hpp"

#include <doctest/doctest.h>

#include "scheduling/simulated_loop.hpp"

using namespace messaging;
using namespace std::chrono_literals;

namespace {

struct World {
    scheduling::SimulatedLoop loop;
    InMemoryBroker broker{loop};
    std::unique_ptr<InMemoryClient> sender = broker.connect("sender");
    std::unique_ptr<InMemoryClient> receiver = broker.connect("receiver");
    std::vector<std::string> got;

    World() {
        loop.run_for(1ms);
        receiver->subscribe("t/#", 1, [this](const Delivery& delivery) {
            got.push_back(delivery.topic + "=" + delivery.payload + (delivery.retained ? " (retained)" : ""));
        });
    }
    std::vector<std::string> received() {
        loop.run_for(1ms);
        return std::exchange(got, {});
    }
};

using Texts = std::vector<std::string>;

}  // namespace

TEST_CASE("in-memory broker: delivers in order, through the loop") {
    World world;
    world.sender->publish({.topic = "t/1", .payload = "a"});
    world.sender->publish({.topic = "u/1", .payload = "x"});
    world.sender->publish({.topic = "t/2", .payload = "b", .retained = true});

    CHECK(world.got.empty());
    CHECK(world.received() == Texts{"t/1=a", "t/2=b"});
}

TEST_CASE("in-memory broker: keeps retained messages until they are emptied or expire") {
    World world;
    world.sender->publish({.topic = "t/1", .payload = "a", .retained = true});
    world.sender->publish({.topic = "t/2", .payload = "b", .retained = true, .expires_after = 10s});
    world.loop.run_for(9s);
    CHECK(world.broker.all_retained().size() == 2);

    world.loop.run_for(2s);
    world.sender->publish({.topic = "t/3", .payload = "c", .retained = true});
    world.sender->publish({.topic = "t/3", .payload = "", .retained = true});
    world.received();
    auto late = world.broker.connect("late");
    Texts got;
    late->subscribe("t/+", 0, [&](const Delivery& d) { got.push_back(d.payload + (d.retained ? "r" : "")); });
    world.loop.run_for(1ms);

    CHECK(got == Texts{"ar"});
    CHECK_FALSE(world.broker.retained("t/2").has_value());
    CHECK_FALSE(world.broker.retained("t/3").has_value());
}

TEST_CASE("in-memory broker: a client that vanishes leaves its will, one that says goodbye does not") {
    World world;
    const Publication will{.topic = "t/status", .payload = "offline", .retained = true, .qos = 1};
    auto killed = world.broker.connect("killed", will);
    auto ended = world.broker.connect("ended", Publication{.topic = "t/other", .payload = "offline"});
    world.loop.run_for(1ms);

    ended->disconnect();
    ended.reset();
    CHECK(world.received().empty());

    killed.reset();
    CHECK(world.received() == Texts{"t/status=offline"});
}

TEST_CASE("in-memory broker: after an outage a client says again what must be known and what waited") {
    World world;
    world.sender->publish({.topic = "t/state", .payload = "1", .retained = true});
    world.received();

    world.broker.go_down();
    world.sender->publish({.topic = "t/state", .payload = "2", .retained = true});
    world.sender->publish({.topic = "t/event", .payload = "e", .qos = 1});
    world.sender->publish({.topic = "t/sample", .payload = "s"});
    world.sender->publish({.topic = "t/limit", .payload = "l", .qos = 1, .expires_after = 30s});
    CHECK_FALSE(world.sender->connected());
    CHECK(world.received().empty());
    world.broker.lose_retained();
    world.broker.go_up();

    CHECK(world.received() == Texts{"t/state=2", "t/event=e"});
    CHECK(world.broker.retained("t/state") == "2");
    CHECK(world.sender->statistics().dropped == 2);
    CHECK(world.sender->statistics().connection_losses == 1);
}

TEST_CASE("in-memory broker: what waits for the broker is bounded and the oldest go first") {
    World world;
    world.broker.go_down();
    for (int i = 0; i < 250; ++i) {
        world.sender->publish({.topic = "t/event", .payload = std::to_string(i), .qos = 1});
    }
    world.broker.go_up();

    const auto got = world.received();
    REQUIRE(got.size() == max_waiting_publications);
    CHECK(got.front() == "t/event=50");
    CHECK(got.back() == "t/event=249");
}

TEST_CASE("in-memory broker: a handler may destroy another client or add a handler") {
    World world;
    world.sender->on_connection_change([&](bool) {
        world.receiver.reset();
        world.sender->on_connection_change([](bool) {});
    });

    world.broker.go_down();
    world.broker.go_up();

    CHECK(world.receiver == nullptr);
    CHECK(world.sender->connected());
}

TEST_CASE("in-memory broker: a topic or filter that MQTT does not know is a bug of the caller") {
    World world;
    CHECK_THROWS_AS(world.sender->publish({.topic = "t/+", .payload = ""}), std::invalid_argument);
    CHECK_THROWS_AS(world.sender->publish({.topic = "", .payload = ""}), std::invalid_argument);
    CHECK_THROWS_AS(world.sender->subscribe("t/#/x", 0, [](const Delivery&) {}), std::invalid_argument);
}
