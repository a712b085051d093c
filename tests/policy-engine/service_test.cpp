#include <algorithm>
#include <fstream>

#include <doctest/doctest.h>

#include "world.hpp"

using namespace std::chrono_literals;

TEST_CASE("service: surplus becomes amps end to end, and a falling surplus lowers them at once") {
    World world;
    world.live(3700, 40);
    CHECK(world.limit() == 16);
    CHECK(world.reason_code() == "surplus");
    CHECK(world.retained("twc/policy/state").at("surplus_w").get<double>() == doctest::Approx(3700));

    const auto before = world.published.size();
    world.grid(1150);
    CHECK(world.limit() == 11);
    CHECK(world.published.size() > before);

    world.live(6000, 40);
    CHECK(world.limit() == 26);
}

TEST_CASE("service: the limit is a lease that is renewed with a rising number") {
    World world;
    world.hold(500, {{"7744", 0}}, 60);

    const auto sent = world.sent_to("twc/bus/limit/set");
    REQUIRE(sent.size() >= 8);
    std::int64_t last = 0;
    for (const auto& publication : sent) {
        const auto message = contract::from_text<contract::LimitSet>(publication.payload);
        CHECK(message.ttl_s == 20);
        CHECK(message.seq > last);
        last = message.seq;
        CHECK_FALSE(publication.retained);
        CHECK(publication.qos == 1);
        CHECK(publication.expires_after == 20s);
    }

    world.stop();
    world.start();
    world.hold(500, {{"7744", 0}}, 2);
    CHECK(contract::from_text<contract::LimitSet>(world.sent_to("twc/bus/limit/set").back().payload).seq > last);
}

TEST_CASE("service: silent measurements are held, then reduced to the minimum, then the charge ends") {
    World world;
    world.live(3700, 40);
    REQUIRE(world.limit() == 16);

    const auto charger_only = [&](int seconds, double amps) {
        for (int i = 0; i < seconds; ++i) {
            world.charger("7744", amps);
            world.loop.run_for(999ms);
        }
    };
    charger_only(60, 16);
    CHECK(world.limit() == 16);
    CHECK(world.reason_code() == "stale_hold");
    charger_only(40, 16);
    CHECK(world.limit() == 6);
    CHECK(world.reason_code() == "stale_minimum");
    charger_only(220, 6);
    CHECK(world.limit() == 0);
    CHECK(world.reason_code() == "stop_without_vehicle");
    charger_only(5, 0);
    CHECK(world.reason_code() == "stale_stop");
}

TEST_CASE("service: a loss that ems-bridge announces leads to the minimum sooner") {
    World world;
    world.live(3700, 40);
    world.send("twc/service/ems-bridge/status", "offline", true);
    for (int i = 0; i < 35; ++i) {
        world.charger("7744", 16);
        world.loop.run_for(999ms);
    }
    CHECK(world.limit() == 6);
}
