#include "ems-bridge/tariffs/tariff_config.hpp"

#include <filesystem>
#include <fstream>
#include <sstream>
#include <unistd.h>

#include <doctest/doctest.h>
#include <fmt/format.h>

#include "ems-bridge/config.hpp"
#include "ems-bridge/forecasts/forecast_config.hpp"
#include "support.hpp"

using namespace ems_bridge;
using namespace std::chrono_literals;

namespace {

const std::filesystem::path templates = std::filesystem::path(SOURCE_DIR) / "services/ems-bridge/templates";

struct SecretFile {
    std::filesystem::path path =
        std::filesystem::temp_directory_path() / fmt::format("tariff-config-secret-{}", getpid());
    explicit SecretFile(const char* content = "s3cret\n") { std::ofstream(path) << content; }
    ~SecretFile() { std::filesystem::remove(path); }
    SecretFile(const SecretFile&) = delete;
    SecretFile& operator=(const SecretFile&) = delete;
};

// As `service::run` reads it.
Config read(const std::string& yaml) {
    const config::Document document("sources: [{name: a, type: push}]\n" + yaml, "ems.yaml");
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

std::string problems_of_tariff(const std::string& entry) { return problems("tariffs: {t: {" + entry + "}}"); }
std::string problems_of_forecast(const std::string& entry) { return problems("forecasts: {f: {" + entry + "}}"); }

const char* const plane = "planes: [{tilt_deg: 30, azimuth_deg: 0, kwp: 9}]";

// The entries that the example shows under a heading, each as YAML of its own.
std::vector<std::string> shown_entries(const std::string& heading, const std::string& secret) {
    std::istringstream lines(config::read_file(std::filesystem::path(SOURCE_DIR) / "config/ems-bridge.yaml"));
    std::vector<std::string> entries;
    bool is_inside = false;
    for (std::string line; std::getline(lines, line);) {
        if (line == "# " + heading + ":") {
            is_inside = true;
        } else if (is_inside && !line.starts_with("#   ")) {
            is_inside = false;
        } else if (is_inside) {
            const auto path = line.find("/run/secrets/");
            if (path != std::string::npos) {
                line.replace(path, line.find_first_of(",} ", path) - path, secret);
            }
            const bool begins = line.size() > 4 && line[4] != ' ';
            if (begins) {
                entries.emplace_back();
            }
            entries.back() += line.substr(2) + "\n";
        }
    }
    return entries;
}

}  // namespace

TEST_CASE("tariff config: the entries that the example explains are valid as they stand") {
    const SecretFile secret;
    const auto tariffs = shown_entries("tariffs", secret.path.string());
    const auto forecasts = shown_entries("forecasts", secret.path.string());

    REQUIRE(tariffs.size() == 5);
    for (const auto& entry : tariffs) {
        CAPTURE(entry);
        CHECK(problems("tariffs:\n" + entry) == "none");
    }
    REQUIRE(forecasts.size() == 2);
    for (const auto& entry : forecasts) {
        CAPTURE(entry);
        CHECK(problems("site: {latitude: 48, longitude: 11}\nforecasts:\n" + entry) == "none");
    }
}

TEST_CASE("tariff config: a misspelt key is refused in each section") {
    const SecretFile secret;
    const std::string path = secret.path.string();
    CHECK(problems("tarifs: {}").find("tarifs: unknown key") != std::string::npos);
    for (const std::string& entry :
         {std::string("kind: fixed, import_price: 1, importprice: 2"),
          std::string("kind: fixed, windows: [{from: '00:00', to: '06:00', import_price: 1, price: 2}]"),
          std::string("kind: awattar, surcharg: 1"), "kind: tibber, homeid: 1, token_file: " + path,
          std::string("kind: octopus, import: {product: a, tariff: b, region: c}"),
          std::string("kind: octopus, inport: {}, import: {product: a, tariff: b}"),
          "kind: entsoe, domain: x, zone: y, token_file: " + path, std::string("kind: awattar, tls: {pn: 1}")}) {
        CAPTURE(entry);
        CHECK(problems_of_tariff(entry).find("unknown key") != std::string::npos);
    }
    const std::string place = fmt::format("{}, latitude: 1, longitude: 1", plane);
    for (const std::string& entry : {fmt::format("kind: forecast_solar, key: 1, {}", place),
                                     fmt::format("kind: open_meteo, efficiency: 1, {}", place),
                                     std::string("kind: open_meteo, latitude: 1, longitude: 1, planes: [{tilt_deg: 1, "
                                                 "azimuth_deg: 1, kwp: 1, kw: 1}]")}) {
        CAPTURE(entry);
        CHECK(problems_of_forecast(entry).find("unknown key") != std::string::npos);
    }
}

TEST_CASE("tariff config: what cannot work is refused with its reason") {
    const SecretFile secret("pass word\n");
    const auto check = [](const std::string& entry, const char* expected) {
        CAPTURE(entry);
        CHECK(problems_of_tariff(entry).find(expected) != std::string::npos);
    };
    check("kind: gas", "\"gas\" is not one of fixed, awattar");
    check("kind: fixed", "the tariff says nothing");
    check("kind: fixed, import_price: 5000", "outside");
    check("kind: fixed, import_price: 1, currency: euro", "expected three letters like EUR");
    check("kind: fixed, windows: [{from: '22', to: '06:00', import_price: 1}]",
          "windows[0].from: expected a time of day");
    check("kind: fixed, windows: [{from: '22:00', import_price: 1}]", "windows[0].to: missing");
    check("kind: fixed, windows: [{from: '22:00', to: '22:00', import_price: 1}]", "is the same as from");
    check("kind: fixed, windows: [{from: '22:00', to: '23:00'}]", "the window says nothing");
    check("kind: fixed, windows: [{from: '22:00', to: '23:00', import_price: 1, days: [someday]}]",
          "\"someday\" is not one of mon");
    check("kind: awattar, url: 'file:///etc/passwd'", "expected http://");
    check("kind: awattar, url: 'http://user:pass@x'", "without a user or a query");
    check("kind: awattar, interval_s: 60", "outside 900");
    check("kind: awattar, price_of: export, export_price: 1", "is the export price already");
    check("kind: awattar, announced_at: noon", "expected a time of day");
    check("kind: tibber", "token_file: missing");
    check("kind: tibber, token_file: /not/there", "/not/there: cannot read");
    check("kind: octopus", "give import, export or both");
    check("kind: octopus, import: {product: 'a/../b', tariff: c}", "is not made of letters");
    check("kind: octopus, export_price: 1, export: {product: a, tariff: c}", "give either export_price or export");
    check("kind: entsoe, domain: x", "token_file: missing");
    check("kind: entsoe, domain: x, token_file: " + secret.path.string(), "holds other characters");
    CHECK(problems_of_tariff("kind: entsoe, domain: x, token_file: " + secret.path.string()).find("pass word") ==
          std::string::npos);
    CHECK(problems("tariffs: {Big Name: {kind: awattar}}").find("a name is made of a-z") != std::string::npos);
    CHECK(problems("tariffs: {a: {kind: awattar}, b: {kind: awattar}}")
              .find("gives the import price, as a does already") != std::string::npos);
    CHECK(problems("tariffs: {a: {kind: awattar, export_price: 1}, b: {kind: fixed, export_price: 1}}")
              .find("gives the export price, as a does") != std::string::npos);
    CHECK(
        problems("tariffs: {a: {kind: fixed, co2_g_kwh: 1}, b: {kind: fixed, co2_g_kwh: 1}}").find("gives co2_g_kwh") !=
        std::string::npos);
    CHECK(problems("tariffs: {a: {kind: awattar}, b: {kind: fixed, export_price: 0.08, co2_g_kwh: 400}}") == "none");
    CHECK(problems("tariffs: [1]").find("tariffs: expected a mapping") != std::string::npos);
}

TEST_CASE("forecast config: what cannot work is refused with its reason") {
    const auto check = [](const std::string& entry, const char* expected) {
        CAPTURE(entry);
        CHECK(problems_of_forecast(entry).find(expected) != std::string::npos);
    };
    const auto here = [](const std::string& rest) { return fmt::format("latitude: 1, longitude: 1, {}", rest); };
    check(here(fmt::format("kind: solcast, {}", plane)), "\"solcast\" is not one of forecast_solar, open_meteo");
    check(fmt::format("kind: open_meteo, {}", plane), "forecasts.f.latitude: ");
    check(here("kind: open_meteo"), "0 planes, expected 1 to 6");
    check(here("kind: open_meteo, planes: [{tilt_deg: 91, azimuth_deg: 0, kwp: 1}]"), "outside 0");
    check(here(fmt::format("kind: open_meteo, step: daily, {}", plane)), "is not one of hourly, minutely_15");
    std::string planes = "planes: [";
    for (int i = 0; i < 4; ++i) {
        planes += "{tilt_deg: 30, azimuth_deg: 0, kwp: 1}, ";
    }
    check(here(fmt::format("kind: forecast_solar, interval_s: 900, {}]", planes)), "without an account 12 are free");
    CHECK(problems_of_forecast(here(fmt::format("kind: forecast_solar, {}]", planes))) == "none");
}

TEST_CASE("tariff config: what is read") {
    const auto config = read(R"(
site: {latitude: 48, longitude: 11}
tariffs:
  spot: {kind: awattar, interval_s: 1800, announced_at: "14:30"}
  sold: {kind: awattar, price_of: export}
  air:
    kind: fixed
    windows: [{from: "23:00", to: "24:00", co2_g_kwh: 200, days: [weekend, mon]}]
forecasts:
  roof: {kind: open_meteo, planes: [{tilt_deg: 30, azimuth_deg: 0, kwp: 9}]}
)");

    REQUIRE(config.tariffs.size() == 3);
    CHECK(config.tariffs[0].name == "spot");
    CHECK(config.tariffs[0].gives_import);
    CHECK(std::get<WebTariff>(config.tariffs[0].source).interval == 30min);
    CHECK(std::get<WebTariff>(config.tariffs[0].source).announced_min == 14 * 60 + 30);
    CHECK(config.tariffs[1].gives_export);
    CHECK_FALSE(config.tariffs[1].gives_import);
    const auto& window = std::get<FixedTariff>(config.tariffs[2].source).windows.at(0);
    CHECK(window.days == 0b1100001);
    CHECK(window.to_min == 24 * 60);
    CHECK(config.tariffs[2].gives_co2);
    REQUIRE(config.forecasts.size() == 1);
    CHECK(config.forecasts[0].interval == 1h);
}
