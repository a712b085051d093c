#include "live-view/arguments.hpp"

#include <vector>

#include <doctest/doctest.h>

using namespace live_view;

namespace {

std::string problem(const std::vector<const char*>& words) {
    try {
        parse_arguments(words);
        return "";
    } catch (const BadArgument& error) {
        return error.what();
    }
}

}  // namespace

TEST_CASE("arguments: every option is taken") {
    const std::vector<const char*> words{
        "--host",     "broker", "--port",          "1884",     "--base-topic", "sites/home/twc",
        "--username", "cli",    "--password-file", "/p",       "--ca-file",    "/ca",
        "--every",    "2",      "--lines",         "--version"};
    const auto arguments = parse_arguments(words);

    CHECK(arguments.host == "broker");
    CHECK(arguments.port == 1884);
    CHECK(arguments.base_topic == "sites/home/twc");
    CHECK(arguments.username == "cli");
    CHECK(arguments.password_file == "/p");
    CHECK(arguments.ca_file == "/ca");
    CHECK(arguments.line_period == std::chrono::seconds(2));
    CHECK(arguments.lines);
    CHECK(arguments.version);
    CHECK(!arguments.help);
}

TEST_CASE("arguments: a mistake is named with what would be right") {
    CHECK(problem({"--prot", "1"}) == "unknown argument \"--prot\", see --help");
    CHECK(problem({"--port"}) == "--port needs a value, see --help");
    CHECK(problem({"--port", "0"}) == "--port: got \"0\", expected a whole number from 1 to 65535");
    CHECK(problem({"--port", "12x"}) == "--port: got \"12x\", expected a whole number from 1 to 65535");
    CHECK(problem({"--every", "0"}) == "--every: got \"0\", expected a whole number from 1 to 3600");
}

TEST_CASE("arguments: the help names every option") {
    for (const char* option : {"--host", "--port", "--base-topic", "--username", "--password-file", "--ca-file",
                               "--lines", "--every", "--version", "--help", "NO_COLOR"}) {
        CAPTURE(option);
        CHECK(help_text().find(option) != std::string::npos);
    }
}
