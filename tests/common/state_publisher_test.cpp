#include "service/state_publisher.hpp"

#include <random>

#include <doctest/doctest.h>

#include "contract/messages.hpp"
#include "support/simulated_service.hpp"

using namespace std::chrono_literals;
using nlohmann::json;

namespace {

struct World {
    support::SimulatedWorld world;
    support::SimulatedService service{world, "ems-bridge"};
    service::StatePublisher publisher =
        service::make_state_publisher<contract::SitePower>(service.environment, "twc/ems/state");

    World() { world.loop.run_for(1ms); }

    void update(double grid_w) {
        contract::SitePower site{.grid_w = grid_w, .quality = "ok"};
        site.ts = world.loop.wall_now();
        publisher.update(site);
    }
    std::size_t count() const { return world.sent_on("twc/ems/state").size(); }
    double last_grid_w() const { return world.last_json("twc/ems/state")["grid_w"].get<double>(); }
};

}  // namespace

TEST_CASE("state publisher: a change is sent at once and retained, in the snapshot and flat") {
    World w;
    w.update(-1840);

    CHECK(w.last_grid_w() == -1840);
    CHECK(w.world.broker.retained("twc/ems/grid_w") == "-1840.0");
    CHECK(w.world.sent_on("twc/ems/pv_w").back().publication.payload.empty());
    CHECK(w.world.sent_on("twc/ems/grid_a/1").back().publication.payload.empty());
    CHECK(w.world.broker.retained("twc/ems/quality") == "ok");
    CHECK(w.world.sent_on("twc/ems/state").back().publication.qos == 0);
}

TEST_CASE("state publisher: at most once a second, and the last change always") {
    World w;
    w.update(100);
    for (int i = 1; i <= 9; ++i) {
        w.world.loop.run_for(100ms);
        w.update(100 + 100 * i);
    }
    CHECK(w.count() == 1);
    w.world.loop.run_for(100ms);
    CHECK(w.count() == 2);
    CHECK(w.last_grid_w() == 1000);
}

TEST_CASE("state publisher: what stays inside the dead band or only tells the time waits for the minute") {
    World w;
    w.update(1000);
    for (int i = 0; i < 59; ++i) {
        w.world.loop.run_for(1s);
        w.update(1000 + (i % 2 == 0 ? 9.9 : -9.9));
    }
    CHECK(w.count() == 1);
    w.world.loop.run_for(1s);
    CHECK(w.count() == 2);
    CHECK(w.last_grid_w() == 1009.9);
    w.world.loop.run_for(60s);
    CHECK(w.count() == 3);
}

TEST_CASE("state publisher: slow drift is not lost in the dead band") {
    World w;
    w.update(1000);
    for (int i = 1; i <= 20; ++i) {
        w.world.loop.run_for(1s);
        w.update(1000 + i);
    }
    CHECK(w.count() == 3);
    CHECK(w.last_grid_w() == 1020);
}

TEST_CASE("state publisher: zero and unknown are news however small the step") {
    World w;
    w.update(5);
    w.world.loop.run_for(2s);
    w.update(0);
    CHECK(w.count() == 2);
    w.world.loop.run_for(2s);
    w.publisher.update(contract::SitePower{.quality = "ok"});
    CHECK(w.count() == 3);
    CHECK_FALSE(w.world.broker.retained("twc/ems/grid_w").has_value());
}

TEST_CASE("state publisher: a change that goes back before its turn is not sent") {
    World w;
    w.update(1000);
    w.world.loop.run_for(100ms);
    w.update(2000);
    w.world.loop.run_for(100ms);
    w.update(1000);
    w.world.loop.run_for(10s);

    CHECK(w.count() == 1);
}

TEST_CASE("state publisher: random changes: never two within a second, and the truth within one") {
    for (unsigned seed = 1; seed <= 5; ++seed) {
        CAPTURE(seed);
        std::mt19937 random(seed);
        World w;
        for (int i = 0; i < 2000; ++i) {
            w.world.loop.run_for(std::chrono::milliseconds(random() % (random() % 10 == 0 ? 5000 : 300)));
            w.update(random() % 3 == 0 ? 0 : static_cast<double>(random() % 2000));
        }
        const auto at_end = w.world.loop.now();
        w.update(12345);
        w.world.loop.run_until(at_end + 1s);
        CHECK(w.last_grid_w() == 12345);
        const auto sent = w.world.sent_on("twc/ems/state");
        REQUIRE(sent.size() > 100);
        for (std::size_t i = 1; i < sent.size(); ++i) {
            REQUIRE(sent[i].at - sent[i - 1].at >= 1s);
            REQUIRE(sent[i].at - sent[i - 1].at <= 60s);
        }
    }
}

TEST_CASE("state publisher: flat values of a list that became shorter go away") {
    World w;
    service::StatePublisher bus(w.service.environment, "twc/bus/state", {});
    bus.update(json{{"chargers", {"7744", "7745"}}, {"more", {{"a", 1}, {"b", 2}}}});
    CHECK(w.world.broker.retained("twc/bus/chargers/2") == "7745");
    w.world.loop.run_for(2s);
    bus.update(json{{"chargers", {"7745"}}, {"more", {{"b", 2}}}});

    CHECK(w.world.broker.retained("twc/bus/chargers/1") == "7745");
    CHECK_FALSE(w.world.broker.retained("twc/bus/chargers/2").has_value());
    CHECK_FALSE(w.world.broker.retained("twc/bus/more/a").has_value());
    CHECK(w.world.broker.retained("twc/bus/more/b") == "2");

    w.world.loop.run_for(2s);
    bus.update(json{{"chargers", {"7745", "7746"}}, {"more", {{"b", 2}}}});
    CHECK(w.world.broker.retained("twc/bus/chargers/2") == "7746");
}

TEST_CASE("state publisher: the key state goes to status, beside the snapshot") {
    World w;
    service::StatePublisher charger(w.service.environment, "twc/charger/7744/state", {});
    charger.update(json{{"state", "charging"}});

    CHECK(w.world.broker.retained("twc/charger/7744/state") == R"({"state":"charging"})");
    CHECK(w.world.broker.retained("twc/charger/7744/status") == "charging");
}

TEST_CASE("state publisher: bytes of a device that are not UTF-8 are published and end nothing") {
    World w;
    service::StatePublisher source(w.service.environment, "twc/ems/source/x/state", {});
    CHECK_NOTHROW(source.update(json{{"error", "HTTP \xff\xfe"}}));

    CHECK(w.world.last_json("twc/ems/source/x/state")["error"] == "HTTP \xef\xbf\xbd\xef\xbf\xbd");
    CHECK(w.world.broker.retained("twc/ems/source/x/error") == "HTTP \xef\xbf\xbd\xef\xbf\xbd");
}

TEST_CASE("state publisher: clear makes the broker forget, and the next state is sent at once") {
    World w;
    w.update(100);
    w.publisher.clear();
    CHECK(w.world.broker.all_retained().empty());
    w.world.loop.run_for(120s);
    CHECK(w.world.broker.all_retained().empty());
    w.update(100);
    CHECK(w.last_grid_w() == 100);
    CHECK(w.world.broker.retained("twc/ems/grid_w") == "100.0");
}

TEST_CASE("state publisher: a list of objects is in the snapshot and on no flat topic") {
    World w;
    auto publisher =
        service::make_state_publisher<contract::TariffState>(w.service.environment, "twc/ems/tariff/state");
    const auto now = w.world.loop.wall_now();

    publisher.update(contract::TariffState{
        .import_price = 0.25, .slots = {{.start = now, .end = now + 1h, .import_price = 0.25}}, .quality = "ok"});
    w.world.loop.run_for(1ms);

    CHECK(w.world.last_json("twc/ems/tariff/state")["slots"].size() == 1);
    CHECK(w.world.broker.retained("twc/ems/tariff/import_price") == "0.25");
    CHECK(w.world.sent_on("twc/ems/tariff/slots/1/import_price").empty());
}

TEST_CASE("state publisher: without flat topics there is only the snapshot") {
    World w;
    w.service.environment.flat_topics = false;
    w.update(100);
    CHECK(w.world.broker.all_retained().size() == 1);
}

TEST_CASE("state publisher: everything is said again after the broker lost it") {
    World w;
    w.update(100);
    w.world.broker.go_down();
    w.world.broker.lose_retained();
    w.world.loop.run_for(2s);
    w.update(200);
    w.world.broker.go_up();

    CHECK(w.last_grid_w() == 200);
    CHECK(w.world.broker.retained("twc/ems/grid_w") == "200.0");
    CHECK(w.world.broker.retained("twc/ems/quality") == "ok");
}
