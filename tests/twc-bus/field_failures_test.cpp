// What went wrong in the field with programs that do such work, each with the tracker's number, as far as it concerns
// the bus: none of it may happen here.

#include <doctest/doctest.h>

#include "rig.hpp"
#include "service_rig.hpp"

using namespace std::chrono_literals;
using namespace twc_bus;
using nlohmann::json;
using rig::Rig;
using service_rig::World;

namespace {

/// The house's own phase currents, + import.
void meter(World& world, std::array<std::optional<double>, 3> grid_a) {
    contract::SitePower site;
    site.grid_a = grid_a;
    site.quality = "ok";
    site.age_s = 0;
    world.send("twc/ems/state", contract::to_json(site).dump());
}

/// A car at 16 A in a house with a fuse of 25 A.
struct FusedHouse {
    FusedHouse() {
        world.config.house_fuse_ca = 2500;
        world.start();
        slave.plug_in();
        pass(40s, 0);
    }
    /// With the limits renewed and the meter read every second.
    void pass(std::chrono::seconds duration, std::optional<double> house_a) {
        for (auto passed = 0s; passed < duration; passed += 1s) {
            world.lease({{"7744", 16}});
            const double drawn_a = slave.drawn_ca / 100.0;
            meter(world, {house_a ? std::optional(*house_a + drawn_a) : std::nullopt, {}, {}});
            world.loop.run_for(1s);
        }
    }

    World world;
    slave_model::Slave& slave = world.line.add({.id = 0x7744});
};

}  // namespace

TEST_CASE("field failure evcc 14248: the grid meter is gone, and the current does not stay as it was") {
    FusedHouse house;
    REQUIRE(house.slave.limit_ca == 1600);
    house.world.run_with_lease({{"7744", 16}}, 75s);  // no meter any more
    CHECK(house.slave.limit_ca == 600);
    CHECK(house.world.state().reason.find("no phase currents of the house") == 0);
}

TEST_CASE("field failure evcc 22839: phase currents that cannot be read never raise anything") {
    FusedHouse house;
    house.pass(20s, 18);
    REQUIRE(house.slave.limit_ca == 700);
    house.pass(120s, std::nullopt);
    CHECK(house.slave.limit_ca <= 700);
}

TEST_CASE("field failure evcc 15736: a stored value of the meter is no sample, a stored limit no command") {
    World world;
    world.config.house_fuse_ca = 2500;
    auto& slave = world.line.add({.id = 0x7744});
    slave.plug_in();
    contract::SitePower site;
    site.grid_a = {0.0, std::nullopt, std::nullopt};
    site.quality = "ok";
    world.send("twc/ems/state", contract::to_json(site).dump(), true);
    world.send("twc/bus/limit/set", R"({"ttl_s":600,"seq":1,"chargers":{"7744":16}})", true);
    world.start();
    world.loop.run_for(120s);
    CHECK(slave.limit_ca <= 600);
}

TEST_CASE(
    "field failures evcc 30301 and SmartEVSE 117: switching off works at any time, also in the middle of a start") {
    for (int second = 1; second < 40; second += 3) {
        CAPTURE(second);
        World world;
        auto& slave = world.line.add({.id = 0x7744, .protocol = 1});
        slave.plug_in();
        world.start();
        for (int i = 0; i < second; ++i) {
            world.lease({{"7744", 16}});
            world.loop.run_for(1s);
        }
        world.lease({{"7744", 0}});
        world.loop.run_for(3s);
        CHECK(slave.limit_ca == 0);
        CHECK(slave.drawn_ca == 0);
    }
}

TEST_CASE("field failure evcc 9948: an answer that comes late does not bring back what was taken away") {
    Rig rig(rig::settings());
    auto& slave = rig.add({.id = 0x7744, .protocol = 1});
    slave.plug_in();
    rig.wishes[0x7744] = 1600;
    rig.run_for(30s);
    rig.faults.late = 0.5;
    rig.faults.repeated = 0.5;
    rig.wishes[0x7744] = 0;
    rig.run_for(2s);
    for (int i = 0; i < 60; ++i) {
        rig.run_for(1s);
        REQUIRE(slave.limit_ca == 0);
    }
}

TEST_CASE("field failure openWB 3968: what was kept for a unit that is gone is given to the others") {
    Rig rig(rig::settings(32));
    auto& gone = rig.add({.id = 0x7744});
    auto& stays = rig.add({.id = 0x7745});
    gone.plug_in();
    stays.plug_in();
    rig.wishes = {{0x7744, 3200}, {0x7745, 3200}};
    rig.run_for(60s);
    REQUIRE(stays.limit_ca == 1600);
    gone.deaf = true;
    rig.run_for(90s);
    CHECK(stays.limit_ca == 3200);
}

TEST_CASE("field failure openWB 2487: a pause does not change which conductors a charger counts on") {
    auto limits = rig::settings(20);
    limits.limits.lines = {{0x7744, {true, true, true}}, {0x7745, {true, false, false}}};
    Rig rig(limits);
    auto& three = rig.add({.id = 0x7744, .protocol = 1});
    auto& one = rig.add({.id = 0x7745, .protocol = 1});
    three.plug_in();
    one.plug_in();
    rig.wishes = {{0x7744, 2000}, {0x7745, 2000}};
    rig.run_for(60s);
    for (int pause = 0; pause < 3; ++pause) {
        rig.wishes[0x7744] = 0;
        rig.run_for(30s);
        rig.wishes[0x7744] = 2000;
        for (int i = 0; i < 60; ++i) {
            rig.run_for(1s);
            REQUIRE(rig.may_draw_ca() <= 2000);  // both load L1
        }
        CHECK(three.limit_ca == 1000);
        CHECK(one.limit_ca == 1000);
    }
}

TEST_CASE("field failure SmartEVSE 224: the house fuse holds although whoever decides asks for more") {
    FusedHouse house;
    house.world.lease({{"7744", 16}});
    meter(house.world, {16.0 + 14.0, {}, {}});
    house.world.loop.run_for(900ms);
    CHECK(house.slave.limit_ca <= 1100);
}

TEST_CASE("field failure SmartEVSE 116: a stop outlives a restart") {
    World world;
    auto& slave = world.line.add({.id = 0x7744, .protocol = 1});
    slave.plug_in();
    world.start();
    world.run_with_lease({{"7744", 16}}, 30s);
    world.send("twc/bus/estop/set", "stop");
    world.loop.run_for(5s);
    world.stop();
    world.start();
    world.run_with_lease({{"7744", 16}}, 120s);
    CHECK(slave.limit_ca == 0);
    CHECK(world.state().estop);
}

TEST_CASE("field failure TWCManager 453: questions that are never answered starve no heartbeat") {
    Rig rig(rig::settings(96));
    for (std::uint16_t id = 0x7744; id < 0x7747; ++id) {
        rig.add({.id = id, .answer_delay = 200ms}).plug_in();
        rig.wishes[id] = 1000;
    }
    rig.run_for(30s);
    for (auto& slave : rig.slaves) {
        slave->heartbeats.clear();
    }
    rig.run_for(300s);
    for (const auto& slave : rig.slaves) {
        CHECK(slave->heartbeats.size() >= 280);
    }
}

TEST_CASE(
    "field failures TWCManager 250, 365 and 461: a unit and an adapter that come back are linked again, each time") {
    World world;
    auto& slave = world.line.add({.id = 0x7744});
    slave.plug_in();
    world.start();
    for (int time = 0; time < 3; ++time) {
        CAPTURE(time);
        world.run_with_lease({{"7744", 16}}, 40s);
        CHECK(slave.drawn_ca == 1600);
        if (time == 1) {
            slave.deaf = true;
            world.run_with_lease({{"7744", 16}}, 90s);
            slave.deaf = false;
        } else {
            world.line.unplug_adapter();
            world.run_with_lease({{"7744", 16}}, 40s);
            CHECK(slave.drawn_ca == 0);
            CHECK(world.state().link == "down");
            world.line.plug_adapter();
        }
    }
    world.run_with_lease({{"7744", 16}}, 60s);
    CHECK(slave.drawn_ca == 1600);
}

TEST_CASE("field failure TWCManager 361: a unit that is not heard does not look alive") {
    World world;
    auto& slave = world.line.add({.id = 0x7744});
    slave.plug_in();
    world.start();
    world.run_with_lease({{"7744", 16}}, 40s);
    slave.mute = true;
    world.run_with_lease({{"7744", 16}}, 30s);
    CHECK(*world.broker.retained("twc/charger/7744/availability") == "offline");
    CHECK(world.charger("7744").fault == "does not answer");
    CHECK_FALSE(world.charger("7744").current_a);
}

TEST_CASE("field failure esphome-twc 7: after a pause a car is not left at 6 A") {
    for (const int protocol : {1, 2}) {
        CAPTURE(protocol);
        Rig rig(rig::settings());
        auto& slave = rig.add({.id = 0x7744, .protocol = protocol});
        slave.plug_in();
        rig.wishes[0x7744] = 1600;
        rig.run_for(40s);
        slave.limit_ca = 600;  // the unit falls back by itself when the car pauses, and stays in state 08
        slave.state = 0x08;
        slave.drawn_ca = 0;
        rig.run_for(10s);
        CHECK(slave.limit_ca == 1600);
    }
}

TEST_CASE("field failure esphome-twc: a limit is not lost with one lost frame") {
    for (unsigned seed = 0; seed < 20; ++seed) {
        CAPTURE(seed);
        Rig rig(rig::settings(), {}, seed);
        auto& slave = rig.add({.id = 0x7744});
        slave.plug_in();
        rig.wishes[0x7744] = 1600;
        rig.run_for(40s);
        rig.faults.lost_to_slave = 0.5;
        rig.faults.lost_from_slave = 0.5;
        rig.wishes[0x7744] = 1000;
        rig.run_for(20s);
        CHECK(slave.limit_ca == 1000);
    }
}

TEST_CASE("field failure EVerest 2546: a clean end leaves no charger online") {
    World world;
    world.line.add({.id = 0x7744}).plug_in();
    world.start();
    world.run_with_lease({{"7744", 16}}, 40s);
    REQUIRE(*world.broker.retained("twc/charger/7744/availability") == "online");
    world.stop();
    CHECK(*world.broker.retained("twc/charger/7744/availability") == "offline");
}

TEST_CASE("field failure everest-demo 51: a lease that ran out is told with its reason") {
    World world;
    auto& slave = world.line.add({.id = 0x7744});
    slave.plug_in();
    world.start();
    world.run_with_lease({{"7744", 16}}, 30s);
    world.loop.run_for(60s);
    CHECK(world.state().failsafe);
    CHECK(world.state().reason == "limits not renewed in time: at most 6 A each");
    CHECK(world.events("twc/service/twc-bus/event", "failsafe").size() == 1);
    CHECK(slave.limit_ca == 600);
}

TEST_CASE("field failure OpenEVSE 274: volts no mains has count nothing") {
    World world;
    auto& slave = world.line.add({.id = 0x7744});
    slave.plug_in();
    slave.volts = {65535, 65535, 65535};
    world.start();
    world.run_with_lease({{"7744", 16}}, 60s);
    CHECK(*world.charger("7744").power_w <= 16 * 300 * 3);
    CHECK(*world.charger("7744").energy_kwh < 0.3);
}

TEST_CASE("field failure wbec 1: however often limits change, a contactor rests between two closings") {
    auto settings = rig::settings();
    settings.restart_pause = 60s;
    Rig rig(settings);
    auto& slave = rig.add({.id = 0x7744, .protocol = 1});
    slave.plug_in();
    int closings = 0;
    bool was_drawing = false;
    for (int i = 0; i < 540; ++i) {
        rig.wishes[0x7744] = i % 20 < 10 ? 1600 : 0;
        rig.run_for(1s);
        closings += slave.drawn_ca > 0 && !was_drawing ? 1 : 0;
        was_drawing = slave.drawn_ca > 0;
    }
    CHECK(closings <= 8);
}
