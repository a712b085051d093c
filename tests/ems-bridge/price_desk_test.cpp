#include "ems-bridge/tariffs/price_desk.hpp"

#include <memory>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "ems-bridge/forecasts/forecast_desk.hpp"
#include "messaging/in_memory_broker.hpp"
#include "scheduling/simulated_loop.hpp"
#include "support.hpp"

using namespace ems_bridge;
using namespace std::chrono_literals;
using nlohmann::json;
using test::at;

namespace {

constexpr unsigned every_day = 0b1111111;

// Both desks with everything around them simulated, from noon of a summer day.
struct World {
    test::Zone zone;
    scheduling::SimulatedLoop loop{at("2026-06-01T12:00:00+02:00")};
    scheduling::SimulatedWorkerFactory workers{loop};
    messaging::InMemoryBroker broker{loop};
    std::unique_ptr<messaging::InMemoryClient> bus = broker.connect("ems-bridge");
    service::Environment environment{loop, workers, *bus, contract::Topics("twc"), "ems-bridge"};
    test::FakeHttp http;
    std::vector<std::pair<contract::WallTime, json>> tariffs;
    std::unique_ptr<PriceDesk> prices;
    std::unique_ptr<ForecastDesk> forecasts;

    World() {
        broker.tap([this](const std::string&, const messaging::Publication& publication) {
            if (publication.topic == "twc/ems/tariff/state" && !publication.payload.empty()) {
                CHECK(publication.retained);
                CHECK(publication.qos == 1);
                tariffs.emplace_back(loop.wall_now(), json::parse(publication.payload));
            }
        });
        loop.run_for(1ms);
    }

    void start(std::vector<TariffConfig> configs) {
        prices = std::make_unique<PriceDesk>(std::move(configs), environment, http);
        loop.run_for(1100ms);
    }
    void start(std::vector<ForecastConfig> configs) {
        forecasts = std::make_unique<ForecastDesk>(std::move(configs), environment, http);
        loop.run_for(1100ms);
    }
    void run_until(const char* time) {
        loop.run_for(std::chrono::duration_cast<scheduling::Duration>(at(time) - loop.wall_now()));
    }
    json retained(const std::string& topic) const { return json::parse(broker.retained(topic).value_or("{}")); }
    json tariff() const { return retained("twc/ems/tariff/state"); }
    json forecast() const { return retained("twc/ems/forecast/state"); }
};

TariffConfig fixed() {
    return {
        .name = "house",
        .source =
            FixedTariff{.currency = "EUR",
                        .import_price = 0.32,
                        .windows = {{.days = every_day, .from_min = 22 * 60, .to_min = 6 * 60, .import_price = 0.24}}},
        .gives_import = true};
}

TariffConfig web(const std::string& name, FetchTariff fetch) {
    return {.name = name, .source = WebTariff{.fetch = std::move(fetch)}, .gives_import = true};
}

// A market that knows today and, from 13:10 on, tomorrow.
Tariff day_ahead(contract::WallTime now) {
    const bool knows_tomorrow = now >= at("2026-06-01T13:10:00+02:00");
    Tariff tariff{.currency = "EUR"};
    auto start = at("2026-06-01T00:00:00+02:00");
    for (int hour = 0; hour < (knows_tomorrow ? 48 : 24); ++hour, start += 1h) {
        tariff.slots.push_back({.start = start, .end = start + 1h, .import_price = 0.01 * hour});
    }
    return tariff;
}

}  // namespace

TEST_CASE_FIXTURE(World, "price desk: without tariffs the state of an earlier run is withdrawn and nothing is said") {
    auto earlier = broker.connect("earlier");
    earlier->publish({.topic = "twc/ems/tariff/state", .payload = "{}", .retained = true, .qos = 1});
    earlier->publish({.topic = "twc/ems/forecast/state", .payload = "{}", .retained = true, .qos = 1});
    loop.run_for(1s);

    start(std::vector<TariffConfig>{});
    start(std::vector<ForecastConfig>{});
    loop.run_for(10min);

    CHECK(broker.retained("twc/ems/tariff/state").value_or("").empty());
    CHECK(broker.retained("twc/ems/forecast/state").value_or("").empty());
}

TEST_CASE_FIXTURE(World, "price desk: a table is there at once, and changes at its borders to the second") {
    start({fixed()});

    CHECK(tariff().at("quality") == "ok");
    CHECK(tariff().at("import_price") == 0.32);
    CHECK(tariff().at("currency") == "EUR");
    CHECK(broker.retained("twc/ems/tariff/import_price") == "0.32");

    run_until("2026-06-01T21:59:59+02:00");
    CHECK(tariff().at("import_price") == 0.32);
    run_until("2026-06-01T22:00:01+02:00");
    CHECK(tariff().at("import_price") == 0.24);
    CHECK(tariff().at("slots").at(0).at("start") == "2026-06-01T22:00:00.000+02:00");
    run_until("2026-06-05T21:00:00+02:00");
    CHECK(at(tariff().at("slots").back().at("end").get<std::string>().c_str()) - loop.wall_now() >= 48h);
}

TEST_CASE_FIXTURE(World, "price desk: every published state is in order and right about now") {
    start({fixed()});
    run_until("2026-06-03T12:00:00+02:00");

    REQUIRE(tariffs.size() > 500);
    for (const auto& [time, payload] : tariffs) {
        const auto state = contract::from_json<contract::TariffState>(payload);
        REQUIRE_FALSE(state.slots.empty());
        REQUIRE(state.slots.front().start <= time);
        REQUIRE(state.slots.front().end > time);
        REQUIRE(state.import_price == state.slots.front().import_price);
    }
}

TEST_CASE_FIXTURE(World, "price desk: after a jump of the clock the price of now is right within a minute") {
    start({fixed()});
    loop.jump_wall_clock(11h);
    loop.run_for(61s);
    CHECK(tariff().at("import_price") == 0.24);
}

TEST_CASE_FIXTURE(World, "price desk: tomorrow's prices are there soon after they are announced") {
    std::vector<contract::WallTime> asked;
    start({web("spot", [&](http::HttpClient&, contract::WallTime now) {
        asked.push_back(now);
        return day_ahead(now);
    })});
    CHECK(tariff().at("import_price") == 0.12);
    CHECK(tariff().at("slots").size() == 12);

    run_until("2026-06-01T13:35:00+02:00");
    CHECK(tariff().at("slots").size() == 35);
    const auto by_then = asked.size();
    CHECK(by_then <= 5);

    run_until("2026-06-01T18:00:00+02:00");
    CHECK(asked.size() - by_then <= 5);  // once an hour again
    CHECK(prices->metrics().at("spot").at("fetches") == asked.size());
}

TEST_CASE_FIXTURE(World, "price desk: an announced price stays true when its source falls silent, until it is over") {
    bool is_broken = false;
    start({web("spot", [&](http::HttpClient&, contract::WallTime now) {
        if (is_broken) {
            throw SourceError(ErrorKind::device, "out of order");
        }
        return day_ahead(now);
    })});
    run_until("2026-06-01T14:00:00+02:00");
    is_broken = true;

    run_until("2026-06-02T12:30:00+02:00");
    CHECK(tariff().at("import_price") == 0.36);
    CHECK(tariff().at("quality") == "ok");
    CHECK(prices->metrics().at("spot").at("error") == "out of order");
    CHECK(prices->metrics().at("spot").at("errors").at("device").get<int>() > 10);

    run_until("2026-06-02T23:30:00+02:00");
    CHECK(tariff().at("import_price") == 0.47);
    CHECK(tariff().at("quality") == "stale");  // nothing was heard for more than a day
    CHECK(tariff().at("missing").empty());

    run_until("2026-06-03T00:01:00+02:00");
    CHECK(tariff().at("import_price").is_null());
    CHECK(tariff().at("slots").empty());
    CHECK(tariff().at("quality") == "error");
    CHECK(tariff().at("missing") == json({"spot"}));

    is_broken = false;
    run_until("2026-06-03T02:00:00+02:00");
    CHECK(tariff().at("quality") == "error");  // it answers, but with days that are over
}

TEST_CASE_FIXTURE(World, "price desk: one dead source takes nothing from another") {
    auto feed_in = fixed();
    feed_in.name = "feed-in";
    feed_in.source = FixedTariff{.export_price = 0.08};
    start({web("dead",
               [](http::HttpClient&, contract::WallTime) -> Tariff {
                   throw http::TransportError("https://x: no route to host");
               }),
           feed_in});

    loop.run_for(1h);

    CHECK(tariff().at("quality") == "partial");
    CHECK(tariff().at("missing") == json({"dead"}));
    CHECK(tariff().at("export_price") == 0.08);
    CHECK(tariff().at("import_price").is_null());
}

TEST_CASE_FIXTURE(World, "price desk: a desk that is gone says nothing any more") {
    start({fixed(), web("spot", [](http::HttpClient&, contract::WallTime now) { return day_ahead(now); })});
    prices.reset();
    const auto before = tariffs.size();
    loop.run_for(12h);
    CHECK(tariffs.size() == before);
}

TEST_CASE_FIXTURE(World, "forecast desk: sums, energies still to come, and a silent source") {
    bool is_broken = false;
    const auto noon = at("2026-06-01T12:00:00+02:00");
    const auto roof = [&](const std::string& name, double pv_w) {
        return ForecastConfig{.name = name, .fetch = [&is_broken, noon, pv_w](http::HttpClient&, contract::WallTime) {
                                  if (is_broken) {
                                      throw SourceError(ErrorKind::device, "out of order");
                                  }
                                  return Forecast{.slots = {{.start = noon - 12h, .end = noon + 36h, .pv_w = pv_w}}};
                              }};
    };
    start({roof("east", 1000), roof("west", 500)});

    CHECK(forecast().at("quality") == "ok");
    CHECK(forecast().at("slots").at(0).at("pv_w") == 1500);
    CHECK(forecast().at("today_kwh") == 18);
    CHECK(forecast().at("tomorrow_kwh") == 36);

    is_broken = true;
    run_until("2026-06-01T20:05:00+02:00");
    CHECK(forecast().at("quality") == "stale");
    CHECK(forecast().at("today_kwh").get<double>() == doctest::Approx(5.9).epsilon(0.05));
    run_until("2026-06-03T00:02:00+02:00");
    CHECK(forecast().at("quality") == "error");
    CHECK(forecast().at("missing") == json({"east", "west"}));
    CHECK(forecast().at("today_kwh").is_null());
    CHECK(forecasts->metrics().at("east").at("errors").at("device").get<int>() > 10);
}

TEST_CASE_FIXTURE(World, "forecast desk: a service that has answered its last free question is left alone") {
    int asked = 0;
    start({ForecastConfig{.name = "roof",
                          .fetch =
                              [&](http::HttpClient&, contract::WallTime now) {
                                  ++asked;
                                  return Forecast{.slots = {{.start = now, .end = now + 1h}}, .not_before = 5h};
                              },
                          .interval = 15min}});
    loop.run_for(5h);
    CHECK(asked == 1);
    loop.run_for(40min);
    CHECK(asked == 2);
}
