#include "service/health_file.hpp"

#include <fstream>

#include <doctest/doctest.h>

#include "scheduling/simulated_loop.hpp"
#include "support/temporary_folder.hpp"

using namespace service;
using namespace std::chrono_literals;

TEST_CASE("health file: tells a live and connected service from all others") {
    const support::TemporaryFolder folder;
    const auto file = folder / "x.health";
    scheduling::SimulatedLoop loop;
    loop.run_for(1000s);
    bool connected = true;
    {
        const HealthFile health(loop, file, [&] { return connected; });
        loop.run_for(1s);
        CHECK(check_health_file(file, loop.now()).words == "healthy");
        CHECK(check_health_file(file, loop.now()).healthy);

        loop.run_for(60s);
        CHECK(check_health_file(file, loop.now()).healthy);
        connected = false;
        loop.run_for(6s);
        CHECK(check_health_file(file, loop.now()).words == "alive, but not connected to the broker");
        CHECK_FALSE(check_health_file(file, loop.now()).healthy);
        connected = true;
        loop.run_for(6s);
        CHECK(check_health_file(file, loop.now()).healthy);

        CHECK(check_health_file(file, loop.now() + 20s).words.starts_with("last sign of life 2"));
        CHECK(check_health_file(file, loop.now() - 900s).words == "last sign of life before this boot");
    }
    CHECK_FALSE(check_health_file(file, loop.now()).healthy);
    CHECK(check_health_file(file, loop.now()).words == file.string() + ": not there; the service is not running");
}

TEST_CASE("health file: a jump of the civil clock changes nothing") {
    const support::TemporaryFolder folder;
    scheduling::SimulatedLoop loop;
    const HealthFile health(loop, folder / "h", [] { return true; });
    loop.jump_wall_clock(-86400s);
    loop.run_for(2s);

    CHECK(check_health_file(folder / "h", loop.now()).healthy);
}

TEST_CASE("health file: follows no link that someone else put there") {
    const support::TemporaryFolder folder;
    folder.write("precious", "do not touch");
    std::filesystem::create_symlink(folder / "precious", folder / "h");
    scheduling::SimulatedLoop loop;
    const HealthFile health(loop, folder / "h", [] { return true; });
    loop.run_for(10s);

    std::ifstream stream(folder / "precious");
    std::string text;
    std::getline(stream, text);
    CHECK(text == "do not touch");
}

TEST_CASE("health file: one that cannot be written does not stop the service") {
    scheduling::SimulatedLoop loop;
    const HealthFile health(loop, "/no/such/folder/h", [] { return true; });
    CHECK_NOTHROW(loop.run_for(20s));
}
