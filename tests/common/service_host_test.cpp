#include "service/service_host.hpp"

#include <sstream>

#include <doctest/doctest.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

#include "contract/messages.hpp"
#include "service/command_value.hpp"
#include "storage/atomic_file.hpp"
#include "support/simulated_service.hpp"

using namespace std::chrono_literals;
using messaging::Delivery;
using nlohmann::json;

namespace {

struct World {
    support::SimulatedWorld world;
    support::SimulatedService service{world, "policy-engine"};
    std::unique_ptr<messaging::InMemoryClient> user = world.broker.connect("user");
    std::optional<service::ServiceHost> host;
    std::vector<double> obeyed;

    World() {
        host.emplace(service.environment, [](json& metrics) { metrics["odd"] = "\xff"; });
        host->on_command("twc/policy/+/set", [this](const Delivery& command) {
            obeyed.push_back(service::parse_amps(command.payload));
            return json(obeyed.back());
        });
        world.loop.run_for(1ms);
    }
    void send(messaging::Publication publication) {
        user->publish(publication);
        world.loop.run_for(1ms);
    }
    json event() const { return world.last_json("twc/service/policy-engine/event"); }
};

}  // namespace

TEST_CASE("service host: says who it is, and how it is every ten seconds") {
    World w;
    const auto info = w.world.last_json("twc/service/policy-engine/info");
    CHECK(contract::from_json<contract::ServiceInfo>(info).schema == 1);
    CHECK(w.world.broker.retained("twc/service/policy-engine/info").has_value());

    w.world.loop.run_for(10s);
    const auto metrics = w.world.last_json("twc/service/policy-engine/metrics");
    CHECK(metrics["uptime_s"] == 10);
    CHECK(metrics["commands_rejected"] == 0);
    CHECK(metrics["mqtt_connects"] == 1);
    CHECK(metrics["resident_kib"].get<int>() > 0);
    CHECK(metrics["odd"] == "\xef\xbf\xbd");
    CHECK(w.world.sent_on("twc/service/policy-engine/metrics").size() == 2);
}

TEST_CASE("service host: a good command is obeyed and counted") {
    World w;
    w.send({.topic = "twc/policy/max_a/set", .payload = "16A", .qos = 1});

    CHECK(w.obeyed == std::vector<double>{16});
    CHECK(w.event().is_null());
    CHECK(w.host->commands_rejected() == 0);
}

TEST_CASE("service host: a bad command changes nothing and is answered visibly") {
    World w;
    w.send({.topic = "twc/policy/max_a/set", .payload = "lots", .qos = 1});

    CHECK(w.obeyed.empty());
    const auto event = w.event();
    CHECK(event["event_type"] == "command_rejected");
    CHECK(event["topic"] == "twc/policy/max_a/set");
    CHECK(event["value"] == "lots");
    CHECK(event["reason"] == "not a number");
    CHECK(event["expected"] == "a number from 0 to 80 A");
    CHECK(contract::parse_timestamp(event["ts"].get<std::string>()).has_value());
    CHECK(w.host->commands_rejected() == 1);
    CHECK_FALSE(w.world.broker.retained("twc/service/policy-engine/event").has_value());
}

TEST_CASE("service host: bytes that are no text are quoted safely") {
    World w;
    w.send({.topic = "twc/policy/max_a/set", .payload = std::string("\xff\x00\x1b", 3) + std::string(1000, 'x')});

    CHECK(w.event()["value"].get<std::string>().starts_with("\xef\xbf\xbd"));
    CHECK(w.event()["value"].get<std::string>().size() < 300);
    w.send({.topic = "twc/policy/max_a/set", .payload = std::string(199, 'x') + "ü"});
    CHECK(w.event()["value"].get<std::string>().ends_with("x\xef\xbf\xbd"));
}

TEST_CASE("service host: a retained command is refused, its clearing is not even mentioned") {
    World w;
    w.send({.topic = "twc/policy/max_a/set", .payload = "16", .retained = true});
    CHECK(w.obeyed == std::vector<double>{16});  // delivered live, without the flag

    auto late = std::make_unique<support::SimulatedService>(w.world, "late");
    service::ServiceHost host(late->environment, [](json&) {});
    int obeyed = 0;
    host.on_command("twc/policy/+/set", [&](const Delivery&) { return ++obeyed; });
    w.world.loop.run_for(1ms);
    CHECK(obeyed == 0);
    CHECK(w.world.last_json("twc/service/late/event")["reason"].get<std::string>().starts_with("a retained command"));

    const auto before = w.world.sent_on("twc/service/late/event").size();
    w.send({.topic = "twc/policy/max_a/set", .payload = "", .retained = true});
    CHECK(w.world.sent_on("twc/service/late/event").size() == before + 1);  // live: an empty command
}

TEST_CASE("service host: no exception of a handler ends the process") {
    World w;
    w.host->on_command("twc/a/set", [](const Delivery&) -> json { return json::parse("{"); });
    w.host->on_command("twc/b/set", [](const Delivery&) -> json { throw storage::StorageError("x: disk full"); });
    w.host->on_command("twc/c/set", [](const Delivery& d) { return contract::parse_json(d.payload); });

    w.send({.topic = "twc/a/set", .payload = "1"});
    CHECK(w.event()["event_type"] == "command_rejected");
    w.send({.topic = "twc/b/set", .payload = "1"});
    CHECK(w.event()["reason"] == "x: disk full");
    w.send({.topic = "twc/c/set", .payload = "{\xff"});
    CHECK(w.event()["reason"].get<std::string>().starts_with("payload: not JSON at byte 2"));
    CHECK(w.host->commands_rejected() == 3);
}

TEST_CASE("service host: a request gets its reply, with its correlation data") {
    World w;
    w.send({.topic = "twc/policy/max_a/set",
            .payload = "16",
            .response_topic = "twc/reply/ann/1",
            .correlation_data = "c"});
    CHECK(w.world.last_json("twc/reply/ann/1") == json{{"ok", true}, {"result", 16.0}});
    CHECK(w.world.sent_on("twc/reply/ann/1").back().publication.correlation_data == "c");

    w.send({.topic = "twc/policy/max_a/set", .payload = "x", .response_topic = "twc/reply/ann/2"});
    CHECK(w.world.last_json("twc/reply/ann/2")["ok"] == false);
    CHECK(w.world.last_json("twc/reply/ann/2")["reason"] == "not a number");
}

TEST_CASE("service host: nobody can make it write where only it may write") {
    World w;
    for (const char* forbidden :
         {"twc/bus/limit/set", "twc/policy/max_a/set", "twc/reply", "twc/replyx/1",
          "homeassistant/select/policy-engine/mode/config", "TWC/control/chargeNow", "elsewhere"}) {
        CAPTURE(forbidden);
        w.send({.topic = "twc/policy/max_a/set", .payload = "16", .response_topic = forbidden});
        const auto sent = w.world.sent_on(forbidden);
        CHECK(std::ranges::none_of(sent, [](const auto& message) { return message.client == "policy-engine"; }));
    }
    CHECK_NOTHROW(w.send({.topic = "twc/policy/max_a/set", .payload = "16", .response_topic = "a/#"}));
}

TEST_CASE("service host: a client gone mad does not fill the log, but every refusal is counted and published") {
    std::ostringstream log;
    const auto before = spdlog::default_logger();
    spdlog::set_default_logger(
        std::make_shared<spdlog::logger>("refusals", std::make_shared<spdlog::sinks::ostream_sink_st>(log)));
    const auto count = [&](const std::string& words) {
        int found = 0;
        const std::string text = log.str();
        for (auto at = text.find(words); at != std::string::npos; at = text.find(words, at + 1)) {
            ++found;
        }
        return found;
    };
    World w;
    w.world.loop.run_for(1h);  // away from what other tests had refused
    for (int i = 0; i < 1000; ++i) {
        w.send({.topic = "twc/policy/max_a/set", .payload = "x"});
    }
    CHECK(w.host->commands_rejected() == 1000);
    CHECK(w.world.sent_on("twc/service/policy-engine/event").size() == 1000);
    CHECK(count("refused twc/policy/max_a/set") == 20);

    w.world.loop.run_for(60s);
    w.send({.topic = "twc/policy/max_a/set", .payload = "x"});
    CHECK(count("980 more commands were refused") == 1);
    CHECK(count("refused twc/policy/max_a/set") == 21);
    spdlog::set_default_logger(before);
}

TEST_CASE("service host: a command that comes after its end meets nobody") {
    World w;
    w.host.reset();
    w.send({.topic = "twc/policy/max_a/set", .payload = "16"});
    w.world.loop.run_for(60s);

    CHECK(w.obeyed.empty());
}

TEST_CASE("service host: an event of a charger goes to the topic of the charger") {
    World w;
    w.host->event_on("twc/charger/7744/event", "plugged", {{"vin", "\xff"}});
    const auto event = w.world.last_json("twc/charger/7744/event");

    CHECK(event["event_type"] == "plugged");
    CHECK(event["vin"] == "\xef\xbf\xbd");
}
