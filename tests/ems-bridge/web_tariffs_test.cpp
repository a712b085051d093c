// Each price and forecast service against a real web server that answers as it does.
#include <filesystem>
#include <fstream>
#include <unistd.h>

#include <doctest/doctest.h>
#include <fmt/format.h>

#include "ems-bridge/forecasts/forecast_config.hpp"
#include "ems-bridge/tariffs/tariff_config.hpp"
#include "support.hpp"
#include "web_server.hpp"

using namespace ems_bridge;
using namespace std::chrono_literals;
using test::at;
using test::Running;

namespace {

const auto now = at("2026-06-01T12:34:56+02:00");

struct SecretFile {
    std::filesystem::path path = std::filesystem::temp_directory_path() / fmt::format("web-tariff-secret-{}", getpid());
    SecretFile() { std::ofstream(path) << "s3cret-key\n"; }
    ~SecretFile() { std::filesystem::remove(path); }
    SecretFile(const SecretFile&) = delete;
    SecretFile& operator=(const SecretFile&) = delete;
};

// One entry as it stands in the configuration, with a real client.
struct Asked {
    http::CurlHttpClientFactory clients;
    std::unique_ptr<http::HttpClient> client = clients.make_client({});

    Tariff tariff(const std::string& entry) {
        const config::Document document("tariffs: {a: {timeout_s: 2, " + entry + "}}", "test.yaml");
        const auto configs = read_tariffs(document.root().section("tariffs"));
        document.finish();
        return std::get<WebTariff>(configs.at(0).source).fetch(*client, now);
    }
    Forecast forecast(const std::string& entry) {
        const config::Document document("forecasts: {a: {timeout_s: 2, " + entry + "}}", "test.yaml");
        const auto configs =
            read_forecasts(document.root().section("forecasts"), Place{.latitude_deg = 48.1, .longitude_deg = 11.6});
        document.finish();
        return configs.at(0).fetch(*client, now);
    }
    Failure failure(const std::string& entry, bool is_forecast = false) {
        try {
            if (is_forecast) {
                forecast(entry);
            } else {
                tariff(entry);
            }
        } catch (...) {
            return describe(std::current_exception());
        }
        return {.kind = ErrorKind::device, .what = "no failure"};
    }
};

}  // namespace

TEST_CASE_FIXTURE(Asked, "web: awattar is asked for two days from this hour on") {
    Running server;
    std::string start;
    std::string end;
    server.server.Get("/v1/marketdata", [&](const httplib::Request& request, httplib::Response& response) {
        start = request.get_param_value("start");
        end = request.get_param_value("end");
        response.set_content(R"({"object":"list","data":[{"start_timestamp":1780308000000,
            "end_timestamp":1780311600000,"marketprice":100,"unit":"Eur/MWh"}]})",
                             "application/json");
    });
    server.start();

    const auto result =
        tariff("kind: awattar, surcharge: 0.1, factor: 1.2, export_price: 0.08, url: '" + server.url() + "/'");

    CHECK(start == "1780308000000");
    CHECK(end == "1780480800000");
    REQUIRE(result.slots.size() == 1);
    CHECK(result.slots[0].start == at("2026-06-01T12:00:00+02:00"));
    CHECK(result.slots[0].import_price.value() == doctest::Approx(0.24));
    CHECK(result.slots[0].export_price == 0.08);
}

TEST_CASE_FIXTURE(Asked, "web: tibber is asked with the token, which no message shows") {
    const SecretFile secret;
    Running server;
    int status = 200;
    std::string login;
    std::string query;
    server.server.Post("/v1-beta/gql", [&](const httplib::Request& request, httplib::Response& response) {
        login = request.get_header_value("Authorization");
        query = nlohmann::json::parse(request.body).at("query").get<std::string>();
        response.status = status;
        response.set_content(status == 200
                                 ? R"({"data":{"viewer":{"homes":[{"id":"h","currentSubscription":{"priceInfo":{
                "today":[{"total":0.25,"startsAt":"2026-06-01T12:00:00.000+02:00","currency":"NOK"}],"tomorrow":[]}}}]}}})"
                                 : R"({"errors":[{"message":"invalid token"}]})",
                             "application/json");
    });
    server.start();
    const std::string entry =
        fmt::format("kind: tibber, url: '{}', token_file: {}, home_id: h", server.url(), secret.path.string());

    CHECK(tariff(entry).slots.at(0).import_price == 0.25);
    CHECK(tariff(entry).currency == "NOK");
    CHECK(login == "Bearer s3cret-key");
    CHECK(query.find("priceInfo(resolution:QUARTER_HOURLY)") != std::string::npos);

    status = 401;
    const auto refused = failure(entry);
    CHECK(refused.kind == ErrorKind::login);
    CHECK(refused.what == server.url() + "/v1-beta/gql: HTTP 401: invalid token, check the credentials");
    CHECK(refused.not_before == 15min);
}

TEST_CASE_FIXTURE(Asked, "web: octopus has pages, and a product for each direction") {
    Running server;
    std::string period_from;
    server.server.Get(
        "/v1/products/AGILE-1/electricity-tariffs/E-1R-AGILE-1-C/standard-unit-rates/",
        [&](const httplib::Request& request, httplib::Response& response) {
            const bool is_first = !request.has_param("page");
            if (is_first) {
                period_from = request.get_param_value("period_from");
            }
            const std::string next = is_first ? fmt::format("\"{}{}?page=2\"", server.url(), request.path) : "null";
            response.set_content(
                fmt::format(R"({{"next":{},"results":[{{"value_inc_vat":{},"valid_from":"{}","valid_to":"{}"}}]}})",
                            next, is_first ? 21 : 18, is_first ? "2026-06-01T10:30:00Z" : "2026-06-01T10:00:00Z",
                            is_first ? "2026-06-01T11:00:00Z" : "2026-06-01T10:30:00Z"),
                "application/json");
        });
    server.server.Get(
        "/v1/products/OUT-1/electricity-tariffs/E-1R-OUT-1-C/standard-unit-rates/",
        [](const httplib::Request&, httplib::Response& response) {
            response.set_content(
                R"({"next":null,"results":[{"value_inc_vat":15,"valid_from":"2024-01-01T00:00:00Z","valid_to":null}]})",
                "application/json");
        });
    server.start();
    const std::string import = "import: {product: AGILE-1, tariff: E-1R-AGILE-1-C}";

    const auto result = tariff(fmt::format(
        "kind: octopus, url: '{}', {}, export: {{product: OUT-1, tariff: E-1R-OUT-1-C}}", server.url(), import));

    CHECK(period_from == "2026-06-01T00:00Z");
    CHECK(result.currency == "GBP");
    const auto* const slot = slot_at(result.slots, at("2026-06-01T10:15:00Z"));
    REQUIRE(slot != nullptr);
    CHECK(slot->import_price.value() == doctest::Approx(0.18));
    CHECK(slot->export_price.value() == doctest::Approx(0.15));
    CHECK(slot_at(result.slots, at("2026-06-01T10:45:00Z"))->import_price.value() == doctest::Approx(0.21));
    CHECK(slot_at(result.slots, at("2030-01-01T00:00:00Z"))->export_price.value() == doctest::Approx(0.15));

    const auto missing =
        failure(fmt::format("kind: octopus, url: '{}', import: {{product: NO, tariff: NO}}", server.url()));
    CHECK(missing.what.find("HTTP 404") != std::string::npos);
}

TEST_CASE_FIXTURE(Asked, "web: octopus is not followed to another server") {
    Running server;
    server.server.Get(".*", [](const httplib::Request&, httplib::Response& response) {
        response.set_content(R"({"next":"http://169.254.169.254/x","results":[]})", "application/json");
    });
    server.start();

    CHECK(failure(fmt::format("kind: octopus, url: '{}', import: {{product: A, tariff: B}}", server.url())).what ==
          "Octopus: next: expected a page of the same server");
}

TEST_CASE_FIXTURE(Asked, "web: entsoe is asked with its parameters, and refuses in XML") {
    const SecretFile secret;
    Running server;
    httplib::Params parameters;
    int status = 200;
    server.server.Get("/api", [&](const httplib::Request& request, httplib::Response& response) {
        parameters = request.params;
        response.status = status;
        response.set_content(
            status == 200
                ? "<Publication_MarketDocument xmlns=\"urn:x\"><TimeSeries><currency_Unit.name>EUR</currency_Unit.name>"
                  "<price_Measure_Unit.name>MWH</price_Measure_Unit.name><curveType>A03</"
                  "curveType><Period><timeInterval>"
                  "<start>2026-06-01T10:00Z</start><end>2026-06-01T11:00Z</end></timeInterval><resolution>PT15M"
                  "</resolution><Point><position>1</position><price.amount>80</price.amount></Point></Period></"
                  "TimeSeries>"
                  "</Publication_MarketDocument>"
                : "<Acknowledgement_MarketDocument xmlns=\"urn:y\"><Reason><code>999</code><text>Unknown domain</text>"
                  "</Reason></Acknowledgement_MarketDocument>",
            "text/xml");
    });
    server.start();
    const std::string entry = fmt::format("kind: entsoe, url: '{}', domain: 10Y1001A1001A82H, token_file: {}",
                                          server.url(), secret.path.string());

    CHECK(tariff(entry).slots.size() == 4);
    const auto parameter = [&](const char* name) { return parameters.find(name)->second; };
    CHECK(parameter("documentType") == "A44");
    CHECK(parameter("in_Domain") == "10Y1001A1001A82H");
    CHECK(parameter("out_Domain") == "10Y1001A1001A82H");
    CHECK(parameter("periodStart") == "202605310000");
    CHECK(parameter("periodEnd") == "202606040000");
    CHECK(parameter("securityToken") == "s3cret-key");

    status = 400;
    const auto refused = failure(entry);
    CHECK(refused.what == server.url() + "/api: HTTP 400: Unknown domain");
    CHECK(refused.what.find("s3cret") == std::string::npos);
}

TEST_CASE_FIXTURE(Asked, "web: forecast.solar is asked plane by plane, and its limit is obeyed") {
    const test::Zone zone;
    const SecretFile secret;
    Running server;
    std::vector<std::string> paths;
    int status = 200;
    server.server.Get(".*", [&](const httplib::Request& request, httplib::Response& response) {
        paths.push_back(request.path + "?time=" + request.get_param_value("time"));
        response.status = status;
        response.set_content(
            status == 200
                ? R"({"result":{"watts":{"2026-06-01T10:00:00+02:00":1000,"2026-06-01T11:00:00+02:00":3000},
                     "watt_hours_period":{"2026-06-01T10:00:00+02:00":0,"2026-06-01T11:00:00+02:00":2000}},
                     "message":{"ratelimit":{"remaining":3,"period":3600}}})"
                : R"({"result":null,"message":{"code":429,"type":"error","text":"Rate limit for API calls reached.",
                     "ratelimit":{"period":3600,"limit":12,"retry-at":"2026-06-01T13:04:56+02:00"}}})",
            "application/json");
    });
    server.start();
    const std::string planes =
        "planes: [{tilt_deg: 35, azimuth_deg: -90, kwp: 5.5}, {tilt_deg: 10, azimuth_deg: 90, kwp: 4}]";
    const std::string entry = fmt::format("kind: forecast_solar, url: '{}', {}", server.url(), planes);

    CHECK(forecast(entry).slots.at(0).pv_w == 4000);
    CHECK(paths == std::vector<std::string>{"/estimate/48.1/11.6/35/-90/5.5?time=iso8601",
                                            "/estimate/48.1/11.6/10/90/4?time=iso8601"});

    status = 429;
    const auto refused = failure(entry + ", api_key_file: " + secret.path.string(), true);
    CHECK(paths.back().starts_with("/s3cret-key/estimate/"));
    CHECK(refused.kind == ErrorKind::rate_limited);
    CHECK(refused.what == server.url() + ": HTTP 429: Rate limit for API calls reached.");
    CHECK(refused.not_before == 30min);
}

TEST_CASE_FIXTURE(Asked, "web: open-meteo is asked plane by plane, and says what it does not like") {
    Running server;
    std::vector<httplib::Params> asked;
    int status = 200;
    server.server.Get("/v1/forecast", [&](const httplib::Request& request, httplib::Response& response) {
        asked.push_back(request.params);
        response.status = status;
        response.set_content(status == 200 ? R"({"utc_offset_seconds":7200,"minutely_15":{"time":["2026-06-01T13:00"],
                                                "global_tilted_irradiance":[500]}})"
                                           : R"({"error":true,"reason":"Cannot initialize from tilt"})",
                             "application/json");
    });
    server.start();
    const std::string entry = fmt::format(
        "kind: open_meteo, url: '{}', latitude: -33.9, longitude: 151.2, step: minutely_15, factor: 0.8, planes: "
        "[{{tilt_deg: 20, azimuth_deg: 180, kwp: 6}}]",
        server.url());

    const auto slots = forecast(entry).slots;

    REQUIRE(slots.size() == 1);
    CHECK(slots[0].pv_w == doctest::Approx(2400));
    CHECK(slots[0].end == at("2026-06-01T13:00:00+02:00"));
    const auto parameter = [&](const char* name) { return asked.back().find(name)->second; };
    CHECK(parameter("latitude") == "-33.9");
    CHECK(parameter("minutely_15") == "global_tilted_irradiance");
    CHECK(parameter("tilt") == "20");
    CHECK(parameter("azimuth") == "180");
    CHECK(parameter("timezone") == "auto");

    status = 400;
    CHECK(failure(entry, true).what == server.url() + "/v1/forecast: HTTP 400: Cannot initialize from tilt");
}
