#include "ems-bridge/config.hpp"

#include <filesystem>
#include <fstream>
#include <unistd.h>

#include <doctest/doctest.h>
#include <fmt/format.h>

using namespace ems_bridge;
using namespace std::chrono_literals;

namespace {

const std::filesystem::path templates = std::filesystem::path(SOURCE_DIR) / "services/ems-bridge/templates";

// A file with a secret in it, removed at the end.
struct SecretFile {
    std::filesystem::path path = std::filesystem::temp_directory_path() / fmt::format("ems-bridge-secret-{}", getpid());
    SecretFile() { std::ofstream(path) << "s3cret\n"; }
    ~SecretFile() { std::filesystem::remove(path); }
    SecretFile(const SecretFile&) = delete;
    SecretFile& operator=(const SecretFile&) = delete;
};

// Reads it as `service::run` does, with the sections that are not ours taken for known.
Config read(const std::string& yaml) {
    const config::Document document(yaml, "ems.yaml");
    document.root().has("mqtt");
    document.root().has("log");
    document.root().has("home_assistant");
    auto config = read_config(document.root(), templates);
    document.finish();
    return config;
}

std::string problems(const std::string& yaml) {
    try {
        read(yaml);
    } catch (const config::ConfigError& error) {
        return error.what();
    }
    return "none";
}

std::string problems_of_source(const std::string& source) { return problems("sources:\n  - {" + source + "}\n"); }

}  // namespace

TEST_CASE("config: the shipped example loads") {
    const auto config = read(config::read_file(std::filesystem::path(SOURCE_DIR) / "config/ems-bridge.yaml"));

    REQUIRE(config.sources.size() == 1);
    CHECK(config.sources[0].type == "push");
    CHECK(config.limits.power_w == 3 * 3 * 230 * 63);
    CHECK_FALSE(config.place);
}

TEST_CASE("config: the sources that the example explains are valid as they stand") {
    SecretFile secret;
    std::string text = config::read_file(std::filesystem::path(SOURCE_DIR) / "config/ems-bridge.yaml");
    const auto first = text.find("  # - name: roof");
    std::string shown = "sources:\n";
    std::istringstream lines(text.substr(first));
    for (std::string line; std::getline(lines, line);) {
        if (line.size() > 4 && line.starts_with("  # ")) {
            line = "  " + line.substr(4);
        }
        const auto path = line.find("/run/secrets/");
        if (path != std::string::npos) {
            line.replace(path, line.find_first_of(",} ", path) - path, secret.path.string());
        }
        shown += line + "\n";
    }

    const auto config = read(shown);

    REQUIRE(config.sources.size() == 6);
    CHECK(config.sources[0].type == "solaredge");
    CHECK(config.sources[0].member.roles == Roles{Role::grid, Role::pv, Role::house});
    CHECK(config.sources[5].type == "shelly-pro-3em");
}

TEST_CASE("config: a misspelt key is refused in each section") {
    CHECK(problems("site: {latitud: 1}\nsources: [{name: a, type: push}]") ==
          "ems.yaml:1:8: site.latitud: unknown key");
    CHECK(problems("sorces: []\nsources: [{name: a, type: push}]") == "ems.yaml:1:1: sorces: unknown key");
    for (const char* source : {"name: a, type: push, role: [grid]", "name: a, type: solaredge, host: x, metr: 1",
                               "name: a, type: sunspec, roles: [grid], host: x, unti: 1",
                               "name: a, type: http, url: 'http://x', values: {grid_w: {ptr: /a}}, urll: 1",
                               "name: a, type: mqtt, topics: {a: b}, values: {grid_w: {doc: a}}, topic: c",
                               "name: a, template: shelly-3em, host: x, hots: y"}) {
        CAPTURE(source);
        CHECK(problems_of_source(source).find("unknown key") != std::string::npos);
    }
    CHECK(problems_of_source("name: a, type: http, url: 'http://x', values: {grid_w: {ptr: /a}}, tls: {pn: x}")
              .find("sources[0].tls.pn: unknown key") != std::string::npos);
}

TEST_CASE("config: what cannot work is refused with its reason") {
    CHECK(problems("{}").find("sources: names no source") != std::string::npos);
    CHECK(problems_of_source("type: push").find("sources[0].name: missing") != std::string::npos);
    CHECK(problems_of_source("name: A b, type: push").find("is not made of a-z") != std::string::npos);
    CHECK(problems_of_source("name: a").find("sources[0].type: missing") != std::string::npos);
    CHECK(problems_of_source("name: a, type: modbus").find("\"modbus\" is not one of solaredge") != std::string::npos);
    CHECK(problems_of_source("name: a, type: push, template: shelly-3em").find("either") != std::string::npos);
    CHECK(problems_of_source("name: a, template: nope").find("unknown template") != std::string::npos);
    CHECK(problems_of_source("name: a, template: shelly-3em").find("sources[0].host: missing") != std::string::npos);
    CHECK(problems_of_source("name: a, template: esphome, host: x").find("nothing to read") != std::string::npos);
    CHECK(problems_of_source("name: a, template: shelly-3em, host: x, roles: [pv]").find("cannot give pv") !=
          std::string::npos);
    CHECK(problems_of_source("name: a, template: victron-gx, host: x, port: 99999").find("outside 1 to 65535") !=
          std::string::npos);
    CHECK(problems_of_source("name: a, type: push, roles: [sun]").find("\"sun\" is not one of") != std::string::npos);
    CHECK(problems_of_source("name: a, type: sunspec, host: x").find("sources[0].roles: missing") != std::string::npos);
    CHECK(problems_of_source("name: a, type: solaredge, host: x, interval_s: 10, stale_after_s: 5")
              .find("must be longer than interval_s") != std::string::npos);
    CHECK(problems_of_source("name: a, type: http, url: 'file:///etc/passwd', values: {grid_w: {ptr: /a}}")
              .find("expected http://") != std::string::npos);
    CHECK(problems_of_source("name: a, type: mqtt, topics: {a: 'x/#'}, values: {grid_w: {doc: a}}")
              .find("without wildcards") != std::string::npos);
    CHECK(problems_of_source("name: a, type: mqtt, topics: {a: x}, values: {grid_w: {doc: b}}")
              .find("doc \"b\" is not one of the topics") != std::string::npos);
    CHECK(problems_of_source("name: a, type: mqtt, topics: {a: twc/ems/state}, values: {grid_w: {doc: a}}")
              .find("own branch") != std::string::npos);
    CHECK(problems("sources: [{name: a, type: push}, {name: a, type: push}]").find("used twice") != std::string::npos);
    CHECK(problems("sources: [{name: a, type: push}, {name: b, type: push}]").find("one push source") !=
          std::string::npos);
}

TEST_CASE("config: https to a Powerwall needs an explicit choice of trust") {
    SecretFile secret;
    const std::string base = "name: a, type: powerwall, url: 'https://x', password_file: " + secret.path.string();

    CHECK(problems_of_source(base).find("sources[0].tls: missing") != std::string::npos);
    CHECK(problems_of_source(base + ", tls: {}").find("exactly one of") != std::string::npos);
    CHECK(problems_of_source(base + ", tls: {accept_any: true, pin: 'sha256//x'}").find("exactly one of") !=
          std::string::npos);
    CHECK(problems_of_source(base + ", tls: {pin: abc}").find("expected sha256//") != std::string::npos);
    CHECK(problems_of_source(base + ", tls: {ca_file: /not/there}").find("cannot be read") != std::string::npos);
    CHECK(problems_of_source(base + ", tls: {accept_any: true}") == "none");
    CHECK(problems_of_source("name: a, type: powerwall, url: 'http://x', password_file: /not/there")
              .find("/not/there: cannot read") != std::string::npos);
}

TEST_CASE("config: intervals, limits and defaults of a source") {
    const auto config = read(R"(
sources:
  - {name: a, template: shelly-3em, host: x}
  - {name: b, template: shelly-3em, host: x, interval_s: 20}
  - {name: c, type: solaredge, host: x, battery: true, battery_kwh: 10, includes_chargers: false, retry_max_s: 30}
)");

    CHECK(config.sources[0].member.stale_after == 15s);
    CHECK(std::get<Polled>(config.sources[0].access).cadence.interval == 2s);
    CHECK(config.sources[1].member.stale_after == 60s);
    CHECK(config.sources[2].member.roles == Roles{Role::grid, Role::pv, Role::battery, Role::house});
    CHECK(config.sources[2].member.battery_kwh == 10);
    CHECK_FALSE(config.sources[2].member.includes_chargers);
    CHECK(std::get<Polled>(config.sources[2].access).cadence.longest_pause == 30s);
}
