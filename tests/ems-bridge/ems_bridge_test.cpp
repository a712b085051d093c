#include "ems-bridge/ems_bridge.hpp"

#include <map>
#include <memory>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "messaging/in_memory_broker.hpp"
#include "scheduling/simulated_loop.hpp"
#include "support.hpp"

using namespace ems_bridge;
using namespace std::chrono_literals;
using nlohmann::json;

namespace {

const auto start_of_day = contract::parse_timestamp("2026-06-01T10:00:00Z").value();

// The bridge with everything around it simulated.
struct World {
    scheduling::SimulatedLoop loop{start_of_day};
    scheduling::SimulatedWorkerFactory workers{loop};
    messaging::InMemoryBroker broker{loop};
    std::unique_ptr<messaging::InMemoryClient> bus = broker.connect("ems-bridge");
    std::unique_ptr<messaging::InMemoryClient> user = broker.connect("user");
    service::Environment environment{loop, workers, *bus, contract::Topics("twc"), "ems-bridge"};
    test::FakeHttp http;
    test::FakeModbus modbus;
    Io io{http, modbus};
    std::vector<json> events;
    std::vector<std::pair<scheduling::Instant, json>> states;
    std::unique_ptr<EmsBridge> bridge;

    World() {
        broker.tap([this](const std::string&, const messaging::Publication& publication) {
            if (publication.topic == "twc/ems/state") {
                states.emplace_back(loop.now(), json::parse(publication.payload));
            } else if (publication.topic == "twc/service/ems-bridge/event") {
                events.push_back(json::parse(publication.payload));
            }
        });
        loop.run_for(1ms);
    }

    void start(const std::string& sources) {
        const config::Document document("sources:\n" + sources, "test.yaml");
        auto config = read_config(document.root(), std::string(SOURCE_DIR) + "/services/ems-bridge/templates");
        document.finish();
        bridge = std::make_unique<EmsBridge>(std::move(config), environment, io);
        loop.run_for(25ms);
    }

    void publish(const std::string& topic, const std::string& payload, bool retained = false) {
        user->publish({.topic = topic, .payload = payload, .retained = retained, .qos = 1});
        loop.run_for(25ms);
    }

    json retained(const std::string& topic) const { return json::parse(broker.retained(topic).value_or("{}")); }
    json site() const { return retained("twc/ems/state"); }
    json source(const std::string& name) const { return retained("twc/ems/source/" + name + "/state"); }
};

const char* const push = "  - {name: push, type: push, roles: [grid, pv], stale_after_s: 30}\n";

http::Response shelly(double watts) {
    const json body{{"emeters",
                     {{{"power", watts}, {"voltage", 231}, {"is_valid", true}, {"total", 1000}, {"total_returned", 0}},
                      {{"power", 0}, {"voltage", 230}, {"is_valid", true}, {"total", 0}, {"total_returned", 0}},
                      {{"power", 0}, {"voltage", 229}, {"is_valid", true}, {"total", 0}, {"total_returned", 0}}}}};
    return {.status = 200, .body = body.dump()};
}

}  // namespace

TEST_CASE_FIXTURE(World, "ems-bridge: from the start it says that nothing is known") {
    start(push);

    CHECK(site().at("quality") == "error");
    CHECK(site().at("grid_w").is_null());
    CHECK(site().at("age_s").is_null());
    CHECK(site().at("missing") == json({"push"}));
    CHECK(source("push").at("ok") == false);
}

TEST_CASE_FIXTURE(World, "ems-bridge: a pushed value is in the picture in the same instant") {
    start(push);
    const auto before = loop.now();

    publish("twc/ems/input/grid_power/set", "-1840");

    CHECK(states.back().first - before < 1ms);
    CHECK(site().at("grid_w") == -1840);
    CHECK(site().at("age_s") == 0);
    CHECK(source("push").at("grid_w").is_null());  // at most once a second
    loop.run_for(1s);
    CHECK(source("push").at("grid_w") == -1840);
    CHECK(source("push").at("ok") == true);
}

TEST_CASE_FIXTURE(World, "ems-bridge: samples of one turn of the loop make one picture") {
    start(push);
    publish("twc/ems/input/grid_power/set", "0");
    loop.run_for(100ms);
    const auto before = states.size();

    user->publish({.topic = "twc/ems/input/grid_power/set", .payload = "-2000", .qos = 1});
    user->publish({.topic = "twc/ems/input/pv_power/set", .payload = "3000", .qos = 1});
    loop.run_for(15ms);

    REQUIRE(states.size() == before + 1);
    CHECK(site().at("house_w") == 1000);
    CHECK(site().at("quality") == "ok");
}

TEST_CASE_FIXTURE(World, "ems-bridge: a changing picture follows every sample, also in quick succession") {
    start(push);
    for (int i = 0; i < 50; ++i) {
        publish("twc/ems/input/grid_power/set", std::to_string(-100 * i));
        loop.run_for(15ms);
        CHECK(site().at("grid_w") == -100 * i);
    }
}

TEST_CASE_FIXTURE(World, "ems-bridge: an unchanged picture is repeated every two seconds with its true age") {
    start(push);
    publish("twc/ems/input/grid_power/set", "-1840");
    const auto pushed_at = states.back().first;
    const auto before = states.size();

    loop.run_for(20s);

    CHECK(states.size() - before >= 10);
    for (std::size_t i = before; i < states.size(); ++i) {
        const double age_s = std::chrono::duration<double>(states[i].first - pushed_at).count();
        CHECK(states[i].second.at("age_s").get<double>() == doctest::Approx(age_s).epsilon(0.01));
        CHECK(states[i].second.at("grid_age_s") == states[i].second.at("age_s"));
    }
}

TEST_CASE_FIXTURE(World, "ems-bridge: a value is gone the moment it is too old") {
    start(push);
    publish("twc/ems/input/grid_power/set", "-1840");

    loop.run_for(29800ms);
    CHECK(site().at("grid_w") == -1840);
    loop.run_for(200ms);
    CHECK(site().at("grid_w").is_null());
    CHECK(site().at("quality") == "stale");
    loop.run_for(1s);
    CHECK(source("push").at("ok") == false);
    CHECK(source("push").at("error") == "no news");
}

TEST_CASE_FIXTURE(World, "ems-bridge: a time stamp in a push makes it as old as it is") {
    start(push);

    publish("twc/ems/input/grid_power/set", R"({"value":-500,"ts":"2026-06-01T09:59:50Z"})");

    CHECK(site().at("age_s").get<double>() == doctest::Approx(10).epsilon(0.01));
    loop.run_for(21s);
    CHECK(site().at("grid_w").is_null());
}

TEST_CASE_FIXTURE(World,
                  "ems-bridge: retained, malformed and impossible pushes are refused visibly and change nothing") {
    start(push);
    publish("twc/ems/input/grid_power/set", "-1840");
    const std::vector<std::pair<const char*, const char*>> refused{
        {"grid_power", "lots"}, {"grid_power", "{\"value\":"}, {"grid_power", "{\"value\":\"x\"}"},
        {"grid_power", "9e99"}, {"battery_soc", "50"},         {"pv_power", "-1000"},
        {"sun_power", "5"},     {"grid_power", "nan"},         {"grid_power", "\xff\xfe"},
        {"grid_power", "[]"}};
    for (const auto& one : refused) {
        const auto* name = one.first;
        const auto* payload = one.second;
        CAPTURE(name);
        CAPTURE(payload);
        events.clear();
        publish(std::string("twc/ems/input/") + name + "/set", payload);
        REQUIRE(events.size() == 1);
        CHECK(events[0].at("event_type") == "command_rejected");
        CHECK(events[0].at("topic") == std::string("twc/ems/input/") + name + "/set");
    }
    CHECK(site().at("grid_w") == -1840);
    CHECK(site().at("pv_w").is_null());
}

TEST_CASE_FIXTURE(World, "ems-bridge: a retained push from before the start is refused") {
    publish("twc/ems/input/grid_power/set", "-9999", true);

    start(push);

    CHECK(site().at("grid_w").is_null());
    REQUIRE(events.size() == 1);
    CHECK(events[0].at("reason").get<std::string>().starts_with("a retained command is not obeyed"));
}

TEST_CASE_FIXTURE(World, "ems-bridge: without a push source a push is refused and not lost silently") {
    http.answer = [](const http::Request&) { return shelly(100); };
    start("  - {name: meter, template: shelly-3em, host: m}\n");

    publish("twc/ems/input/grid_power/set", "5");

    REQUIRE(events.size() == 1);
    CHECK(events[0].at("reason") == "there is no source of type push");
}

TEST_CASE_FIXTURE(World, "ems-bridge: a polled meter and inverter make a picture, and a dead one harms nobody else") {
    modbus.units[1] = test::parse_registers("default 0\n40069: 0067 0032\n40083: 0F46 0000\n40100: 0F78 0000\n");
    http.answer = [](const http::Request&) { return shelly(-1200); };
    start(
        "  - {name: meter, template: shelly-3em, host: m, interval_s: 2, stale_after_s: 10}\n"
        "  - {name: roof, type: solaredge, host: r, meter: 0, interval_s: 2, stale_after_s: 10}\n");
    CHECK(site().at("grid_w") == -1200);
    CHECK(site().at("pv_w") == 3910);
    CHECK(site().at("house_w") == 2710);
    CHECK(site().at("quality") == "ok");
    CHECK(site().at("voltage_v") == json({231, 230, 229}));

    modbus.before_each = [] { throw SourceError(ErrorKind::transport, "Modbus r:1502: timed out"); };
    loop.run_for(13s);
    CHECK(site().at("grid_w") == -1200);
    CHECK(site().at("grid_age_s").get<double>() < 2.1);
    CHECK(site().at("pv_w").is_null());
    CHECK(site().at("quality") == "partial");
    CHECK(site().at("missing") == json({"roof"}));
    CHECK(source("roof").at("ok") == false);
    CHECK(source("roof").at("error") == "Modbus r:1502: timed out");
    CHECK(source("roof").at("pv_w").is_null());

    modbus.before_each = [] {};
    loop.run_for(20s);
    CHECK(site().at("quality") == "ok");
    CHECK(source("roof").at("ok") == true);
    CHECK(source("roof").at("error").is_null());
}

TEST_CASE_FIXTURE(World, "ems-bridge: two sources on one topic and values of other topics") {
    start(
        "  - {name: meter, type: mqtt, topics: {g: home/meter}, values: {grid_w: {doc: g, ptr: /grid}}}\n"
        "  - {name: roof, type: mqtt, topics: {p: home/meter}, values: {pv_w: {doc: p, ptr: /pv}}}\n");

    publish("home/meter", R"({"grid":-900,"pv":2000})");

    CHECK(site().at("grid_w") == -900);
    CHECK(site().at("pv_w") == 2000);
    publish("home/meter", "garbage");
    loop.run_for(1s);
    CHECK(site().at("grid_w") == -900);
    CHECK(source("meter").at("ok") == false);
    CHECK(source("meter").at("error") == "home/meter: grid_w: nothing at g/grid");
}

TEST_CASE_FIXTURE(World, "ems-bridge: chargers that the meter does not see are added from their own state") {
    start("  - {name: push, type: push, roles: [grid], includes_chargers: false}\n");
    publish("twc/ems/input/grid_power/set", "-5000");
    CHECK(site().at("grid_w").is_null());

    publish("twc/charger/7744/state", R"({"state":"charging","power_w":2300})");
    CHECK(site().at("grid_w") == -2700);
    publish("twc/charger/7745/state", R"({"state":"ready","power_w":null})");
    CHECK(site().at("grid_w").is_null());
    publish("twc/charger/7745/state", R"({"state":"ready","power_w":0})");
    CHECK(site().at("grid_w") == -2700);
}

TEST_CASE_FIXTURE(World, "ems-bridge: metrics count polls and errors of each source") {
    http.answer = [](const http::Request&) { return http::Response{.status = 500}; };
    start("  - {name: meter, template: shelly-3em, host: m}\n");

    loop.run_for(30s);

    const auto metrics = retained("twc/service/ems-bridge/metrics").at("sources").at("meter");
    CHECK(metrics.at("polls").get<int>() >= 3);
    CHECK(metrics.at("errors").at("device").get<int>() >= 3);
    CHECK(metrics.at("age_s").is_null());
    CHECK(metrics.at("samples") == 0);
}

TEST_CASE_FIXTURE(World, "ems-bridge: it can be killed in the middle of everything") {
    http.answer = [](const http::Request&) { return shelly(1); };
    start(std::string(push) + "  - {name: meter, template: shelly-3em, host: m}\n");
    user->publish({.topic = "twc/ems/input/grid_power/set", .payload = "1", .qos = 1});

    bridge.reset();
    bus.reset();
    loop.run_for(1min);

    CHECK(site().at("grid_w") == 1);  // the last it said; the push came too late to be heard
}

TEST_CASE_FIXTURE(World, "ems-bridge: everything is said again when the broker comes back") {
    start(push);
    publish("twc/ems/input/grid_power/set", "-1840");
    broker.go_down();
    loop.run_for(3s);
    broker.go_up();
    loop.run_for(3s);

    CHECK(site().at("grid_w") == -1840);
    CHECK(site().at("age_s").get<double>() > 4);
}

TEST_CASE("ems-bridge: the simulation runs the same way every time") {
    const auto run = [] {
        World world;
        world.http.answer = [&world](const http::Request&) {
            return shelly(static_cast<double>(world.loop.now().time_since_epoch().count() % 977));
        };
        world.start(std::string(push) + "  - {name: meter, template: shelly-3em, host: m}\n");
        for (int i = 0; i < 20; ++i) {
            world.publish("twc/ems/input/pv_power/set", std::to_string(i * 100));
            world.loop.run_for(700ms);
        }
        std::string transcript;
        for (const auto& [at, state] : world.states) {
            transcript += std::to_string(at.time_since_epoch().count()) + state.dump() + "\n";
        }
        return transcript;
    };

    CHECK(run() == run());
}
