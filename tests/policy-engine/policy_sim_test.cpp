#include <fstream>
#include <sstream>

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "support/broker.hpp"
#include "support/mqtt_probe.hpp"
#include "support/process.hpp"

using namespace std::chrono_literals;

namespace {

constexpr const char* program = BINARY_DIR "/policy-sim";

struct Outcome {
    int code = -1;
    std::string output;
};

Outcome run(const support::TemporaryFolder& folder, std::vector<std::string> arguments) {
    static int number = 0;
    arguments.insert(arguments.begin(), program);
    support::Process process(std::move(arguments), folder / fmt::format("output-{}", ++number));
    const auto code = process.wait_for_exit(30s);
    return {code.value_or(-1), process.output()};
}

std::string content(const std::filesystem::path& file) {
    std::ifstream stream(file);
    std::ostringstream text;
    text << stream.rdbuf();
    return text.str();
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

/// A folder with a configuration, an hour of sun and a scenario.
struct Desk {
    support::TemporaryFolder folder;
    std::string config = folder.write("engine.yaml", "mqtt: {host: broker}\nsite: {phases: 1}\n").string();
    std::string trace = folder.write("day.csv", "t_s,pv_w,load_w\n0,5000,300\n3600,5000,300\n").string();
    std::string scenario =
        folder.write("garage.yaml", "day: day.csv\nchargers: {a: {car: {name: blue, battery_kwh: 60}}}\n").string();
    std::string chart = (folder / "day.svg").string();
};

}  // namespace

TEST_CASE("policy-sim: a trace alone prints the metrics that programs know") {
    const Desk desk;
    const auto outcome = run(desk.folder, {"--config", desk.config, "--trace", desk.trace});
    CHECK(outcome.code == 0);
    const auto metrics = nlohmann::json::parse(outcome.output);
    for (const char* key :
         {"surplus_kwh", "solar_kwh", "grid_kwh", "ev_kwh", "exported_kwh", "self_consumption", "self_sufficiency",
          "starts", "stops", "set_point_changes", "rmse_w", "mae_w", "seconds_over_limit", "ampere_seconds_over_fuse",
          "peak_quarter_hour_w", "bound_relaxed_kwh", "bound_no_import_kwh", "net_kwh", "cost"}) {
        CAPTURE(key);
        CHECK(metrics.contains(key));
    }
}

TEST_CASE("policy-sim: a trace or a scenario with a report and a chart") {
    const Desk desk;
    const auto traced =
        run(desk.folder, {"--config", desk.config, "--trace", desk.trace, "--report", "json", "--chart", desk.chart});
    CHECK(traced.code == 0);
    CHECK(nlohmann::json::parse(traced.output).at("chargers").contains("car"));
    CHECK(content(desk.chart).starts_with("<svg "));

    const auto played = run(desk.folder, {"--config", desk.config, "--scenario", desk.scenario});
    CHECK(played.code == 0);
    CHECK(contains(played.output, "blue"));
    CHECK(contains(played.output, "follows the sun"));
}

TEST_CASE("policy-sim: what is wrong ends it with the code that was promised") {
    const Desk desk;
    const auto no_day = desk.folder.write("no-day.yaml", "chargers: {a: {}}\n").string();
    const auto misspelt = desk.folder.write("misspelt.yaml", "chargers: {a: {frob: 1}}\n").string();
    const auto empty = desk.folder.write("empty.txt", "").string();
    struct Case {
        std::vector<std::string> arguments;
        int code;
        const char* words;
    };
    const std::vector<Case> cases{
        {{"--help"}, 0, "--capture FILE"},
        {{"--version"}, 0, "policy-sim "},
        {{"--config", desk.config}, 2, "needs --config and one of"},
        {{"--config", desk.config, "--stdio", "--trace", desk.trace}, 2, "do not go together"},
        {{"--config", desk.config, "--scenario", no_day}, 2, "day: missing"},
        {{"--config", desk.config, "--scenario", desk.scenario, "--trace", desk.trace}, 2, "expected one of them"},
        {{"--config", desk.config, "--scenario", misspelt}, 2, "misspelt.yaml:1"},
        {{"--config", desk.config, "--set", "site.frob=1", "--trace", desk.trace}, 2, "site.frob"},
        {{"--config", desk.config, "--trace", "/nowhere.csv"}, 1, "/nowhere.csv: cannot be read"},
        {{"--config", desk.config, "--capture", desk.folder.path().string()}, 1, "cannot be read"},
        {{"--config", desk.config, "--capture", empty}, 1, "empty.txt: none of 0 lines"},
        {{"--config", desk.config, "--scenario", desk.scenario, "--chart", "/proc/no.svg"}, 1, "/proc/no.svg"},
    };
    for (const auto& item : cases) {
        CAPTURE(fmt::format("{}", fmt::join(item.arguments, " ")));
        const auto outcome = run(desk.folder, item.arguments);
        CHECK(outcome.code == item.code);
        CHECK_MESSAGE(contains(outcome.output, item.words), outcome.output);
    }
}

TEST_CASE("policy-sim: a recording by mosquitto_sub itself is read, in every format") {
    const Desk desk;
    support::Broker broker;
    support::MqttProbe probe(broker.port());
    struct Recorder {
        std::string file;
        std::unique_ptr<support::Process> process;
    };
    std::vector<Recorder> recorders;
    for (const char* format : {"%U %t %p", "%I %t %p", "%j", "%J"}) {
        Recorder recorder{.file = (desk.folder / fmt::format("capture-{}", recorders.size())).string()};
        recorder.process = std::make_unique<support::Process>(
            std::vector<std::string>{"mosquitto_sub", "-h", "127.0.0.1", "-p", fmt::format("{}", broker.port()), "-t",
                                     "twc/#", "-F", format, "-C", "3"},
            recorder.file);
        recorders.push_back(std::move(recorder));
    }
    // Retained, so that it does not matter who has subscribed already.
    REQUIRE(probe.publish("twc/charger/7744/state",
                          R"({"state":"charging","plugged":true,"power_w":1400,"phases":1,"max_a":32})", true));
    REQUIRE(probe.publish("twc/ems/state", R"({"grid_w":-3000,"pv_w":5000,"quality":"ok","missing":[]})", true));
    REQUIRE(probe.publish("twc/service/ems-bridge/status", "online", true));

    for (auto& recorder : recorders) {
        CAPTURE(recorder.file);
        REQUIRE(recorder.process->wait_for_exit(10s) == 0);
        const auto outcome =
            run(desk.folder, {"--config", desk.config, "--capture", recorder.file, "--report", "json"});
        CHECK_MESSAGE(outcome.code == 0, outcome.output);
        const auto report = nlohmann::json::parse(outcome.output);
        CHECK(report.at("series").at("pv_w")[0] == 5000);
        CHECK(report.at("chargers").contains("7744"));
    }
}
