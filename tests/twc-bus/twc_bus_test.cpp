#include <fstream>

#include <doctest/doctest.h>

#include "service_rig.hpp"

using namespace std::chrono_literals;
using nlohmann::json;
using service_rig::World;
using slave_model::Line;

TEST_CASE("twc-bus: finds a charger, gives it what policy-engine allows and publishes what it does") {
    for (const int protocol : {1, 2}) {
        CAPTURE(protocol);
        World world;
        auto& slave = world.line.add({.id = 0x7744, .protocol = protocol});
        slave.plug_in();
        world.start();
        world.loop.run_for(15s);
        CHECK(world.state().chargers == std::vector<std::string>{"7744"});
        CHECK(*world.broker.retained("twc/charger/7744/availability") == "online");

        world.run_with_lease({{"7744", 16}}, 30s);

        CHECK(slave.limit_ca == 1600);
        const auto state = world.charger("7744");
        CHECK(state.state == "charging");
        CHECK(state.charging == true);
        CHECK(state.plugged == true);
        CHECK(state.limit_a == 16);
        CHECK(state.granted_a == 16);
        CHECK(state.current_a == 16);
        CHECK(state.power_w == doctest::Approx(230 * 16));
        CHECK(state.protocol == protocol);
        CHECK(state.max_a == 32);
        CHECK(world.state().granted_a == 16);
        CHECK(world.state().drawn_a == 16);
        CHECK(world.state().link == "ok");
        CHECK_FALSE(world.state().failsafe);
        CHECK(world.events("twc/charger/7744/event", "plugged").size() == 1);
        CHECK(world.events("twc/charger/7744/event", "session_started").size() == 1);
        CHECK(*world.broker.retained("twc/charger/7744/current_a") == "16.0");
    }
}

TEST_CASE("twc-bus: a lapsed lease steps down to the fail-safe, heartbeats go on, a new lease recovers") {
    World world(64);
    auto& first = world.line.add({.id = 0x7744});
    auto& second = world.line.add({.id = 0x7745});
    first.plug_in();
    second.plug_in();
    second.protocol = 1;
    world.start();
    world.run_with_lease({{"7744", 20}, {"7745", 0}}, 40s);
    REQUIRE(first.limit_ca == 2000);

    world.loop.run_for(31s);

    CHECK(first.limit_ca == 600);
    CHECK(second.limit_ca == 0);
    CHECK(world.state().failsafe);
    CHECK(world.state().reason == "limits not renewed in time: at most 6 A each");
    CHECK_FALSE(world.state().lease_s);
    CHECK(world.events("twc/service/twc-bus/event", "failsafe").size() == 1);
    const auto heard = first.heartbeats.size();
    world.loop.run_for(60s);
    CHECK(first.heartbeats.size() >= heard + 55);
    CHECK(first.state == 0x01);

    world.run_with_lease({{"7744", 20}, {"7745", 10}}, 20s);
    CHECK(first.limit_ca == 2000);
    CHECK(second.limit_ca == 1000);
    CHECK_FALSE(world.state().failsafe);
}

TEST_CASE("twc-bus: a charger the lease does not name gets nothing") {
    World world(64);
    auto& first = world.line.add({.id = 0x7744});
    auto& second = world.line.add({.id = 0x7745, .protocol = 1});
    first.plug_in();
    second.plug_in();
    world.start();
    world.run_with_lease({{"7744", 10}, {"7745", 10}}, 30s);
    REQUIRE(second.limit_ca == 1000);

    world.run_with_lease({{"7744", 10}}, 5s);

    CHECK(first.limit_ca == 1000);
    CHECK(second.limit_ca == 0);
}

TEST_CASE("twc-bus: a changed limit is on the wire within 50 ms in the median") {
    World world(96);
    for (const auto id : {std::uint16_t{0x7744}, std::uint16_t{0x7745}, std::uint16_t{0x7746}}) {
        world.line.add({.id = id}).plug_in();
    }
    world.start();
    world.run_with_lease({{"7744", 10}, {"7745", 10}, {"7746", 10}}, 60s);

    std::vector<double> delays_ms;
    for (int i = 0; i < 60; ++i) {
        world.loop.run_for(1700ms + std::chrono::milliseconds(37 * i % 1000));
        const auto before = world.loop.now();
        const int amps = 10 + 1 + i % 3;
        world.lease({{"7744", amps}, {"7745", 10}, {"7746", 10}});
        world.loop.run_for(1s);
        for (const auto& [at, body] : world.line.sent) {
            if (at >= before && body[1] == 0xE0 && ((body[7] << 8) | body[8]) == amps * 100) {
                delays_ms.push_back(std::chrono::duration<double, std::milli>(at - before).count());
                break;
            }
        }
    }
    std::ranges::sort(delays_ms);
    REQUIRE(delays_ms.size() == 60);
    CHECK(delays_ms[30] < 50);
    CHECK(delays_ms[59] < 250);
}

TEST_CASE("twc-bus: a value above the hard limit is cut and said once") {
    World world(64);
    auto& slave = world.line.add({.id = 0x7744});
    slave.plug_in();
    world.start();
    world.run_with_lease({{"7744", 40}}, 40s);

    CHECK(slave.limit_ca == 3200);
    const auto events = world.events("twc/charger/7744/event", "limited");
    REQUIRE(events.size() == 1);
    CHECK(events[0]["wanted_a"] == 40);
    CHECK(events[0]["limit_a"] == 32);
}

TEST_CASE("twc-bus: a maximum for the sum lowers the wiring limit, outlives its lease and never raises it") {
    World world(40);
    auto& first = world.line.add({.id = 0x7744, .protocol = 1});
    auto& second = world.line.add({.id = 0x7745, .protocol = 1});
    first.plug_in();
    second.plug_in();
    world.start();
    world.run_with_lease({{"7744", 20}, {"7745", 20}}, 30s);
    REQUIRE(world.state().granted_a == 40);

    world.max_a = 10;
    world.run_with_lease({{"7744", 20}, {"7745", 20}}, 20s);
    CHECK(world.state().granted_a == 10);
    CHECK(first.limit_ca + second.limit_ca == 1000);

    // Both at the fail-safe current would be 12 A.
    world.loop.run_for(60s);
    CHECK(world.state().failsafe);
    CHECK(world.state().granted_a <= 10);

    world.max_a = 500;
    world.run_with_lease({{"7744", 32}, {"7745", 32}}, 40s);
    CHECK(world.state().granted_a == 40);
    const auto refused_before = world.rejections().size();
    world.max_a = -1;
    world.lease({{"7744", 32}});
    REQUIRE(world.rejections().size() == refused_before + 1);
    CHECK(world.rejections().back()["reason"].get<std::string>().find("max_a") != std::string::npos);
}

TEST_CASE("twc-bus: the house fuse holds although policy-engine goes on asking for too much") {
    World world;
    world.config.house_fuse_ca = 3500;
    auto& slave = world.line.add({.id = 0x7744, .protocol = 2});
    slave.plug_in();
    world.start();
    double house_a = 5;
    const auto meter = world.broker.connect("ems-bridge");
    const auto second = [&] {
        const double grid_a = house_a + slave.drawn_ca / 100.0;
        const contract::SitePower site{.ts = world.loop.wall_now(),
                                       .grid_a = {grid_a, std::nullopt, std::nullopt},
                                       .quality = "ok",
                                       .grid_age_s = 0.2};
        meter->publish(
            {.topic = "twc/ems/state", .payload = contract::to_text(contract::to_json(site)), .retained = true});
        world.lease({{"7744", 32}});
        world.loop.run_for(1s);
    };
    for (int i = 0; i < 60; ++i) {
        second();
    }
    CHECK(slave.limit_ca >= 2900);
    CHECK(slave.limit_ca <= 3000);

    house_a = 20;  // a stove
    second();
    CHECK(slave.limit_ca <= 1500);
    CHECK(world.charger("7744").granted_a <= 15);
    for (int i = 0; i < 60; ++i) {
        second();
        CHECK(house_a + std::min(slave.limit_ca, slave.drawn_ca) / 100.0 <= 35);
    }
    CHECK(slave.limit_ca >= 1300);
    CHECK(world.events("twc/service/twc-bus/event", "house_fuse_overload").size() == 1);

    house_a = 5;
    for (int i = 0; i < 60; ++i) {
        second();
    }
    CHECK(slave.limit_ca >= 2900);

    // The meter falls silent: what is charging goes on for a while, but nothing is raised any more.
    world.run_with_lease({{"7744", 20}}, 15s);
    CHECK(slave.limit_ca == 2000);
    world.run_with_lease({{"7744", 32}}, 30s);
    CHECK(slave.limit_ca == 2000);
    CHECK(world.state().reason == "no fresh phase currents of the house: nothing is raised");
    world.run_with_lease({{"7744", 32}}, 30s);
    CHECK(slave.limit_ca == 600);
}

TEST_CASE("twc-bus: bad commands are refused visibly and change nothing") {
    World world;
    auto& slave = world.line.add({.id = 0x7744});
    slave.plug_in();
    world.start();
    world.run_with_lease({{"7744", 10}}, 30s);
    REQUIRE(slave.limit_ca == 1000);
    const auto refused = world.rejections().size();

    SUBCASE("malformed JSON") { world.send("twc/bus/limit/set", "{\"ttl_s\":30,"); }
    SUBCASE("not an object") { world.send("twc/bus/limit/set", "16"); }
    SUBCASE("a missing field") { world.send("twc/bus/limit/set", R"({"seq":99,"chargers":{"7744":20}})"); }
    SUBCASE("above every unit's rating") {
        world.send("twc/bus/limit/set", R"({"ttl_s":30,"seq":99,"chargers":{"7744":90}})");
    }
    SUBCASE("negative") { world.send("twc/bus/limit/set", R"({"ttl_s":30,"seq":99,"chargers":{"7744":-1}})"); }
    SUBCASE("a text as current") {
        world.send("twc/bus/limit/set", R"({"ttl_s":30,"seq":99,"chargers":{"7744":"x"}})");
    }
    SUBCASE("a lease without end") {
        world.send("twc/bus/limit/set", R"({"ttl_s":1e9,"seq":99,"chargers":{"7744":20}})");
    }
    SUBCASE("an older sequence number") {
        world.send("twc/bus/limit/set",
                   json{{"ttl_s", 30}, {"seq", world.seq - 1}, {"chargers", {{"7744", 20}}}}.dump());
    }
    SUBCASE("an unknown word for the emergency stop") { world.send("twc/bus/estop/set", "maybe"); }

    world.loop.run_for(3s);
    CHECK(world.rejections().size() == refused + 1);
    CHECK_FALSE(world.rejections().back()["reason"].get<std::string>().empty());
    CHECK_FALSE(world.rejections().back()["expected"].get<std::string>().empty());
    CHECK(slave.limit_ca == 1000);
}

TEST_CASE("twc-bus: a retained limit is not obeyed") {
    World world;
    auto& slave = world.line.add({.id = 0x7744});
    slave.plug_in();
    world.send("twc/bus/limit/set", R"({"ttl_s":600,"seq":1,"chargers":{"7744":20}})", /*retained=*/true);
    world.start();
    world.loop.run_for(40s);

    CHECK(slave.limit_ca < 2000);
    CHECK(world.rejections().size() == 1);
}

TEST_CASE("twc-bus: unknown chargers are refused and the known part applies") {
    World world;
    auto& slave = world.line.add({.id = 0x7744});
    slave.plug_in();
    world.start();
    world.loop.run_for(20s);

    world.lease({{"7744", 12}, {"9999", 12}});
    world.loop.run_for(3s);

    CHECK(slave.limit_ca == 1200);
    REQUIRE(world.rejections().size() == 1);
    CHECK(world.rejections()[0]["reason"].get<std::string>().find("9999") != std::string::npos);
    CHECK(world.rejections()[0]["expected"].get<std::string>().find("7744") != std::string::npos);
}

TEST_CASE("twc-bus: the emergency stop acts at once, outranks the lease and survives a restart") {
    World world;
    auto& slave = world.line.add({.id = 0x7744, .protocol = 1});
    slave.plug_in();
    world.start();
    world.run_with_lease({{"7744", 16}}, 30s);
    REQUIRE(slave.limit_ca == 1600);

    world.send("twc/bus/estop/set", "stop");
    world.loop.run_for(400ms);
    CHECK(slave.limit_ca == 0);
    CHECK(world.state().estop);
    world.stop();
    world.start();
    world.run_with_lease({{"7744", 16}}, 20s);
    CHECK(slave.limit_ca == 0);
    CHECK(world.state().reason == "emergency stop");

    world.send("twc/bus/estop/set", "release");
    world.run_with_lease({{"7744", 16}}, 10s);
    CHECK(slave.limit_ca == 1600);
    CHECK_FALSE(world.state().estop);
}

TEST_CASE("twc-bus: a restart heartbeats known chargers at once and loses neither energy nor session") {
    World world;
    auto& slave = world.line.add({.id = 0x7744});
    slave.plug_in();
    world.start();
    world.run_with_lease({{"7744", 16}}, 600s);
    const auto before = world.charger("7744");
    REQUIRE(before.energy_kwh > 0.5);
    world.stop();
    world.loop.run_for(2s);
    const auto heard = slave.heartbeats.size();

    world.start();
    world.loop.run_for(1s);

    CHECK(slave.heartbeats.size() > heard);
    CHECK(slave.heartbeats[heard].second[6] == 0x00);
    CHECK(slave.limit_ca == 1600);
    world.run_with_lease({{"7744", 16}}, 10s);
    CHECK(slave.limit_ca == 1600);
    const auto after = world.charger("7744");
    CHECK(after.energy_kwh >= before.energy_kwh);
    CHECK(after.session_kwh >= before.session_kwh);
    CHECK(after.session_start == before.session_start);
    CHECK(world.events("twc/charger/7744/event", "session_started").size() == 1);
}

TEST_CASE("twc-bus: counts energy from volts, amps, phases and time") {
    World world;
    auto& slave = world.line.add({.id = 0x7744, .wants_ca = 1000, .volts = {230, 231, 232}});
    slave.plug_in();
    world.start();
    world.run_with_lease({{"7744", 16}}, 60s);
    const double before = *world.charger("7744").energy_kwh;

    world.run_with_lease({{"7744", 16}}, 3600s);

    CHECK(*world.charger("7744").energy_kwh - before == doctest::Approx(10 * (230 + 231 + 232) / 1000.0).epsilon(0.02));
    CHECK(world.charger("7744").phases == 3);
    slave.unplug();
    world.run_with_lease({{"7744", 16}}, 30s);
    CHECK(world.charger("7744").plugged == false);
    CHECK(world.events("twc/charger/7744/event", "session_ended").size() == 1);
    CHECK(world.events("twc/charger/7744/event", "unplugged").size() == 1);
}

TEST_CASE("twc-bus: an unplugged adapter is reported and the chargers are back right after it") {
    World world;
    auto& slave = world.line.add({.id = 0x7744});
    slave.plug_in();
    world.start();
    world.run_with_lease({{"7744", 16}}, 30s);

    world.line.unplug_adapter();
    world.loop.run_for(2s);
    CHECK(world.state().link == "down");
    CHECK(world.state().reason == "/dev/test: lost");
    const auto heard = slave.heartbeats.size();
    world.run_with_lease({{"7744", 16}}, 120s);
    CHECK(slave.heartbeats.size() == heard);
    CHECK(*world.broker.retained("twc/charger/7744/availability") == "offline");

    world.line.plug_adapter();
    world.loop.run_for(2s);
    CHECK(slave.heartbeats.size() > heard);
    world.run_with_lease({{"7744", 16}}, 10s);
    CHECK(world.state().link == "ok");
    CHECK(slave.limit_ca == 1600);
    CHECK(*world.broker.retained("twc/charger/7744/availability") == "online");
}

TEST_CASE("twc-bus: a state file that cannot be read is set aside and the service starts") {
    World world;
    std::ofstream(world.config.state_file) << "{\"estop\": 7";
    world.line.add({.id = 0x7744}).plug_in();
    world.start();
    world.run_with_lease({{"7744", 10}}, 30s);

    CHECK(world.state().chargers.size() == 1);
    CHECK(std::filesystem::exists(world.config.state_file.string() + ".unreadable"));
}

TEST_CASE("twc-bus: a disk that refuses the state file stops nothing and is reported once") {
    World world;
    world.config.state_file = "/proc/twc-bus/state.json";
    auto& slave = world.line.add({.id = 0x7744});
    slave.plug_in();
    world.start();
    world.run_with_lease({{"7744", 16}}, 120s);

    CHECK(slave.limit_ca == 1600);
    CHECK(world.events("twc/service/twc-bus/event", "state_not_saved").size() == 1);
}

TEST_CASE("twc-bus: publishes bus and charger states steadily and the metrics of the line") {
    World world;
    world.line.add({.id = 0x7744}).plug_in();
    world.start();
    world.run_with_lease({{"7744", 10}}, 60s);
    world.published.clear();
    world.run_with_lease({{"7744", 10}}, 60s);

    const auto count = [&](const std::string& topic) {
        return std::ranges::count(world.published, topic, &messaging::Publication::topic);
    };
    CHECK(count("twc/bus/state") >= 11);
    CHECK(count("twc/bus/state") <= 61);
    CHECK(count("twc/charger/7744/state") >= 5);
    CHECK(count("twc/charger/7744/state") <= 61);
    const auto metrics = json::parse(*world.broker.retained("twc/service/twc-bus/metrics"));
    CHECK(metrics["frames_sent"] > 60);
    CHECK(metrics["frames_received"] > 60);
    CHECK(metrics["short_segments"] > 60);
    CHECK(metrics["answer_delay_ms"]["p50"] > 0);
    CHECK(metrics["heartbeat_age_s"]["7744"] < 1.5);
    CHECK(metrics["frames_refused"] == 0);
}

TEST_CASE("twc-bus: two lines are shown by name, and one that is lost does not hide the other") {
    World world;
    Line barn{world.loop};
    world.config.lines = {{.name = "barn", .port = "/dev/barn", .role = {}, .listen = 0ms},
                          {.name = "house", .port = "/dev/house", .role = {}, .listen = 0ms}};
    world.links = {&barn, &world.line};
    barn.add({.id = 0x7701}).plug_in();
    world.line.add({.id = 0x7744}).plug_in();
    world.start();
    world.run_with_lease({{"7744", 16}, {"7701", 16}}, 30s);
    CHECK(world.state().chargers == std::vector<std::string>{"7701", "7744"});
    CHECK(world.state().granted_a == 32);
    REQUIRE(world.state().lines);
    CHECK(world.state().lines->at("barn").chargers == std::vector<std::string>{"7701"});
    CHECK(*world.broker.retained("twc/bus/lines/house/link") == "ok");

    barn.unplug_adapter();
    world.run_with_lease({{"7744", 16}, {"7701", 16}}, 20s);
    const auto state = world.state();
    CHECK(state.link == "ok");
    CHECK(state.lines->at("barn").link == "down");
    CHECK(state.healthy == false);
    CHECK(*state.health == "barn: /dev/test: lost");
    CHECK(world.charger("7744").charging == true);

    // Each is found again on its own line after a restart.
    barn.plug_adapter();
    world.run_with_lease({{"7744", 16}, {"7701", 16}}, 20s);
    world.stop();
    barn.slaves[0]->heartbeats.clear();
    world.start();
    world.loop.run_for(500ms);
    CHECK(barn.slaves[0]->heartbeats.size() == 1);
    world.stop();  // before the barn's line goes
}

TEST_CASE("twc-bus: a health verdict in words says what is wrong with the line") {
    World world;
    auto& slave = world.line.add({.id = 0x7744});
    slave.deaf = true;
    slave.announced = world.loop.now() + 1h;
    world.start();
    world.loop.run_for(30s);
    CHECK(world.state().healthy == false);
    CHECK(world.state().health->find("nothing is heard") == 0);

    world.line.echoes = true;
    world.loop.run_for(70s);
    CHECK(world.state().health->find("only our own frames come back") == 0);

    world.line.echoes = false;
    slave.deaf = false;
    slave.announced = world.loop.now() - 10s;
    world.loop.run_for(80s);
    CHECK(world.state().healthy == true);
    CHECK(*world.state().health == "1 answering");
}

TEST_CASE("twc-bus: a charger stopped by silence is shown so, stays online and charges again") {
    World world;
    world.config.care.treatments[0x7744].stop = twc_bus::StopMeans::silence;
    auto& slave = world.line.add({.id = 0x7744, .ends_at_zero = false});
    slave.plug_in();
    world.start();
    world.run_with_lease({{"7744", 16}}, 90s);
    world.run_with_lease({{"7744", 0}}, 90s);
    CHECK(world.events("twc/service/twc-bus/event", "charger_silenced").size() == 1);
    CHECK(world.charger("7744").state == "silenced");
    CHECK(world.charger("7744").plugged == true);
    CHECK_FALSE(world.charger("7744").fault);
    CHECK(*world.broker.retained("twc/charger/7744/availability") == "online");
    CHECK(slave.drawn_ca == 0);
    CHECK(world.state().granted_a == 0);

    world.stop();
    world.start();
    world.run_with_lease({{"7744", 0}}, 40s);
    CHECK(slave.drawn_ca == 0);
    world.run_with_lease({{"7744", 10}}, 40s);
    CHECK(slave.drawn_ca == 1000);
}

TEST_CASE("twc-bus: energy that flowed while it was away is taken from the unit's counter") {
    World world;
    auto& slave = world.line.add({.id = 0x7744});
    slave.plug_in();
    world.start();
    world.run_with_lease({{"7744", 16}}, 30s);
    const double before_kwh = *world.charger("7744").energy_kwh;
    world.stop();
    world.loop.run_for(1h);
    slave.lifetime_kwh += 7;
    world.start();
    world.run_with_lease({{"7744", 0}}, 60s);
    CHECK(*world.charger("7744").energy_kwh >= before_kwh + 5);
    CHECK(*world.charger("7744").energy_kwh <= before_kwh + 7);
}

TEST_CASE("twc-bus: heartbeat gaps and collisions are in the metrics") {
    World world;
    world.line.add({.id = 0x7744}).plug_in();
    world.start();
    world.run_with_lease({{"7744", 16}}, 65s);
    const auto metrics = json::parse(*world.broker.retained("twc/service/twc-bus/metrics"));
    CHECK(metrics["heartbeat_gap_ms"]["7744"]["p99"].get<double>() <= 1100);
    CHECK(metrics["heartbeat_age_s"]["7744"].get<double>() <= 1.1);
    CHECK(metrics["collisions"] == 0);
}

TEST_CASE("twc-bus: a frame typed in is sent only where that is switched on, and what is heard then is shown") {
    World world;
    world.line.add({.id = 0x7744, .protocol = 2});
    world.start();
    world.loop.run_for(20s);
    world.send("twc/bus/raw/set", "FB EC 77 77 77 44");
    REQUIRE(world.rejections().size() == 1);
    CHECK(world.rejections()[0]["reason"] == "bus.raw_send is off");

    world.stop();
    world.config.lines[0].raw_send = true;
    world.start();
    world.loop.run_for(20s);
    world.published.clear();
    world.line.sent.clear();
    world.send("twc/bus/raw/set", "fb ec 77 77 77 44");
    world.loop.run_for(2s);
    CHECK(world.rejections().empty());
    CHECK(std::ranges::any_of(world.line.sent, [](const auto& frame) { return frame.second[1] == 0xEC; }));
    const auto heard = world.events("twc/service/twc-bus/event", "raw_heard");
    CHECK(std::ranges::any_of(
        heard, [](const json& event) { return event["words"].get<std::string>().find("4.5.3") != std::string::npos; }));
}

TEST_CASE("twc-bus: no frame that destroys a unit or changes what it may draw can be typed in") {
    World world;
    world.config.lines[0].raw_send = true;
    world.config.care.treatments[0x7744].stop = twc_bus::StopMeans::contactor;
    world.line.add({.id = 0x7744});
    world.start();
    world.loop.run_for(20s);
    world.line.sent.clear();
    for (const auto* frame :
         {"FC 19", "fc 19 77 77 77 44", "FC 19 00 00 00 00 00 00 00 00 00 00 00", "FC 1A 77 77", "FB E8 77 77 77 44",
          "FB E0 77 77 77 44 09 0C 80", "FC B2 77 77 77 44", "FC B1 77 77 77 44", "FC A1", "FC E5", "FB 1B",
          "C0 FC 19 00", "FB EB 77 77 77 44 00 00 00 00 00 00 00 00 00 00", "FCE1", "xy", ""}) {
        world.send("twc/bus/raw/set", frame);
    }
    world.loop.run_for(5s);
    CHECK(world.rejections().size() == 16);
    for (const auto& [at, body] : world.line.sent) {
        REQUIRE(body[0] == 0xFB);
        REQUIRE(body[1] >= 0xE0);
        REQUIRE(body[1] != 0xE8);
    }
}
