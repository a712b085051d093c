#include "ems-bridge/forecasts/forecast.hpp"

#include <doctest/doctest.h>

#include "ems-bridge/forecasts/forecast_solar.hpp"
#include "ems-bridge/forecasts/open_meteo.hpp"
#include "support.hpp"

using namespace ems_bridge;
using namespace std::chrono_literals;
using contract::ForecastSlot;
using test::at;

namespace {

template <class Parse>
std::string refusal(Parse parse) {
    try {
        parse();
    } catch (const SourceError& error) {
        return error.what();
    }
    return "accepted";
}

// Two days with the energy of each stretch, as the service answers with time=iso8601.
const char* const two_days = R"({"result": {
    "watts": {"2026-06-01T05:10:00+02:00": 0, "2026-06-01T06:00:00+02:00": 600, "2026-06-01T07:00:00+02:00": 1400,
              "2026-06-01T21:00:00+02:00": 0, "2026-06-02T05:10:00+02:00": 0, "2026-06-02T06:00:00+02:00": 300,
              "2026-06-02T21:00:00+02:00": 0},
    "watt_hours_period": {"2026-06-01T05:10:00+02:00": 0, "2026-06-01T06:00:00+02:00": 250,
              "2026-06-01T07:00:00+02:00": 1000, "2026-06-01T21:00:00+02:00": 28000, "2026-06-02T05:10:00+02:00": 0,
              "2026-06-02T06:00:00+02:00": 125, "2026-06-02T21:00:00+02:00": 15000},
    "watt_hours": {}, "watt_hours_day": {"2026-06-01": 29250, "2026-06-02": 15125}},
    "message": {"code": 0, "type": "success", "text": "", "info": {"timezone": "Europe/Berlin"},
                "ratelimit": {"zone": "IP 192.0.2.1", "period": 3600, "limit": 12, "remaining": 0}}})";

}  // namespace

TEST_CASE("forecast.solar: the energy of a stretch is its mean power, and nights are dark") {
    const test::Zone zone;
    const auto forecast = parse_forecast_solar(two_days);

    REQUIRE(forecast.slots.size() == 8);
    CHECK(forecast.slots[0] ==
          ForecastSlot{.start = at("2026-06-01T00:00:00+02:00"), .end = at("2026-06-01T05:10:00+02:00"), .pv_w = 0});
    CHECK(forecast.slots[1].pv_w == doctest::Approx(300));
    CHECK(forecast.slots[3].pv_w == doctest::Approx(2000));
    CHECK(forecast.slots[4].pv_w == 0);
    CHECK(forecast.slots[4].end - forecast.slots[4].start == 8h + 10min);
    CHECK(forecast.slots[7].end == at("2026-06-03T00:00:00+02:00"));
    CHECK(forecast.not_before == 1h);
    CHECK(energy_kwh(forecast.slots, at("2026-06-01T00:00:00+02:00"), at("2026-06-02T00:00:00+02:00")).value() ==
          doctest::Approx(29.25));
}

TEST_CASE("forecast.solar: local times without energies, and power changes evenly between two instants") {
    const test::Zone zone;
    const auto forecast = parse_forecast_solar(R"({"result": {"watts": {"2026-01-31 08:00:00": 100,
        "2026-01-31 09:00:00": 300, "2026-01-31 10:00:00": 0}, "watt_hours_period": []},
        "message": {"ratelimit": {"remaining": 11, "period": 3600}}})");

    REQUIRE(forecast.slots.size() == 3);
    CHECK(forecast.slots[0].start == at("2026-01-31T07:00:00Z"));
    CHECK(forecast.slots[0].pv_w == 200);
    CHECK(forecast.slots[1].pv_w == 150);
    CHECK(forecast.slots[2].pv_w == 0);
    CHECK_FALSE(forecast.not_before);
}

TEST_CASE("forecast.solar: what is wrong is named with its place") {
    const auto refused = [](const char* body) { return refusal([&] { parse_forecast_solar(body); }); };

    CHECK(refused("no").find("forecast.solar: payload: not JSON") == 0);
    CHECK(refused(R"({"result": null, "message": {"text": "Location not found"}})") ==
          "forecast.solar: result: expected an object; the service says: Location not found");
    CHECK(refused(R"({"result": {"watts": []}})") == "forecast.solar: result.watts: no power by time");
    CHECK(refused(R"({"result": {"watts": 3}})").find("result.watts: expected an object") != std::string::npos);
    CHECK(refused(R"({"result": {"watts": {"noon": 3}}})").find("got \"noon\"") != std::string::npos);
    CHECK(refused(R"({"result": {"watts": {"2026-01-31 08:00:00": -5}}})").find("expected a number from 0") !=
          std::string::npos);
    CHECK(refused(R"({"result": {"watts": {"2026-01-31 08:00:00": "5"}}})").find("expected a number from 0") !=
          std::string::npos);
}

TEST_CASE("open-meteo: a value is the mean of the hour before its time, and the offset is that of all times") {
    const auto forecast = parse_open_meteo(
        R"({"latitude": 48.1, "utc_offset_seconds": 7200, "timezone": "Europe/Berlin", "timezone_abbreviation": "CEST",
        "hourly_units": {"time": "iso8601", "global_tilted_irradiance": "W/m²"}, "hourly": {
        "time": ["2026-06-01T12:00", "2026-06-01T13:00", "2026-06-01T14:00", "2026-06-01T22:00"],
        "global_tilted_irradiance": [800.0, null, 1000, -1.6]}})",
        9.8, 0.5);

    REQUIRE(forecast.slots.size() == 3);
    CHECK(forecast.slots[0].start == at("2026-06-01T09:00:00Z"));
    CHECK(forecast.slots[0].end == at("2026-06-01T10:00:00Z"));
    CHECK(forecast.slots[0].pv_w == doctest::Approx(3920));
    CHECK(forecast.slots[1].end == at("2026-06-01T12:00:00Z"));
    CHECK(forecast.slots[1].pv_w == doctest::Approx(4900));
    CHECK(forecast.slots[2].pv_w == 0);
}

TEST_CASE("open-meteo: quarters of an hour") {
    const auto forecast = parse_open_meteo(R"({"utc_offset_seconds": -12600, "minutely_15": {
        "time": ["2026-06-01T12:00", "2026-06-01T12:15"], "global_tilted_irradiance": [400, 500]}})",
                                           10, 1);

    REQUIRE(forecast.slots.size() == 2);
    CHECK(forecast.slots[0].start == at("2026-06-01T11:45:00-03:30"));
    CHECK(forecast.slots[1].end - forecast.slots[1].start == 15min);
}

TEST_CASE("open-meteo: what is wrong is named with its place") {
    const auto refused = [](const std::string& body) { return refusal([&] { parse_open_meteo(body, 10, 1); }); };
    const auto hourly = [&](const char* content) {
        return refused(std::string(R"({"utc_offset_seconds": 0, "hourly": {)") + content + "}}");
    };

    CHECK(refused(R"({"error": true})") == "Open-Meteo: expected an object hourly or minutely_15");
    CHECK(refused(R"({"hourly": {}})").find("utc_offset_seconds: expected a number") != std::string::npos);
    CHECK(hourly(R"("time": [1])") == "Open-Meteo hourly: global_tilted_irradiance: expected a list, got nothing");
    CHECK(hourly(R"("time": [], "global_tilted_irradiance": [1])").find("0 times and 1 values") != std::string::npos);
    CHECK(hourly(R"("time": ["2026-06-01"], "global_tilted_irradiance": [1])")
              .find("Open-Meteo hourly.time[0]: expected a time like") == 0);
    CHECK(hourly(R"("time": ["2026-06-01T12:00"], "global_tilted_irradiance": ["1"])")
              .find("hourly.global_tilted_irradiance[0]: expected a number or null") != std::string::npos);
    CHECK(
        hourly(R"("time": ["2026-06-01T12:00"], "global_tilted_irradiance": [99999])").find("expected at most 2000") !=
        std::string::npos);
    CHECK(hourly(R"("time": ["2026-06-01T12:00"], "global_tilted_irradiance": [null])") ==
          "Open-Meteo hourly: no values");
}

TEST_CASE("forecast: planes add up, and where one is unknown the sum is") {
    const auto start = at("2026-06-01T10:00:00Z");
    const std::vector<ForecastSlot> east{{.start = start, .end = start + 2h, .pv_w = 1000}};
    const std::vector<ForecastSlot> west{{.start = start + 1h, .end = start + 90min, .pv_w = 200},
                                         {.start = start + 90min, .end = start + 3h, .pv_w = 500}};

    const auto sum = sum_of({east, west});

    REQUIRE(sum.size() == 2);
    CHECK(sum[0] == ForecastSlot{.start = start + 1h, .end = start + 90min, .pv_w = 1200});
    CHECK(sum[1] == ForecastSlot{.start = start + 90min, .end = start + 2h, .pv_w = 1500});
    CHECK(sum_of({east, std::vector<ForecastSlot>{}}).empty());
    CHECK(sum_of(std::vector<std::vector<ForecastSlot>>{}).empty());
}

TEST_CASE("forecast: energy of a time that is known in all its parts") {
    const auto start = at("2026-06-01T10:00:00Z");
    const std::vector<ForecastSlot> slots{{.start = start, .end = start + 1h, .pv_w = 1000},
                                          {.start = start + 1h, .end = start + 2h, .pv_w = 3000},
                                          {.start = start + 3h, .end = start + 4h, .pv_w = 9000}};

    CHECK(energy_kwh(slots, start + 30min, start + 2h).value() == doctest::Approx(3.5));
    CHECK_FALSE(energy_kwh(slots, start, start + 4h));
    CHECK_FALSE(energy_kwh(slots, start - 1min, start + 1h));
    CHECK_FALSE(energy_kwh(slots, start + 3h, start + 5h));
}

TEST_CASE("forecast: the state of several roofs") {
    const test::Zone zone;
    const auto midnight = at("2026-06-01T00:00:00+02:00");
    const std::vector<ForecastSlot> roof{{.start = midnight, .end = midnight + 48h, .pv_w = 1000}};
    const std::vector<ForecastSlot> none;
    const auto state = [&](const std::vector<ForecastSlot>& other, bool is_fresh) {
        return combine_forecasts({{.name = "roof", .slots = roof, .is_fresh = is_fresh},
                                  {.name = "barn", .slots = other, .is_fresh = is_fresh}},
                                 midnight + 18h);
    };

    const auto whole = state(roof, true);
    CHECK(whole.quality == "ok");
    CHECK(whole.slots.at(0).pv_w == 2000);
    CHECK(whole.today_kwh.value() == doctest::Approx(12));
    CHECK(whole.tomorrow_kwh.value() == doctest::Approx(48));
    const auto part = state(none, true);
    CHECK(part.quality == "partial");
    CHECK(part.missing == std::vector<std::string>{"barn"});
    CHECK(part.slots.at(0).pv_w == 1000);
    CHECK(state(none, false).quality == "stale");
    CHECK(combine_forecasts({{.name = "barn", .slots = none, .is_fresh = true}}, midnight).quality == "error");
}
