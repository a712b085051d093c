#include <algorithm>
#include <csignal>
#include <fstream>

#include <doctest/doctest.h>

#include "echo_process.hpp"
#include "support/broker.hpp"
#include "support/eventually.hpp"
#include "support/mqtt_probe.hpp"
#include "support/notify_listener.hpp"
#include "support/socket.hpp"

using namespace std::chrono_literals;
using support::Process;

namespace {

struct Ended {
    int code = -1;
    std::string output;
};

Ended run(const std::vector<std::string>& arguments, const Process::Environment& environment = {}) {
    const support::TemporaryFolder folder;
    std::vector<std::string> command{EchoProcess::binary()};
    command.insert(command.end(), arguments.begin(), arguments.end());
    Process process(command, folder / "output", environment);
    const int code = process.wait_for_exit().value_or(-1);
    return {code, process.output()};
}

Ended check(const std::string& yaml, const std::vector<std::string>& more = {}) {
    const support::TemporaryFolder folder;
    const auto file = folder.write("x.yaml", yaml);
    std::vector<std::string> arguments{"--check-config", "--config", file};
    arguments.insert(arguments.end(), more.begin(), more.end());
    auto result = run(arguments);
    // Places are named relative to the file, whatever the folder is called.
    for (auto at = result.output.find(file.string()); at != std::string::npos; at = result.output.find(file.string())) {
        result.output.replace(at, file.string().size(), "x.yaml");
    }
    return result;
}

}  // namespace

TEST_CASE("run: tells its version and how to use it") {
    CHECK(run({"--version"}).output == "echo 0.1.0\n");
    CHECK(run({"--version"}).code == 0);
    const auto help = run({"--help"});
    CHECK(help.code == 0);
    for (const char* word : {"--config", "--set", "--check-config", "--healthcheck", "says what it was told"}) {
        CHECK(help.output.find(word) != std::string::npos);
    }
}

TEST_CASE("run: arguments it does not know end it with code 2") {
    for (const auto& arguments :
         std::vector<std::vector<std::string>>{{"--confg", "x"}, {"--config"}, {"--set"}, {"x"}}) {
        const auto result = run(arguments);
        CHECK(result.code == 2);
        CHECK(result.output == "echo: unknown or incomplete argument \"" + arguments[0] + "\", see --help\n");
    }
}

TEST_CASE("run: checks a configuration without starting") {
    CHECK(check("greeting: hi\n").output == "x.yaml: ok\n");
    CHECK(check("greeting: hi\n").code == 0);
    CHECK(check("").code == 0);
}

TEST_CASE("run: reports every problem of the shared keys with its place") {
    const auto result = check(
        "mqtt:\n  site: My House\n  base_topic: /twc\n  port: 70000\n  protocol: 4\n  hots: x\n"
        "  password_file: /no/such/file\n  tls: {ca_file: /no/such/ca, cert_file: /dev/null}\nlog:\n  level: inof\n"
        "greting: hi\n");

    CHECK(result.code == 2);
    CHECK(result.output ==
          "x.yaml:2:3: mqtt.site: \"My House\" is not made of a-z, 0-9, _ and -\n"
          "x.yaml:3:3: mqtt.base_topic: \"/twc\" is not levels of letters, digits, _ and -\n"
          "x.yaml:8:9: mqtt.tls.ca_file: \"/no/such/ca\" cannot be read\n"
          "x.yaml:8:31: mqtt.tls.cert_file: cert_file and key_file go together\n"
          "x.yaml:4:3: mqtt.port: 70000 is outside 1 to 65535\n"
          "x.yaml:5:3: mqtt.protocol: \"4\" is not one of auto, 5, 3.1.1\n"
          "x.yaml:7:3: mqtt.password_file: /no/such/file: cannot read: no such file\n"
          "x.yaml:7:3: mqtt.password_file: is of no use without username\n"
          "x.yaml:6:3: mqtt.hots: unknown key\n"
          "x.yaml:10:3: log.level: \"inof\" is not one of trace, debug, info, warn, error\n"
          "x.yaml:11:1: greting: unknown key\n");
}

TEST_CASE("run: the shared keys of Home Assistant are checked, and its prefix stays out of our topics") {
    CHECK(check("home_assistant: {discovery: device, prefix: ha/discovery}\n").code == 0);
    CHECK(check("home_assistant: {discovery: off}\n").code == 0);
    CHECK(check("mqtt: {base_topic: home}\nhome_assistant: {prefix: homeassistant}\n").code == 0);
    CHECK(check("home_assistant:\n  discovery: yes\n  prefix: a b\n  prefx: x\n").output ==
          "x.yaml:2:3: home_assistant.discovery: \"yes\" is not one of entity, device, off\n"
          "x.yaml:3:3: home_assistant.prefix: \"a b\" is not levels of letters, digits, _ and -\n"
          "x.yaml:4:3: home_assistant.prefx: unknown key\n");
    for (const std::string prefix : {"twc", "twc/ha"}) {
        CHECK(check("home_assistant:\n  prefix: " + prefix + "\n").output ==
              "x.yaml:2:3: home_assistant.prefix: \"" + prefix + "\" lies inside mqtt.base_topic \"twc\"\n");
    }
}

TEST_CASE("run: a configuration that is no file, no YAML or no text ends with code 2") {
    CHECK(run({"--config", "/no/such.yaml"}).output == "/no/such.yaml: cannot read: no such file\n");
    CHECK(run({"--config", "/no/such.yaml"}).code == 2);
    CHECK(run({"--config", "/tmp"}).output == "/tmp: cannot read: Is a directory\n");
    CHECK(run({"--config", "/tmp"}).code == 2);
    CHECK(check(std::string("\x00\x01\xff\xfe\x80", 5)).code == 2);
    CHECK(check("a:\n\t- b\n").code == 2);
}

TEST_CASE("run: single keys can be set on the command line") {
    CHECK(check("mqtt:\n  port: 70000\n", {"--set", "mqtt.port=1884"}).code == 0);
    const auto bad = check("", {"--set", "mqtt.port=x", "--set", "mqtt.hots=y"});
    CHECK(bad.code == 2);
    CHECK(bad.output ==
          "--set mqtt.port: expected a whole number from 1 to 65535, got \"x\"\n"
          "--set mqtt.hots: unknown key\n");
    CHECK(check("", {"--set", "nonsense"}).output == "--set nonsense: expected path.to.key=value\n");
}

TEST_CASE("run: --healthcheck tells a connected service from a lonely one and from none") {
    support::Broker broker;
    const support::MqttProbe probe(broker.port());
    EchoProcess echo(broker.port());
    const auto health = [&] {
        auto arguments = echo.command({"--healthcheck"});
        arguments.erase(arguments.begin());
        return run(arguments);
    };
    CHECK(support::eventually([&] { return health().output == "healthy\n"; }));
    CHECK(health().code == 0);

    broker.stop();
    CHECK(support::eventually([&] { return health().output == "alive, but not connected to the broker\n"; }, 10s));
    CHECK(health().code == 1);

    echo->kill();
    echo->wait_for_exit();
    EchoProcess ended(broker.port());
    REQUIRE(ended->wait_for_output("started"));
    ended->send_signal(SIGTERM);
    ended->wait_for_exit();
    auto arguments = ended.command({"--healthcheck"});
    arguments.erase(arguments.begin());
    CHECK(run(arguments).code == 1);
}

TEST_CASE("run: SIGTERM and SIGINT end it within a second when the broker is away") {
    for (const int signal : {SIGTERM, SIGINT}) {
        EchoProcess echo(support::free_port());
        REQUIRE(echo->wait_for_output("trying again for ever"));
        const auto begin = std::chrono::steady_clock::now();
        echo->send_signal(signal);

        CHECK(echo->wait_for_exit(5s) == 0);
        CHECK(std::chrono::steady_clock::now() - begin < 1s);
    }
}

TEST_CASE("run: a worker that hangs in a device's call does not hold up the end") {
    const support::Broker broker;
    support::MqttProbe probe(broker.port());
    EchoProcess echo(broker.port());
    REQUIRE(probe.wait_for("twc/service/echo/status", "online").has_value());
    REQUIRE(probe.publish("twc/echo/set", "hang"));
    REQUIRE(probe.wait_for("twc/echo/state", "hang").has_value());
    const auto begin = std::chrono::steady_clock::now();
    echo->send_signal(SIGTERM);

    CHECK(echo->wait_for_exit(5s) == 0);
    CHECK(std::chrono::steady_clock::now() - begin < 1s);
    CHECK(probe.wait_for("twc/service/echo/status", "offline").has_value());
}

TEST_CASE("run: an exception out of the loop and a failure end it with code 1, offline first") {
    for (const std::string trouble : {"throw", "fail"}) {
        CAPTURE(trouble);
        const support::Broker broker;
        support::MqttProbe probe(broker.port());
        EchoProcess echo(broker.port());
        REQUIRE(probe.wait_for("twc/service/echo/status", "online").has_value());
        probe.publish("twc/echo/set", trouble);

        CHECK(echo->wait_for_exit(5s) == 1);
        const auto output = echo->output();
        CAPTURE(output);
        CHECK(output.find("told to " + trouble) != std::string::npos);
        CHECK(probe.wait_for("twc/service/echo/status", "offline").has_value());
        CHECK(broker.log().find("Received DISCONNECT from twc-echo-home") != std::string::npos);
    }
}

TEST_CASE("run: a service that cannot be built ends with code 1 and says why") {
    const support::TemporaryFolder folder;
    const auto result = run({"--config", folder.write("x.yaml", "greeting: stillborn\n")});

    CHECK(result.code == 1);
    CHECK(result.output.find("echo failed: no serial port") != std::string::npos);
}

TEST_CASE("run: SIGHUP reads the log level again, and leaves it when the file is wrong") {
    const support::Broker broker;
    support::MqttProbe probe(broker.port());
    EchoProcess echo(broker.port());
    REQUIRE(probe.wait_for("twc/service/echo/status", "online").has_value());
    const auto set_level = [&](const std::string& level) {
        std::ofstream(echo.config()) << "log:\n  level: " << level << "\n";
        echo->send_signal(SIGHUP);
    };

    set_level("debug");
    CHECK(echo->wait_for_output("log level is now debug"));
    set_level("inof");
    CHECK(echo->wait_for_output("not reloaded: " + echo.config().string() + ":2:3: log.level: \"inof\" is not one of"));
    probe.publish("twc/echo/set", "debug");
    CHECK(echo->wait_for_output("a word of detail"));
    CHECK(echo->running());
}

TEST_CASE("run: logs JSON lines when asked") {
    EchoProcess echo(support::free_port(), "log: {format: json}\n");
    CHECK(echo->wait_for_output("\"message\":\"echo 0.1.0 started\""));
}

TEST_CASE("run: tells systemd that it is ready, alive and ending") {
    const support::TemporaryFolder folder;
    support::NotifyListener systemd((folder / "notify").string());
    const support::Broker broker;
    EchoProcess echo(broker.port(), "", {{"NOTIFY_SOCKET", (folder / "notify").string()}, {"WATCHDOG_USEC", "300000"}});
    std::vector<std::string> heard;
    const auto hears = [&](const std::string& word) {
        return support::eventually([&] {
            for (auto& message : systemd.heard()) {
                heard.push_back(std::move(message));
            }
            return std::find(heard.begin(), heard.end(), word) != heard.end();
        });
    };

    CHECK(hears("READY=1\nSTATUS=connected to the broker"));
    heard.clear();
    CHECK(hears("WATCHDOG=1"));
    heard.clear();
    CHECK(hears("WATCHDOG=1"));
    echo->send_signal(SIGTERM);
    CHECK(hears("STOPPING=1\nSTATUS=ending"));
    CHECK(echo->wait_for_exit() == 0);
}
