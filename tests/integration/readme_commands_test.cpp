#include <algorithm>
#include <csignal>
#include <sstream>

#include <doctest/doctest.h>
#include <fmt/format.h>

#include "stack.hpp"
#include "support/shipped_broker.hpp"

using namespace std::chrono_literals;

namespace {

// The lines of the first fenced block under a heading of the README.
std::vector<std::string> commands_under(const std::string& heading) {
    std::istringstream readme(support::project_file("README.md"));
    std::vector<std::string> commands;
    bool under_heading = false;
    bool in_block = false;
    for (std::string line; std::getline(readme, line);) {
        if (line == "```" && in_block) {
            return commands;
        }
        if (in_block) {
            commands.push_back(line);
        }
        under_heading = under_heading || line == heading;
        in_block = in_block || (under_heading && line == "```");
    }
    return {};
}

// A user of the shell whose mosquitto_pub knows where the broker is, as the README tells how.
class Shell {
public:
    Shell(const support::TemporaryFolder& folder, int port) : home_(folder.path()) {
        folder.write("cli.password", "cli-password");
        run(fmt::format(SOURCE_DIR "/deploy/mqtt-login.sh 127.0.0.1 {} <{}", port, (folder / "cli.password").string()));
    }

    void run(const std::string& line) const {
        auto process = start(line);
        const auto code = process->wait_for_exit();
        INFO(process->output());
        REQUIRE(code == 0);
    }

    std::unique_ptr<support::Process> start(const std::string& line) const {
        return std::make_unique<support::Process>(
            std::vector<std::string>{"sh", "-c", line}, home_ / "shell.log",
            support::Process::Environment{{"HOME", home_}, {"XDG_CONFIG_HOME", home_ / ".config"}});
    }

private:
    std::filesystem::path home_;
};

// What a command is for, seen in what the stack says or does.
struct Effect {
    std::string command;  ///< Its beginning.
    std::function<bool(const Stack&)> seen;
};

bool override_is(const Stack& stack, double amps) {
    const auto state = stack.last_json("twc/policy/override/state");
    return state.value("active", false) && state["amps"] == amps;
}

const std::vector<Effect> effects{
    {"mosquitto_pub -t twc/policy/override/set -m '16 30m'",
     [](const Stack& stack) {
         return override_is(stack, 16) && stack.field("twc/policy/override/state", "until").is_string() &&
                stack.wire_a() == 16;
     }},
    {"mosquitto_pub -t twc/policy/override/set -m off",
     [](const Stack& stack) { return override_is(stack, 0) && stack.wire_a() == 0; }},
    {"mosquitto_pub -t twc/policy/override/set -m clear",
     [](const Stack& stack) { return stack.field("twc/policy/override/state", "active") == false; }},
    {"mosquitto_pub -t twc/policy/mode/set -m solar",
     [](const Stack& stack) {
         return stack.field("twc/policy/state", "mode") == "solar" &&
                stack.field("twc/policy/settings", "mode") == "solar";
     }},
    {"mosquitto_pub -t twc/policy/charger/7744/max_a/set -m 10",
     [](const Stack& stack) { return stack.field("twc/policy/charger/7744/state", "max_a") == 10; }},
    {"mosquitto_pub -t twc/policy/vehicle/kestrel/priority/set -m 8",
     [](const Stack& stack) { return stack.last_json("twc/policy/settings")["vehicle"]["kestrel"]["priority"] == 8; }},
    {"mosquitto_pub -t twc/policy/plan/set -m '{\"vehicle\":\"kestrel\",\"energy_kwh\":20,\"by\":\"07:00\"}'",
     [](const Stack& stack) {
         const auto plans = stack.last_json("twc/policy/settings")["plans"];
         return plans.size() == 1 && plans[0]["energy_kwh"] == 20;
     }},
    {"mosquitto_pub -t twc/ems/input/grid_power/set -m -1840",
     [](const Stack& stack) { return stack.field("twc/ems/source/push/state", "grid_w") == -1840; }},
    {"mosquitto_pub -t twc/bus/estop/set -m stop",
     [](const Stack& stack) { return stack.field("twc/bus/state", "estop") == true && stack.wire_a() == 0; }},
    {"mosquitto_pub -t twc/bus/estop/set -m release",
     [](const Stack& stack) { return stack.field("twc/bus/state", "estop") == false; }},
};

// The stack of the tests has no pushed meter and does not know the car's battery.
void add_what_the_page_needs(Stack& stack) {
    for (const auto& [service, old, replacement] :
         {std::tuple{"ems-bridge", "roles: [battery]", "roles: [grid, battery]"},
          std::tuple{"policy-engine", "state_file:", "vehicles: {kestrel: {battery_kwh: 75}}\nstate_file:"}}) {
        const std::string file = std::string(service) + ".yaml";
        std::ifstream stream(stack.folder / file);
        std::string text{std::istreambuf_iterator<char>(stream), {}};
        text.replace(text.find(old), std::string(old).size(), replacement);
        stack.folder.write(file, text);
        stack.stop(service);
        stack.start(service);
    }
}

void check_watching(const Shell& shell, const std::string& command, const std::string& expected,
                    const std::function<void()>& cause) {
    CAPTURE(command);
    const auto watcher = shell.start("exec " + command);
    CHECK(support::eventually(
        [&] {
            cause();
            return watcher->wait_for_output(expected, 500ms);
        },
        10s));
    watcher->send_signal(SIGTERM);
}

}  // namespace

TEST_CASE("README: every command of its page from a shell does what it says, as written") {
    Stack stack;
    INFO(stack.logs());
    add_what_the_page_needs(stack);
    REQUIRE(stack.charges(60s));
    REQUIRE(support::eventually([&] { return stack.field("twc/vehicle/kestrel/state", "soc_pct").is_number(); }, 20s));
    const Shell shell(stack.folder, stack.broker.port());
    std::size_t done = 0;
    std::size_t watched = 0;
    for (const auto& command : commands_under("## From a shell")) {
        CAPTURE(command);
        if (command.starts_with("mosquitto_sub -t twc/policy/charger/7744/state")) {
            check_watching(shell, command, "\"reason\":\"", [] {});
            ++watched;
            continue;
        }
        if (command.starts_with("mosquitto_sub -t twc/service/policy-engine/event")) {
            check_watching(shell, command, "\"event_type\":\"command_rejected\"",
                           [&] { stack.probe.publish("twc/policy/mode/set", "sideways"); });
            ++watched;
            continue;
        }
        const auto effect =
            std::ranges::find_if(effects, [&](const Effect& each) { return command.starts_with(each.command); });
        REQUIRE(effect != effects.end());
        shell.run(command);
        CHECK(support::eventually([&] { return effect->seen(stack); }, 20s));
        ++done;
    }
    CHECK(done == effects.size());
    CHECK(watched == 2);
}

TEST_CASE("README: somebody else's settings of mosquitto_pub are not overwritten") {
    const support::TemporaryFolder home;
    std::filesystem::create_directory(home / ".config");
    home.write(".config/mosquitto_pub", "-h elsewhere\n");
    support::Process login({"sh", "-c", "echo secret | " SOURCE_DIR "/deploy/mqtt-login.sh"}, home / "log",
                           {{"HOME", home.path()}, {"XDG_CONFIG_HOME", home / ".config"}});
    CHECK(login.wait_for_exit() == 1);
    CHECK(login.output().find("is somebody else's") != std::string::npos);
    CHECK_FALSE(std::filesystem::exists(home / ".config/mosquitto_sub"));
}
