#include "policy-engine/simulation/scenario.hpp"

#include <fstream>

#include <doctest/doctest.h>

#include "policy-engine/schedule.hpp"

using namespace policy_engine::simulation;
using namespace std::chrono_literals;

namespace {

const char* const everything = R"(
day: sunny.csv
date: 2026-06-15
chargers:
  "7744":
    phases: 1
    max_a: 24
    plugged:
      - {from: "07:30", to: "17:00"}
      - {from: "22:00", to: "06:00"}
    car: {name: blue, battery_kwh: 60, soc_pct: 40, limit_pct: 90, max_a: 16, phases: 1, taper_from_pct: 85, linked: true}
  "7745": {}
battery: {capacity_kwh: 8, soc_pct: 30, reserve_pct: 5, max_charge_w: 3000, max_discharge_w: 4000, efficiency_pct: 95}
tariff:
  currency: EUR
  slots:
    - {from: "00:00", to: "05:00", import_price: 0.12, export_price: 0.08, co2_g_kwh: 300}
    - {import_price: 0.32, export_price: 0.08}
)";

Scenario read(const std::string& text, const policy_engine::ServiceConfig& config = {}) {
    const config::Document document(text, "s.yaml");
    auto scenario = read_scenario(document.root(), config, "/days");
    document.finish();
    return scenario;
}

std::string problem(const std::string& text) {
    try {
        read(text);
        return "";
    } catch (const config::ConfigError& error) {
        return error.what();
    }
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

SiteDay flat_day(std::size_t hours) { return day_of(std::vector<Second>(hours * 3600), usual_midnight()); }

}  // namespace

TEST_CASE("scenario: everything is read") {
    const auto scenario = read(everything);
    CHECK(scenario.day_file == "/days/sunny.csv");
    CHECK(policy_engine::civil_time(scenario.midnight).minute == 0);
    CHECK(scenario.midnight == parse_moment("2026-06-15"));
    REQUIRE(scenario.chargers.size() == 2);
    const auto& charger = scenario.chargers[0].setup;
    CHECK(charger.id == "7744");
    CHECK(charger.max_a == 24);
    CHECK(charger.car.name == "blue");
    CHECK(charger.car.battery_kwh == 60);
    CHECK(charger.car.taper_from_pct == 85);
    CHECK(charger.car.linked);
    CHECK(scenario.chargers[1].setup.car.name == "7745");
    CHECK(!scenario.chargers[1].setup.car.battery_kwh);
    REQUIRE(scenario.battery);
    CHECK(scenario.battery->capacity_kwh == 8);
    CHECK(scenario.battery->max_discharge_w == 4000);
    CHECK(scenario.currency == "EUR");
    CHECK(scenario.prices.size() == 2);
}

TEST_CASE("scenario: the one in the README can be used") {
    std::ifstream readme(SOURCE_DIR "/services/policy-engine/README.md");
    std::string text;
    for (std::string line; std::getline(readme, line);) {
        const bool begins = line.starts_with("    day:");
        if (begins || (!text.empty() && line.starts_with("    "))) {
            text += line.substr(4) + "\n";
        } else if (!text.empty()) {
            break;
        }
    }
    const auto scenario = read(text);
    CHECK(scenario.chargers.at(0).setup.car.linked);
    CHECK(scenario.prices.size() == 2);
    CHECK(scenario.battery.has_value());
}

TEST_CASE("scenario: a misspelt key is refused in each section") {
    for (const auto& example :
         {std::pair{"root", "chargers: {a: {}}\nfrob: 1\n"}, std::pair{"charger", "chargers: {a: {frob: 1}}\n"},
          std::pair{"plugged", "chargers: {a: {plugged: [{frob: 1}]}}\n"},
          std::pair{"car", "chargers: {a: {car: {frob: 1}}}\n"},
          std::pair{"battery", "chargers: {a: {}}\nbattery: {capacity_kwh: 5, frob: 1}\n"},
          std::pair{"tariff", "chargers: {a: {}}\ntariff: {frob: 1}\n"},
          std::pair{"slots", "chargers: {a: {}}\ntariff: {slots: [{frob: 1}]}\n"}}) {
        CAPTURE(example.first);
        CHECK(contains(problem(example.second), "frob"));
    }
}

TEST_CASE("scenario: what is wrong is named with its place") {
    CHECK(contains(problem("{}"), "at least one is needed"));
    CHECK(contains(problem("chargers: {A!: {}}"), "an id is made of"));
    CHECK(contains(problem("chargers: {a: {plugged: [{from: \"25:00\"}]}}"), "expected a time of day"));
    CHECK(contains(problem("chargers: {a: {car: {soc_pct: 50}}}"), "means nothing without battery_kwh"));
    CHECK(contains(problem("chargers: {a: {car: {name: x}}, b: {car: {name: x}}}"), "hangs on another charger"));
    CHECK(contains(problem("chargers: {a: {}}\nbattery: {}"), "capacity_kwh"));
    CHECK(contains(problem("chargers: {a: {}}\ndate: tomorrow"), "expected a day such as"));
}

TEST_CASE("scenario: what a charger leaves out comes from the configuration") {
    policy_engine::ServiceConfig config;
    config.core.site.phases = 3;
    config.core.chargers = {{.id = "a", .phases = 2, .max_a = 20}};
    const auto scenario = read("chargers: {a: {}, b: {}}", config);
    CHECK(scenario.chargers[0].setup.phases == 2);
    CHECK(scenario.chargers[0].setup.max_a == 20);
    CHECK(scenario.chargers[1].setup.phases == 3);
    CHECK(scenario.chargers[1].setup.max_a == 32);
}

TEST_CASE("scenario: cars are plugged in by local clocks, every day") {
    const auto scenario = read(everything);
    const auto setup = setup_for(scenario, flat_day(48));
    CHECK(setup.chargers[0].plugged ==
          std::vector<Span>{{0, 21'600}, {27'000, 61'200}, {79'200, 108'000}, {113'400, 147'600}, {165'600, 172'800}});
    CHECK(setup.chargers[1].plugged == std::vector<Span>{{0, 172'800}});
}

TEST_CASE("scenario: the tariff covers the day and the one after") {
    auto day = flat_day(24);
    set_tariff(day, read(everything));
    REQUIRE(day.tariff.size() == 4);
    CHECK(day.tariff[0].start == day.start);
    CHECK(day.tariff[0].end == day.start + 5h);
    CHECK(day.tariff[0].co2_g_kwh == 300);
    CHECK(day.tariff[1].end == day.start + 24h);
    CHECK(day.tariff[3].end == day.start + 48h);
    CHECK(day.currency == "EUR");
}

TEST_CASE("scenario: moments with and without an offset") {
    CHECK(parse_moment("1970-01-02T00:00:00Z") == policy_engine::WallTime(24h));
    CHECK(parse_moment("2026-06-15T14:30").value() - parse_moment("2026-06-15").value() == 14h + 30min);
    for (const char* text : {"", "2026", "2026-13-01", "2026-04-31", "2026-06-15T25:00", "2026-06-15 x"}) {
        CAPTURE(text);
        CHECK(!parse_moment(text));
    }
}

TEST_CASE("scenario: a recording brings its own chargers and cars") {
    Recording recording{.seconds = std::vector<SiteSecond>(3600)};
    recording.chargers["7744"] = {.plugged = {{600, 3600}}, .phases = 3, .max_a = 16, .vin = "V1"};
    recording.chargers["7745"] = {.plugged = {{0, 3600}}};
    recording.vehicles["blue"] = {.vin = "V1", .soc_pct = {{0, 30}, {900, 35}}, .charge_limit_pct = 70};
    recording.skipped_lines = 3;
    recording.problems = {"x:1: bad"};
    recording.gaps = {{recording.start, 100}};
    auto day = day_of(recording, "x");
    const auto setup = setup_for(recording, {}, day);

    REQUIRE(setup.chargers.size() == 2);
    CHECK(setup.chargers[0].phases == 3);
    CHECK(setup.chargers[0].max_a == 16);
    CHECK(setup.chargers[0].plugged == recording.chargers["7744"].plugged);
    CHECK(setup.chargers[0].car.name == "blue");
    CHECK(setup.chargers[0].car.soc_pct == 30);
    CHECK(setup.chargers[0].car.limit_pct == 70);
    CHECK(!setup.chargers[1].car.battery_kwh);
    std::string remarks;
    for (const auto& remark : day.remarks) {
        remarks += remark + "\n";
    }
    CHECK(contains(remarks, "bridged by a straight line"));
    CHECK(contains(remarks, "3 lines were skipped, the first:\nx:1: bad"));
    CHECK(contains(remarks, "the car blue begins at 30 % and is taken to hold 75 kWh"));
    CHECK(contains(remarks, "charger 7745: the charge of its car is not known"));
}

TEST_CASE("scenario: without one, every configured charger has a car") {
    policy_engine::ServiceConfig config;
    CHECK(setup_for(config, flat_day(1)).chargers.at(0).id == "car");
    config.core.chargers = {{.id = "a"}, {.id = "b"}};
    CHECK(setup_for(config, flat_day(1)).chargers.size() == 2);
}
