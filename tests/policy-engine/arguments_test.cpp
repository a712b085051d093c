#include "policy-engine/simulation/arguments.hpp"

#include <sstream>

#include <doctest/doctest.h>

using namespace policy_engine::simulation;

namespace {

// Words separated by blanks.
Arguments parse(const std::string& text) {
    std::istringstream stream(text);
    std::vector<std::string> words;
    for (std::string word; stream >> word;) {
        words.push_back(word);
    }
    std::vector<const char*> pointers;
    for (const auto& word : words) {
        pointers.push_back(word.c_str());
    }
    return parse_arguments(pointers);
}

std::string problem(const std::string& text) {
    try {
        parse(text);
        return "";
    } catch (const BadArgument& error) {
        return error.what();
    }
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("policy-sim arguments: every option is taken") {
    const auto arguments = parse(
        "--config a.yaml --set x=1 --set y=2 --capture day.txt --scenario s.yaml --report json --chart c.svg "
        "--base-topic sites/home/twc --from 2026-06-15T00:00:00Z --to 2026-06-15T12:00:00Z --max-gap 60");
    CHECK(arguments.config_file == "a.yaml");
    CHECK(arguments.overrides == std::vector<std::string>{"x=1", "y=2"});
    CHECK(arguments.capture_file == "day.txt");
    CHECK(arguments.scenario_file == "s.yaml");
    CHECK(arguments.report == ReportKind::json);
    CHECK(arguments.chart_file == "c.svg");
    CHECK(arguments.base_topic == "sites/home/twc");
    REQUIRE(arguments.from);
    CHECK(*arguments.to - *arguments.from == std::chrono::hours(12));
    CHECK(arguments.longest_gap_s == 60);
    CHECK(!arguments.only_trace());
    CHECK(parse("--help").help);
    CHECK(parse("--version").version);
    CHECK(parse("--config a --stdio").stdio);
    CHECK(parse("--config a --trace b").only_trace());
    CHECK(!parse("--config a --trace b --report text").only_trace());
}

TEST_CASE("policy-sim arguments: what makes no sense is refused and named") {
    CHECK(contains(problem(""), "needs --config and one of"));
    CHECK(contains(problem("--config a"), "needs --config and one of"));
    CHECK(contains(problem("--stdio"), "needs --config and one of"));
    CHECK(contains(problem("--config a --stdio --trace b"), "--stdio and --trace do not go together"));
    CHECK(contains(problem("--config a --stdio --chart b"), "--stdio and --chart do not go together"));
    CHECK(contains(problem("--config a --trace b --capture c"), "--trace and --capture do not go together"));
    CHECK(contains(problem("--config a --trace b --from 2026-01-01"), "--from means something with --capture only"));
    CHECK(contains(problem("--config a --stdio --base-topic x"), "--base-topic means something"));
    CHECK(contains(problem("--config a --config b --stdio"), "--config is given twice"));
    CHECK(contains(problem("--config a --trace"), "incomplete argument \"--trace\""));
    CHECK(contains(problem("--config a --frob b"), "unknown or incomplete argument \"--frob\""));
    CHECK(contains(problem("--config a --capture b --report pdf"), "expected text or json"));
    CHECK(contains(problem("--config a --capture b --from yesterday"), "--from: \"yesterday\""));
    CHECK(contains(problem("--config a --capture b --from 2026-04-31"), "--from"));
    CHECK(contains(problem("--config a --capture b --from 2026-01-02 --to 2026-01-01"), "must lie after"));
    CHECK(contains(problem("--config a --capture b --max-gap nan"), "expected 0 to 86400"));
    CHECK(contains(problem("--config a --capture b --max-gap 1x"), "expected 0 to 86400"));
}

TEST_CASE("policy-sim arguments: the help names every option") {
    const auto help = help_text();
    for (const char* name : {"--config", "--set", "--stdio", "--trace", "--capture", "--base-topic", "--from", "--to",
                             "--max-gap", "--scenario", "--report", "--chart", "--version", "--help", "Exit codes"}) {
        CAPTURE(name);
        CHECK(contains(help, name));
    }
}
