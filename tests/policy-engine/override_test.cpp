#include "policy-engine/override.hpp"

#include <cstdlib>
#include <ctime>

#include <doctest/doctest.h>

#include "policy-engine/schedule.hpp"
#include "service/service_host.hpp"

using namespace policy_engine;
using namespace std::chrono_literals;

namespace {

/// Local time of Berlin for the length of a test.
struct Berlin {
    Berlin() {
        setenv("TZ", "Europe/Berlin", 1);  // NOLINT(concurrency-mt-unsafe)
        tzset();
    }
    Berlin(const Berlin&) = delete;
    Berlin& operator=(const Berlin&) = delete;
    ~Berlin() {
        unsetenv("TZ");  // NOLINT(concurrency-mt-unsafe)
        tzset();
    }
};

WallTime utc(int year, unsigned month, unsigned day, int hour, int minute) {
    return std::chrono::sys_days(std::chrono::year(year) / static_cast<int>(month) / static_cast<int>(day)) +
           std::chrono::hours(hour) + std::chrono::minutes(minute);
}

const WallTime noon = utc(2026, 6, 1, 10, 0);  // 12:00 in Berlin

}  // namespace

TEST_CASE("override: every way to write one") {
    const Berlin zone;
    struct Row {
        const char* text;
        std::optional<double> amps;
        std::optional<WallTime> until;
    };
    const Row rows[] = {
        {"16", 16, {}},
        {" 16 \n", 16, {}},
        {"16.5A", 16.5, {}},
        {"16 a", 16, {}},
        {"16 30m", 16, noon + 30min},
        {"16A 30m", 16, noon + 30min},
        {"16 A 30M", 16, noon + 30min},
        {"10 90s", 10, noon + 90s},
        {"10 2h", 10, noon + 2h},
        {"10 1h30m", 10, noon + 90min},
        {"10 1.5h", 10, noon + 90min},
        {"10 for 1h", 10, noon + 1h},
        {"16 until=22:00", 16, utc(2026, 6, 1, 20, 0)},
        {"16 until 11:00", 16, utc(2026, 6, 2, 9, 0)},
        {"16 until=2026-06-01T22:00:00+02:00", 16, utc(2026, 6, 1, 20, 0)},
        {"24,3600", 24, noon + 1h},
        {"24, 3600", 24, noon + 1h},
        {"off", 0, {}},
        {"OFF 2h", 0, noon + 2h},
        {"0", 0, {}},
        {"max", {}, {}},
        {"max 45m", {}, noon + 45min},
        {R"({"amps":16})", 16, {}},
        {R"({"amps":"max","duration_s":1800})", {}, noon + 30min},
        {R"({"amps":"off","until":"22:00"})", 0, utc(2026, 6, 1, 20, 0)},
        {R"({"amps":16,"duration_s":1800,"charger":"7744"})", 16, noon + 30min},
    };
    for (const auto& row : rows) {
        CAPTURE(row.text);
        const auto command = parse_override(row.text, noon, "test");
        REQUIRE(command.order);
        CHECK(command.order->amps == row.amps);
        CHECK(command.order->until == row.until);
        CHECK(command.order->source == "test");
    }
    CHECK(parse_override(R"({"amps":16,"charger":"7744"})", noon, "").charger == "7744");
    CHECK_FALSE(parse_override(R"({"amps":16,"charger":"all"})", noon, "").charger);
    for (const char* text : {"clear", "auto", "none", " CLEAR ", R"({"amps":"clear"})"}) {
        CAPTURE(text);
        CHECK_FALSE(parse_override(text, noon, "").order);
    }
}

TEST_CASE("override: what is refused, each time with what would do") {
    for (const char* text : {"",
                             "   ",
                             "sixteen",
                             "-16",
                             "1e1",
                             "0x10",
                             "nan",
                             "inf",
                             "4",
                             "81",
                             "16 30",
                             "16 30x",
                             "16 m",
                             "16 30m1h",
                             "16 until",
                             "16 until=",
                             "16 until=25:00",
                             "16 until=12:60",
                             "16 until=2020-01-01T00:00:00Z",
                             "16 0s",
                             "16 99999999h",
                             "24,",
                             ",3600",
                             "24,1h",
                             "24,0",
                             "off for",
                             "clear 2h",
                             "{",
                             "[16]",
                             "{}",
                             R"({"amps":null})",
                             R"({"amps":true})",
                             R"({"amps":[16]})",
                             R"({"amps":16,"duration_s":"1h"})",
                             R"({"amps":16,"hours":2})",
                             R"({"amps":16,"duration_s":60,"until":"22:00"})",
                             R"({"amps":16,"charger":7744})",
                             R"({"amps":16,"charger":"../x"})",
                             R"({"amps":1e400})",
                             "16\0"}) {
        CAPTURE(text);
        bool refused = false;
        try {
            parse_override(text, noon, "");
        } catch (const service::Rejected& error) {
            refused = !error.expected().empty();
        } catch (const contract::Invalid&) {
            refused = true;
        }
        CHECK(refused == (std::string(text) != "16"));  // the literal above ends at its NUL
    }
}

TEST_CASE("override: a charger's own comes before that for all, and each ends by itself") {
    Settings settings;
    settings.override_order = Override{.amps = 16, .until = noon + 1h, .source = ""};
    settings.chargers = {{.id = "7744", .override_order = Override{.amps = 10, .until = noon + 10min, .source = ""}}};
    CHECK(active_override(settings, settings.chargers.data(), noon)->amps == 10);
    CHECK(active_override(settings, nullptr, noon)->amps == 16);
    CHECK(active_override(settings, settings.chargers.data(), noon + 10min)->amps == 16);
    CHECK(active_override(settings, settings.chargers.data(), noon + 1h) == nullptr);
    CHECK_FALSE(drop_ended_overrides(settings, noon));
    CHECK(drop_ended_overrides(settings, noon + 30min));
    CHECK(settings.override_order);
    CHECK_FALSE(settings.chargers[0].override_order);
}

TEST_CASE("schedule: windows by day and over midnight") {
    const Berlin zone;
    const auto windows = schedule_from_json(nlohmann::json::parse(
        R"([{"days":["fri"],"start":"22:00","end":"06:00","amps":16},{"days":"weekdays","start":"12:00","end":"13:30"}])"));
    const auto amps_at = [&](WallTime time) -> double {
        const auto open = open_window(windows, time);
        return open ? open->window->amps.value_or(99) : -1;
    };
    CHECK(amps_at(utc(2026, 6, 5, 20, 0)) == 16);   // Friday 22:00
    CHECK(amps_at(utc(2026, 6, 6, 3, 59)) == 16);   // Saturday 05:59
    CHECK(amps_at(utc(2026, 6, 6, 4, 0)) == -1);    // Saturday 06:00
    CHECK(amps_at(utc(2026, 6, 6, 20, 0)) == -1);   // Saturday 22:00
    CHECK(amps_at(utc(2026, 6, 4, 20, 0)) == -1);   // Thursday 22:00
    CHECK(amps_at(utc(2026, 6, 1, 10, 0)) == 99);   // Monday 12:00
    CHECK(amps_at(utc(2026, 6, 1, 11, 30)) == -1);  // Monday 13:30
    CHECK(amps_at(utc(2026, 6, 7, 10, 0)) == -1);   // Sunday noon
    CHECK(open_window(windows, utc(2026, 6, 5, 21, 0))->ends == utc(2026, 6, 6, 4, 0));
    CHECK(next_opening(windows, utc(2026, 6, 5, 12, 0)) == utc(2026, 6, 5, 20, 0));
    CHECK(schedule_from_json(schedule_to_json(windows)) == windows);
}

TEST_CASE("schedule: nights of 23 and 25 hours") {
    const Berlin zone;
    const std::vector<ScheduleWindow> night{{.start_min = 23 * 60, .end_min = 6 * 60}};
    // 29 March 2026: 02:00 becomes 03:00. 25 October 2026: 03:00 becomes 02:00.
    for (const auto& [from, to, hours] : {std::tuple(utc(2026, 3, 28, 22, 0), utc(2026, 3, 29, 4, 0), 6),
                                          std::tuple(utc(2026, 10, 24, 21, 0), utc(2026, 10, 25, 5, 0), 8)}) {
        CHECK_FALSE(open_window(night, from - 1min));
        for (WallTime time = from; time < to; time += 10min) {
            REQUIRE(open_window(night, time));
            CHECK(open_window(night, time)->ends == to);
        }
        CHECK_FALSE(open_window(night, to));
        CHECK(to - from == std::chrono::hours(hours));
    }
    // A window inside the hour that does not exist does not open; the next day it does.
    const std::vector<ScheduleWindow> skipped{{.start_min = 130, .end_min = 160}};
    for (WallTime time = utc(2026, 3, 28, 23, 0); time < utc(2026, 3, 29, 10, 0); time += 5min) {
        CHECK_FALSE(open_window(skipped, time));
    }
    CHECK(open_window(skipped, utc(2026, 3, 30, 0, 15)));
}

TEST_CASE("schedule: what is refused") {
    for (const char* text :
         {"{}", "3", "\"x\"", "[1]", R"([{"start":"22:00"}])", R"([{"start":"22:00","end":"6"}])",
          R"([{"start":"24:01","end":"06:00"}])", R"([{"start":"22:00","end":"06:00","days":[]}])",
          R"([{"start":"22:00","end":"06:00","days":["noday"]}])", R"([{"start":"22:00","end":"06:00","amps":200}])",
          R"([{"start":"22:00","end":"06:00","power":3}])"}) {
        CAPTURE(text);
        CHECK_THROWS_AS(schedule_from_json(nlohmann::json::parse(text)), service::Rejected);
    }
    CHECK(schedule_from_json(nlohmann::json::parse("[]")).empty());
}
