#include "service/supervisor.hpp"

#include <array>
#include <cstddef>
#include <cstdlib>
#include <optional>
#include <string>
#include <unistd.h>
#include <vector>

#include <doctest/doctest.h>
#include <fmt/format.h>

#include "messaging/in_memory_broker.hpp"
#include "scheduling/simulated_loop.hpp"
#include "support/notify_listener.hpp"
#include "support/temporary_folder.hpp"

using namespace service;
using namespace std::chrono_literals;
using support::NotifyListener;

namespace {

using Words = std::vector<std::string>;

/// A supervisor's view of a service whose broker a test can take away.
struct Rig {
    explicit Rig(std::string socket, std::optional<scheduling::Duration> watchdog = {})
        : listener(socket), settings{.socket = std::move(socket), .watchdog = watchdog} {}

    scheduling::SimulatedLoop loop;
    messaging::InMemoryBroker broker{loop};
    std::unique_ptr<messaging::InMemoryClient> bus = broker.connect("x");
    NotifyListener listener;
    SupervisorSettings settings;
};

std::string abstract_name(int number) { return fmt::format("@twc-mqtt-test-{}-{}", getpid(), number); }

}  // namespace

TEST_CASE("supervisor: ready is said at the first connection, ending at the end, on a socket in the file system") {
    const support::TemporaryFolder folder;
    Rig rig((folder / "notify").string());
    rig.broker.go_down();
    rig.loop.run_for(1s);
    Supervisor supervisor(rig.loop, *rig.bus, rig.settings);
    rig.loop.run_for(3s);
    CHECK(rig.listener.heard() == Words{});

    rig.broker.go_up();
    rig.loop.run_for(30s);
    CHECK(rig.listener.heard() == Words{"READY=1\nSTATUS=connected to the broker"});

    supervisor.say_stopping();
    CHECK(rig.listener.heard() == Words{"STOPPING=1\nSTATUS=ending"});
}

TEST_CASE("supervisor: ready is said once, after ten seconds, though the broker is away, on an abstract socket") {
    Rig rig(abstract_name(1));
    rig.broker.go_down();
    rig.loop.run_for(1s);
    const Supervisor supervisor(rig.loop, *rig.bus, rig.settings);
    rig.loop.run_for(9900ms);
    CHECK(rig.listener.heard() == Words{});

    rig.loop.run_for(20s);
    CHECK(rig.listener.heard() == Words{"READY=1\nSTATUS=the broker is away"});
    rig.broker.go_up();
    rig.loop.run_for(1s);
    CHECK(rig.listener.heard() == Words{"STATUS=connected to the broker"});
    rig.broker.go_down();
    rig.loop.run_for(1s);
    CHECK(rig.listener.heard() == Words{"STATUS=the broker is away"});
}

TEST_CASE("supervisor: signs of life come three times in the watchdog's time, as long as the loop runs") {
    Rig rig(abstract_name(2), 30s);
    const Supervisor supervisor(rig.loop, *rig.bus, rig.settings);
    rig.loop.run_for(61s);

    auto heard = rig.listener.heard();
    CHECK(std::erase(heard, "WATCHDOG=1") == 6);
    CHECK(heard == Words{"READY=1\nSTATUS=connected to the broker"});
    CHECK(rig.listener.heard() == Words{});  // nobody runs the loop
}

TEST_CASE("supervisor: without a socket nothing is said and nothing is left to do") {
    scheduling::SimulatedLoop loop;
    messaging::InMemoryBroker broker(loop);
    const auto bus = broker.connect("x");
    Supervisor supervisor(loop, *bus, {.socket = "", .watchdog = 1s});

    CHECK_NOTHROW(loop.run_for(20s));
    CHECK_NOTHROW(supervisor.say_stopping());
}

TEST_CASE("supervisor: ready is said again until somebody hears it") {
    const support::TemporaryFolder folder;
    scheduling::SimulatedLoop loop;
    messaging::InMemoryBroker broker(loop);
    const auto bus = broker.connect("x");
    const Supervisor supervisor(loop, *bus, {.socket = (folder / "late").string(), .watchdog = {}});
    loop.run_for(5s);
    NotifyListener listener((folder / "late").string());
    loop.run_for(5s);

    CHECK(listener.heard() == Words{"READY=1\nSTATUS=connected to the broker"});
}

TEST_CASE("supervisor: an address that is none does not stop the service") {
    for (const auto& address : {std::string("notify"), std::string("vsock:2:1"), "/" + std::string(200, 'x')}) {
        scheduling::SimulatedLoop loop;
        messaging::InMemoryBroker broker(loop);
        const auto bus = broker.connect("x");
        Supervisor supervisor(loop, *bus, {.socket = address, .watchdog = 3s});

        CHECK_NOTHROW(loop.run_for(20s));
        CHECK_NOTHROW(supervisor.say_stopping());
    }
}

TEST_CASE("supervisor: the watchdog of another process is not ours") {
    const auto settings_with = [](const std::string& usec, const std::string& pid) {
        setenv("NOTIFY_SOCKET", "@x", 1);          // NOLINT(concurrency-mt-unsafe)
        setenv("WATCHDOG_USEC", usec.c_str(), 1);  // NOLINT(concurrency-mt-unsafe)
        setenv("WATCHDOG_PID", pid.c_str(), 1);    // NOLINT(concurrency-mt-unsafe)
        auto settings = supervisor_settings_from_environment();
        for (const char* name : {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}) {
            unsetenv(name);  // NOLINT(concurrency-mt-unsafe)
        }
        return settings;
    };

    CHECK(settings_with("30000000", "").watchdog == scheduling::Duration(30s));
    CHECK(settings_with("30000000", std::to_string(getpid())).watchdog == scheduling::Duration(30s));
    CHECK_FALSE(settings_with("30000000", std::to_string(getppid())).watchdog.has_value());
    CHECK_FALSE(settings_with("30s", "").watchdog.has_value());
    CHECK_FALSE(settings_with("-1", "").watchdog.has_value());
    CHECK(settings_with("1", "").socket == "@x");
    CHECK(supervisor_settings_from_environment().socket.empty());
}
