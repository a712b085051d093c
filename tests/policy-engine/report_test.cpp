#include "policy-engine/simulation/report.hpp"

#include <sstream>

#include <doctest/doctest.h>

#include "policy-engine/explain.hpp"
#include "policy-engine/simulation/scenario.hpp"

using namespace policy_engine::simulation;
using policy_engine::Reason;

namespace {

SiteRun sunny_run(std::size_t chargers, bool battery) {
    auto day = day_of(std::vector<Second>(10'800, Second{9000, 400}), usual_midnight());
    day.currency = "EUR";
    day.remarks = {"charger a: made up"};
    day.tariff = {{.start = day.start,
                   .end = day.start + std::chrono::hours(3),
                   .import_price = 0.3,
                   .export_price = 0.08,
                   .co2_g_kwh = 300}};
    SiteSetup setup;
    for (std::size_t i = 0; i < chargers; ++i) {
        const std::string id(1, static_cast<char>('a' + static_cast<int>(i)));
        setup.chargers.push_back(
            {.id = id, .plugged = {{1800, day.seconds.size()}}, .car = {.name = "car-of-" + id, .battery_kwh = 50}});
    }
    if (battery) {
        setup.battery = BatterySetup{};
    }
    return run_site({}, day, setup);
}

std::vector<std::string> lines_of(const std::string& text) {
    std::vector<std::string> lines;
    std::istringstream stream(text);
    for (std::string line; std::getline(stream, line);) {
        lines.push_back(line);
    }
    return lines;
}

// The words of the first line that begins so.
std::string line_with(const std::string& text, const std::string& begin) {
    for (const auto& line : lines_of(text)) {
        if (line.starts_with(begin)) {
            return line;
        }
    }
    return "";
}

}  // namespace

TEST_CASE("report: the text fits a terminal and says what the run says") {
    for (const std::size_t chargers : {1U, 2U, 4U, 9U}) {
        CAPTURE(chargers);
        const auto run = sunny_run(chargers, true);
        const auto text = text_report(run);
        for (const auto& line : lines_of(text)) {
            CHECK_MESSAGE(line.size() <= 100, line);
        }
        CHECK(text.starts_with("Monday, 5 January 2026, 00:00 to 03:00\n"));
        CHECK(line_with(text, "  sun ").find("27.00 kWh") != std::string::npos);
        CHECK(line_with(text, "  over a limit").find("never") != std::string::npos);
        CHECK(text.find("follows the sun") != std::string::npos);
        CHECK(text.find("charger a: made up") != std::string::npos);
        CHECK((text.find("together") != std::string::npos) == (chargers > 1));
        CHECK(line_with(text, "  plugged in").find("2 h 30 min") != std::string::npos);
    }
}

TEST_CASE("report: long remarks are wrapped, and nothing of them is lost") {
    auto run = sunny_run(1, false);
    run.remarks = {"a word " + std::string(250, 'x') + " and some more words that come after it", "short"};
    const auto text = text_report(run);
    for (const auto& line : lines_of(text)) {
        CHECK(line.size() <= 100);
    }
    CHECK(std::ranges::count(text, 'x') >= 250);
    CHECK(text.find("it\n  short\n") != std::string::npos);
}

TEST_CASE("report: what is not there is not shown, what is not known is a dash") {
    auto run = sunny_run(1, false);
    CHECK(text_report(run).find("battery charged") == std::string::npos);
    run.bill = {.unknown_kwh = 5};
    const auto text = text_report(run);
    CHECK(line_with(text, "  bill").find("-   5.00 kWh have no price") != std::string::npos);
    CHECK(json_report(run).at("site").at("bill").at("sum").is_null());
    CHECK(json_report(run).at("site").at("battery_charged_kwh").is_null());
}

TEST_CASE("report: the JSON holds the same numbers, the series and every change of reason") {
    const auto run = sunny_run(2, true);
    const auto json = json_report(run);
    CHECK(json.at("length_s") == 10'800);
    CHECK(json.at("currency") == "EUR");
    CHECK(json.at("site").at("pv_kwh") == 27.0);
    CHECK(json.at("site").at("seconds_over_limit") == 0);
    CHECK(json.at("series").at("pv_w").size() == 180);
    CHECK(json.at("series").at("import_price")[0] == 0.3);
    double sum_kwh = 0;
    for (const char* id : {"a", "b"}) {
        const auto& charger = json.at("chargers").at(id);
        sum_kwh += charger.at("ev_kwh").get<double>();
        CHECK(charger.at("series").at("power_w").size() == 180);
        CHECK(charger.at("series").at("soc_pct")[0].is_null());
        CHECK(charger.at("soc_begin_pct") == 50);
        std::size_t length_s = 0;
        for (const auto& reason : charger.at("reasons")) {
            length_s += reason.at("length_s").get<std::size_t>();
        }
        CHECK(length_s == run.length_s);
        CHECK(charger.at("reasons")[0].at("reason_code") == "not_plugged");
    }
    CHECK(json.at("together").at("ev_kwh").get<double>() == doctest::Approx(sum_kwh).epsilon(0.001));
    CHECK(json.at("together").at("cost").at("unknown_kwh") == 0);
}

TEST_CASE("report: there are words for every reason") {
    for (int i = 0; i <= static_cast<int>(Reason::stop_without_vehicle); ++i) {
        const auto reason = static_cast<Reason>(i);
        CAPTURE(name_of(reason));
        CHECK(std::string(words_for(reason)) != name_of(reason));
        CHECK(std::string(words_for(reason)).size() <= 30);
    }
}

TEST_CASE("report: periods of one day and of several") {
    SiteRun run{.start = usual_midnight(), .length_s = 86400 - 5};
    CHECK(period_text(run) == "Monday, 5 January 2026, 00:00 to 24:00");
    run.length_s = 129'600;
    CHECK(period_text(run) == "Monday, 5 January 2026, 00:00 to Tuesday, 6 January 2026, 12:00");
    run.length_s = 172'800;
    CHECK(period_text(run) == "Monday, 5 January 2026, 00:00 to Tuesday, 6 January 2026, 24:00");
}
