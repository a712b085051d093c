#include <csignal>

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "echo_process.hpp"
#include "support/broker.hpp"
#include "support/eventually.hpp"
#include "support/fake_mqtt_broker.hpp"
#include "support/mqtt_probe.hpp"

using namespace std::chrono_literals;
using support::Broker;
using support::MqttProbe;

namespace {

const std::string status_topic = "twc/service/echo/status";
const std::string state_topic = "twc/echo/state";
const std::string command_topic = "twc/echo/set";

// The broker has answered everything, and the service hears commands.
bool in_touch(const MqttProbe& probe, std::size_t from = 0) {
    return probe.wait_for(status_topic, "online", 10s, from).has_value();
}

bool obeys(MqttProbe& probe, const std::string& word) {
    return support::eventually([&] {
        const auto mark = probe.mark();
        return probe.publish(command_topic, word) && probe.wait_for(state_topic, word, 500ms, mark).has_value();
    });
}

std::chrono::milliseconds time_to_end(EchoProcess& echo, int signal = SIGTERM) {
    const auto begin = std::chrono::steady_clock::now();
    echo->send_signal(signal);
    echo->wait_for_exit(5s);
    return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - begin);
}

}  // namespace

TEST_CASE("mqtt session: a killed service is reported by its last will") {
    const Broker broker;
    MqttProbe probe(broker.port());
    EchoProcess echo(broker.port());
    REQUIRE(in_touch(probe));

    echo->kill();

    CHECK(probe.wait_for(status_topic, "offline", 2s).has_value());
    MqttProbe late(broker.port());
    CHECK(late.wait_for(status_topic, "offline", 2s)->retained);
}

TEST_CASE("mqtt session: a service that ends says so itself, within a second") {
    const Broker broker;
    MqttProbe probe(broker.port());
    EchoProcess echo(broker.port());
    REQUIRE(in_touch(probe));

    CHECK(time_to_end(echo) < 1s);

    CHECK(echo->wait_for_exit() == 0);
    CHECK(probe.wait_for(status_topic, "offline", 2s).has_value());
    CHECK(broker.log().find("Received DISCONNECT from twc-echo-home") != std::string::npos);
    CHECK(probe.messages_on(status_topic).size() == 2);
}

TEST_CASE("mqtt session: obeys commands, and answers an MQTT 5 request") {
    const Broker broker;
    MqttProbe probe(broker.port());
    EchoProcess echo(broker.port());
    REQUIRE(in_touch(probe));

    CHECK(obeys(probe, "hello"));
    const auto reply = support::run_command({"mosquitto_rr", "-V", "5", "-p", std::to_string(broker.port()), "-t",
                                             command_topic, "-e", "twc/reply/me/1", "-m", "refuse", "-W", "5"});
    CHECK(nlohmann::json::parse(reply)["reason"] == "told to refuse");
    CHECK(probe
              .wait_for("twc/service/echo/event",
                        [](const std::string& payload) {
                            return nlohmann::json::parse(payload)["event_type"] == "command_rejected";
                        })
              .has_value());
}

TEST_CASE("mqtt session: hundreds of messages at once all arrive") {
    const Broker broker;
    MqttProbe probe(broker.port());
    EchoProcess echo(broker.port());
    REQUIRE(in_touch(probe));

    REQUIRE(obeys(probe, "burst"));
    for (int i = 0; i < 500; ++i) {
        const auto topic = fmt::format("twc/echo/burst/{}", i);
        CAPTURE(topic);
        CHECK_FALSE(probe.messages_on(topic).empty());
    }
}

TEST_CASE("mqtt session: events do not wait for the tick of a library") {
    const Broker broker;  // takes 20 at once, so one tick a second would be half a minute
    MqttProbe probe(broker.port());
    EchoProcess echo(broker.port());
    REQUIRE(in_touch(probe));
    const auto mark = probe.mark();
    REQUIRE(probe.publish(command_topic, "burst of events"));

    REQUIRE(probe.wait_for("twc/echo/event", "499", 10s, mark).has_value());

    const auto events = probe.messages_on("twc/echo/event");
    REQUIRE(events.size() == 500);
    for (std::size_t i = 0; i < events.size(); ++i) {
        CHECK(events[i].payload == std::to_string(i));
    }
}

TEST_CASE("mqtt session: a broker that comes late finds everything") {
    Broker broker;
    broker.stop();
    EchoProcess echo(broker.port());
    REQUIRE(echo->wait_for_output("trying again for ever"));

    broker.start();
    MqttProbe probe(broker.port());

    CHECK(in_touch(probe));
    CHECK(probe.wait_for(state_topic, "fresh").has_value());
    CHECK(obeys(probe, "hello"));
    CHECK(echo->output().find("not reachable") == std::string::npos);
}

TEST_CASE("mqtt session: after a broker restart without persistence everything is there again") {
    Broker broker;
    EchoProcess echo(broker.port());
    {
        MqttProbe probe(broker.port());
        REQUIRE(in_touch(probe));
        REQUIRE(obeys(probe, "remember"));
    }
    broker.kill();
    REQUIRE(echo->wait_for_output("connection to 127.0.0.1:" + std::to_string(broker.port()) + " lost"));
    broker.start();
    MqttProbe probe(broker.port());

    CHECK(in_touch(probe));
    CHECK(probe.wait_for(state_topic, "remember").has_value());
    CHECK(probe.wait_for("twc/service/echo/info", [](const auto& payload) { return !payload.empty(); }).has_value());
    CHECK(obeys(probe, "hello"));
}

TEST_CASE("mqtt session: after a broker restart with persistence the service comes back too") {
    Broker broker({.persistence = true});
    EchoProcess echo(broker.port());
    MqttProbe probe(broker.port());
    REQUIRE(in_touch(probe));
    REQUIRE(obeys(probe, "remember"));
    const auto mark = probe.mark();

    broker.stop();
    broker.start();

    CHECK(in_touch(probe, mark));
    CHECK(obeys(probe, "hello"));
    CHECK(probe.messages_on(state_topic).back().payload == "hello");
}

TEST_CASE("mqtt session: a broker that freezes for a while is simply waited for") {
    const Broker broker;
    EchoProcess echo(broker.port());
    MqttProbe probe(broker.port());
    REQUIRE(in_touch(probe));

    broker.freeze();
    std::this_thread::sleep_for(1s);
    CHECK(echo->running());
    broker.thaw();

    CHECK(obeys(probe, "hello"));
    CHECK(echo->output().find("lost") == std::string::npos);
}

TEST_CASE("mqtt session: a frozen broker does not hold up the end") {
    const Broker broker;
    EchoProcess echo(broker.port());
    MqttProbe probe(broker.port());
    REQUIRE(in_touch(probe));

    broker.freeze();
    CHECK(time_to_end(echo) < 1s);
    CHECK(echo->wait_for_exit() == 0);
    broker.thaw();

    CHECK(probe.wait_for(status_topic, "offline").has_value());
}

TEST_CASE("mqtt session: a broker that never answers does not hold up the end") {
    const support::Listener silent;  // the kernel accepts, nobody reads
    EchoProcess echo(silent.port());
    REQUIRE(echo->wait_for_output("echo 0.1.0 started"));
    const auto peer = silent.accept(5s);
    REQUIRE(peer.open());

    CHECK(time_to_end(echo) < 1s);
    CHECK(echo->wait_for_exit() == 0);
}

TEST_CASE("mqtt session: a wrong password is said once, clearly, and without the password") {
    const Broker broker({.users = {{"echo", "right"}, {"probe", "p"}}});
    const support::TemporaryFolder folder;
    const auto secret = folder.write("secret", "wrong-password\n");
    EchoProcess echo(broker.port(), "  username: echo\n  password_file: " + secret.string() + "\n");

    CHECK(echo->wait_for_output("does not let user \"echo\" in (Not authorized), trying again for ever"));
    std::this_thread::sleep_for(1200ms);
    const auto log = echo->output();
    CHECK(log.find("Not authorized") == log.rfind("Not authorized"));
    CHECK(log.find("wrong-password") == std::string::npos);
    CHECK(time_to_end(echo) < 1s);
}

TEST_CASE("mqtt session: a wrong password is also clear over MQTT 3.1.1") {
    const Broker broker({.users = {{"echo", "right"}}});
    EchoProcess echo(broker.port(), "  username: echo\n  protocol: 3.1.1\n", {{"TWC_MQTT_PASSWORD", "wrong"}});

    CHECK(echo->wait_for_output("does not let user \"echo\" in (not authorized)"));
}

TEST_CASE("mqtt session: a refused publish is logged with topic and user, once") {
    const Broker broker({.users = {{"echo", "right"}, {"probe", "p"}},
                         .acl = "user echo\ntopic readwrite twc/#\nuser probe\ntopic readwrite #\n"});
    MqttProbe probe(broker.port(), {"probe", "p"});
    EchoProcess echo(broker.port(), "  username: echo\n", {{"TWC_MQTT_PASSWORD", "right"}});
    REQUIRE(in_touch(probe));

    REQUIRE(obeys(probe, "trespass"));
    REQUIRE(obeys(probe, "trespass"));
    REQUIRE(obeys(probe, "hello"));

    const std::string words = "publish forbidden/topic was refused for user \"echo\": Not authorized (0x87)";
    CHECK(echo->wait_for_output(words, 2s));
    CHECK(echo->output().find(words) == echo->output().rfind(words));
    CHECK(probe.messages_on("forbidden/topic").empty());
}

TEST_CASE("mqtt session: a refused subscription is logged with topic and user") {
    for (const std::string protocol : {"5", "3.1.1"}) {
        CAPTURE(protocol);
        const support::FakeMqttBroker broker({.suback = protocol == "5" ? 0x87 : 0x80});
        EchoProcess echo(broker.port(), "  username: ann\n  protocol: \"" + protocol + "\"\n");

        CHECK(echo->wait_for_output("subscribe twc/echo/set was refused for user \"ann\":"));
    }
}

TEST_CASE("mqtt session: TLS with the right authority") {
    const Broker broker({.tls = true});
    MqttProbe probe(broker.port());
    EchoProcess echo(broker.tls_port(), "  tls:\n    ca_file: " + broker.certificate().string() + "\n");

    CHECK(in_touch(probe));
    CHECK(obeys(probe, "hello"));
}

TEST_CASE("mqtt session: TLS without verification only when asked for") {
    const Broker broker({.tls = true});
    MqttProbe probe(broker.port());
    EchoProcess suspicious(broker.tls_port(), "  tls: {}\n");
    CHECK(suspicious->wait_for_output("does not let user"));
    CHECK_FALSE(probe.latest(status_topic).has_value());

    EchoProcess trusting(broker.tls_port(), "  tls:\n    insecure: true\n");
    CHECK(in_touch(probe));
}

TEST_CASE("mqtt session: falls back to MQTT 3.1.1 however the broker refuses MQTT 5") {
    using namespace std::string_literals;
    for (const auto& refusal : {"\x20\x03\x00\x84\x00"s, "\x20\x02\x00\x01"s}) {
        const support::FakeMqttBroker broker({.refuse_v5 = refusal});
        EchoProcess echo(broker.port());

        CHECK(echo->wait_for_output("connected to 127.0.0.1:" + std::to_string(broker.port()) + " (MQTT 3.1.1)"));
        CHECK(support::eventually([&] { return broker.published().size() >= 3; }));
        CHECK(broker.levels() == std::vector{5, 4});
    }
}

TEST_CASE("mqtt session: a broker told to be MQTT 5 is not asked for less") {
    using namespace std::string_literals;
    const support::FakeMqttBroker broker({.refuse_v5 = "\x20\x03\x00\x84\x00"s});
    EchoProcess echo(broker.port(), "  protocol: \"5\"\n");

    CHECK(support::eventually([&] { return broker.levels().size() >= 2; }));
    CHECK(broker.levels()[1] == 5);
    CHECK(echo->output().find("connected to") == std::string::npos);
}

TEST_CASE("mqtt session: a second copy gives up loudly and the first stays") {
    const Broker broker;
    MqttProbe probe(broker.port());
    EchoProcess first(broker.port());
    REQUIRE(in_touch(probe));
    std::this_thread::sleep_for(5500ms);  // old enough not to count as a newcomer
    EchoProcess second(broker.port());

    CHECK(second->wait_for_exit(20s) == 1);
    CHECK(second->output().find("another copy of this service is running") != std::string::npos);
    CHECK(first->running());
    CHECK(support::eventually([&] { return probe.latest(status_topic)->payload == "online"; }));
    CHECK(obeys(probe, "still here"));
}
