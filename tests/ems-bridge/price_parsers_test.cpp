#include <doctest/doctest.h>
#include <fmt/format.h>

#include "ems-bridge/tariffs/awattar.hpp"
#include "ems-bridge/tariffs/entsoe.hpp"
#include "ems-bridge/tariffs/octopus.hpp"
#include "ems-bridge/tariffs/tibber.hpp"
#include "support.hpp"

using namespace ems_bridge;
using namespace std::chrono_literals;
using test::at;

namespace {

// What the parser says to a bad answer.
template <class Parse>
std::string refusal(Parse parse) {
    try {
        parse();
    } catch (const SourceError& error) {
        return error.what();
    }
    return "accepted";
}

std::string series(const std::string& more, const std::string& periods) {
    return fmt::format(
        "<TimeSeries><mRID>1</mRID><businessType>A62</businessType>{}<currency_Unit.name>EUR</currency_Unit.name>"
        "<price_Measure_Unit.name>MWH</price_Measure_Unit.name>{}</TimeSeries>",
        more, periods);
}

std::string period(const char* start, const char* end, const char* resolution, const std::string& points) {
    return fmt::format(
        "<Period><timeInterval><start>{}</start><end>{}</end></timeInterval><resolution>{}</resolution>{}</Period>",
        start, end, resolution, points);
}

std::string point(int position, const char* price) {
    return fmt::format("<Point>\n <position>{}</position>\n <price.amount>{}</price.amount>\n</Point>", position,
                       price);
}

std::string document(const std::string& content) {
    return "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<Publication_MarketDocument "
           "xmlns=\"urn:iec62325.351:tc57wg16:451-3:publicationdocument:7:3\"><mRID>x</mRID><type>A44</type>" +
           content + "</Publication_MarketDocument>";
}

const char* const repeating = "<curveType>A03</curveType>";

}  // namespace

TEST_CASE("awattar: hourly prices in euro per megawatt-hour, negative ones too") {
    const auto prices = parse_awattar(R"({"object": "list", "data": [
        {"start_timestamp": 1780264800000, "end_timestamp": 1780268400000, "marketprice": 87.65, "unit": "Eur/MWh"},
        {"start_timestamp": 1780268400000, "end_timestamp": 1780272000000, "marketprice": -4.2, "unit": "Eur/MWh"}],
        "url": "/de/v1/marketdata"})");

    CHECK(prices.currency == "EUR");
    REQUIRE(prices.slots.size() == 2);
    CHECK(prices.slots[0].start == at("2026-06-01T00:00:00+02:00"));
    CHECK(prices.slots[0].end == at("2026-06-01T01:00:00+02:00"));
    CHECK(prices.slots[0].price == doctest::Approx(0.08765));
    CHECK(prices.slots[1].price == doctest::Approx(-0.0042));
}

TEST_CASE("awattar: what is wrong is named with its place") {
    const auto refused = [](const char* body) { return refusal([&] { parse_awattar(body); }); };

    CHECK(refused("<html>").find("aWATTar: payload: not JSON") == 0);
    CHECK(refused("[]") == "aWATTar: expected a JSON object, got []");
    CHECK(refused(R"({"data": {}})") == "aWATTar: data: expected a list, got {}");
    CHECK(refused(R"({"data": [1]})") == "aWATTar data[0]: unit: expected Eur/MWh");
    CHECK(refused(R"({"data": [{"unit": "ct/kWh"}]})") == "aWATTar data[0]: unit: expected Eur/MWh");
    CHECK(refused(R"({"data": [{"unit": "Eur/MWh", "start_timestamp": "now"}]})")
              .find("aWATTar data[0]: start_timestamp: expected a number") == 0);
    CHECK(refused(R"({"data": [{"unit": "Eur/MWh", "start_timestamp": 5, "end_timestamp": 5, "marketprice": 1}]})") ==
          "aWATTar data[0]: end_timestamp: expected after start_timestamp");
    CHECK(refused(R"({"data": [{"unit": "Eur/MWh", "start_timestamp": 5, "end_timestamp": 6, "marketprice": null}]})")
              .find("marketprice: expected a number from") != std::string::npos);
}

TEST_CASE("tibber: today and tomorrow in quarters of an hour, of the home that has a contract") {
    const char* const body = R"({"data":{"viewer":{"homes":[
        {"id": "holiday", "currentSubscription": null},
        {"id": "home-1", "currentSubscription": {"priceInfo": {
            "today": [{"total": 0.3124, "startsAt": "2026-06-01T23:30:00.000+02:00", "currency": "EUR"},
                      {"total": 0.2975, "startsAt": "2026-06-01T23:45:00.000+02:00", "currency": "EUR"}],
            "tomorrow": [{"total": 0.2881, "startsAt": "2026-06-02T00:00:00.000+02:00", "currency": "EUR"}]}}}]}}})";

    const auto prices = parse_tibber(body, "");

    CHECK(prices.currency == "EUR");
    REQUIRE(prices.slots.size() == 3);
    CHECK(prices.slots[1] ==
          PriceSlot{.start = at("2026-06-01T21:45:00Z"), .end = at("2026-06-01T22:00:00Z"), .price = 0.2975});
    CHECK(prices.slots[2].end == at("2026-06-01T23:00:00Z"));  // alone in its list, it is an hour
    CHECK(parse_tibber(body, "home-1") == prices);
    CHECK(refusal([&] { parse_tibber(body, "home-2"); }) ==
          "Tibber: homes: none with the id home-2 has a subscription");
}

TEST_CASE("tibber: tomorrow's empty list is no error, and the service's own error is passed on") {
    const auto prices = parse_tibber(R"({"data":{"viewer":{"homes":[{"id":"a","currentSubscription":{"priceInfo":{
        "today":[{"total":0.3,"startsAt":"2026-06-01T00:00:00.000+02:00"}],"tomorrow":[]}}}]}}})",
                                     "");
    CHECK(prices.slots.size() == 1);
    CHECK_FALSE(prices.currency);

    const auto refused = [](const char* body) { return refusal([&] { parse_tibber(body, ""); }); };
    CHECK(refused(R"({"errors":[{"message":"No valid access token in request\n"}],"data":null})") ==
          "Tibber: No valid access token in request ");
    CHECK(refused(R"({"errors":7})") == "Tibber: unknown error");
    CHECK(refused(R"({"data":null})") == "Tibber: data: expected an object");
    CHECK(refused(R"({"data":{"viewer":{"homes":[]}}})") == "Tibber: homes: none has a subscription");
    CHECK(refused(R"({"data":{"viewer":{"homes":[{"currentSubscription":{}},{"currentSubscription":{}}]}}})") ==
          "Tibber: homes: more than one has a subscription, give home_id");
    CHECK(refused(R"({"data":{"viewer":{"homes":[{"currentSubscription":{"priceInfo":{"today":[{"total":1,
          "startsAt":"2026-06-01T00:00:00"}],"tomorrow":[]}}}]}}})")
              .find("Tibber today[0]: startsAt: expected a time like") == 0);
}

TEST_CASE("octopus: pence become pounds, open ends stay open, and cash payers' rates are left out") {
    const auto page = parse_octopus(R"({"count": 3, "next": "https://x/page2", "previous": null, "results": [
        {"value_exc_vat": 20.0, "value_inc_vat": 21.0, "valid_from": "2026-06-01T22:30:00Z", "valid_to": null,
         "payment_method": "DIRECT_DEBIT"},
        {"value_inc_vat": 24.0, "valid_from": "2026-06-01T22:30:00Z", "valid_to": null,
         "payment_method": "NON_DIRECT_DEBIT"},
        {"value_inc_vat": -1.5, "valid_from": "2026-06-01T22:00:00Z", "valid_to": "2026-06-01T22:30:00Z",
         "payment_method": null}]})");

    CHECK(page.next == "https://x/page2");
    REQUIRE(page.slots.size() == 2);
    CHECK(page.slots[0].price == doctest::Approx(0.21));
    CHECK(page.slots[0].end == contract::WallTime::max());
    CHECK(page.slots[1].price == doctest::Approx(-0.015));
    CHECK_FALSE(parse_octopus(R"({"next": null, "results": []})").next);
}

TEST_CASE("octopus: what is wrong is named with its place") {
    const auto refused = [](const char* body) { return refusal([&] { parse_octopus(body); }); };

    CHECK(refused(R"({"detail": "Not found."})") == "Octopus: results: expected a list, got nothing");
    CHECK(refused(R"({"results": [null]})") == "Octopus results[0]: expected an object");
    CHECK(refused(R"({"results": [{"value_inc_vat": "5"}]})").find("value_inc_vat: expected a number") !=
          std::string::npos);
    CHECK(refused(R"({"results": [{"value_inc_vat": 5, "valid_from": "yesterday"}]})")
              .find("valid_from: expected a time") != std::string::npos);
    CHECK(refused(R"({"results": [{"value_inc_vat": 5, "valid_from": "2026-06-01T22:00:00Z",
          "valid_to": "2026-06-01T21:00:00Z"}]})") == "Octopus results[0]: valid_to: expected after valid_from");
}

TEST_CASE("entsoe: positions that a curve of variable blocks leaves out repeat the price before") {
    const auto prices =
        parse_entsoe(document(series(repeating, period("2026-05-31T22:00Z", "2026-06-01T00:00Z", "PT15M",
                                                       point(1, "90.5") + point(3, "-12.25") + point(6, "40")))));

    CHECK(prices.currency == "EUR");
    REQUIRE(prices.slots.size() == 8);
    CHECK(prices.slots[0].start == at("2026-06-01T00:00:00+02:00"));
    CHECK(prices.slots[1].price == doctest::Approx(0.0905));
    CHECK(prices.slots[4].price == doctest::Approx(-0.01225));
    CHECK(prices.slots[7].price == doctest::Approx(0.04));
    CHECK(prices.slots[7].end == at("2026-06-01T02:00:00+02:00"));
}

TEST_CASE("entsoe: positions that another curve leaves out are gaps") {
    const auto prices =
        parse_entsoe(document(series("<curveType>A01</curveType>", period("2026-05-31T22:00Z", "2026-06-01T01:00Z",
                                                                          "PT60M", point(1, "90") + point(3, "30")))));

    REQUIRE(prices.slots.size() == 2);
    CHECK(prices.slots[1].start == at("2026-06-01T00:00:00Z"));
}

TEST_CASE("entsoe: the first auction and the finest resolution count, in whatever order they come") {
    const std::string second =
        "<classificationSequence_AttributeInstanceComponent.position>2"
        "</classificationSequence_AttributeInstanceComponent.position>";
    const std::string first =
        "<classificationSequence_AttributeInstanceComponent.position>1"
        "</classificationSequence_AttributeInstanceComponent.position>"
        "<contract_MarketAgreement.type>A01</contract_MarketAgreement.type>";
    const auto hour = [](const char* price) {
        return period("2026-06-01T00:00Z", "2026-06-01T01:00Z", "PT60M", point(1, price));
    };

    const auto prices = parse_entsoe(
        document(series(second, hour("999")) +
                 series(first, period("2026-06-01T00:00Z", "2026-06-01T00:30Z", "PT30M", point(1, "10"))) +
                 series(first, hour("20")) +
                 series("<contract_MarketAgreement.type>A07</contract_MarketAgreement.type>", hour("888"))));

    REQUIRE(prices.slots.size() == 2);
    CHECK(prices.slots[0].price == doctest::Approx(0.01));
    CHECK(prices.slots[1].price == doctest::Approx(0.02));
    CHECK(prices.slots[1].start == at("2026-06-01T00:30:00Z"));
}

TEST_CASE("entsoe: a refusal is passed on in its own words") {
    const char* const body =
        "<?xml version=\"1.0\"?><Acknowledgement_MarketDocument xmlns=\"urn:iec62325.351:tc57wg16:451-1:"
        "acknowledgementdocument:7:0\"><mRID>1</mRID><Reason><code>999</code><text>No matching data found for Data "
        "item ENERGY_PRICES</text></Reason></Acknowledgement_MarketDocument>";
    CHECK(refusal([&] { parse_entsoe(body); }) ==
          "ENTSO-E says \"No matching data found for Data item ENERGY_PRICES\"");
}

TEST_CASE("entsoe: what is wrong is named with its place") {
    const auto refused = [](const std::string& body) { return refusal([&] { parse_entsoe(body); }); };
    const auto with = [&](const std::string& one_period) { return refused(document(series("", one_period))); };

    CHECK(refused("{}").find("ENTSO-E: not XML at byte") == 0);
    CHECK(refused("<GL_MarketDocument/>") ==
          "ENTSO-E: expected a Publication_MarketDocument, got \"GL_MarketDocument\"");
    CHECK(refused(std::string(1100000, ' ')).find("expected at most 1048576") != std::string::npos);
    CHECK(refused(document("<TimeSeries/>")) == "ENTSO-E: price_Measure_Unit.name: expected MWH, got nothing");
    CHECK(with(period("today", "2026-06-01T01:00Z", "PT60M", "")).find("timeInterval/start: expected a time like") !=
          std::string::npos);
    CHECK(with(period("2026-06-01T00:00Z", "2026-06-01T01:00Z", "P1Y", "")) ==
          "ENTSO-E: resolution: expected PT15M, PT30M or PT60M, got \"P1Y\"");
    CHECK(with(period("2026-06-01T00:00Z", "2026-06-01T00:00Z", "PT60M", "")).find("expected 1 to 2000 steps") !=
          std::string::npos);
    CHECK(with(period("2000-06-01T00:00Z", "2026-06-01T00:00Z", "PT60M", "")).find("expected 1 to 2000 steps") !=
          std::string::npos);
    CHECK(with(period("2026-06-01T00:00Z", "2026-06-01T01:00Z", "PT60M", point(2, "5"))) ==
          "ENTSO-E: position: expected a number from 1 to 1, got \"2\"");
    CHECK(with(period("2026-06-01T00:00Z", "2026-06-01T01:00Z", "PT60M", point(1, "nan")))
              .find("price.amount: expected a number from") != std::string::npos);
    std::string many;
    for (int i = 0; i < 30; ++i) {
        many += period("2026-06-01T00:00Z", "2026-06-02T00:00Z", "PT15M", point(1, "5"));
    }
    CHECK(refused(document(series(repeating, many))) == "ENTSO-E: more than 2000 prices");
}

TEST_CASE("prices: surcharge and VAT come on top, and feeding in has its own price") {
    const Prices market{
        .currency = "EUR",
        .slots = {{.start = at("2026-06-01T00:00:00Z"), .end = at("2026-06-01T01:00:00Z"), .price = 0.1}}};

    const auto bought = tariff_of(market, {.surcharge = 0.15, .factor = 1.2, .export_price = 0.08});
    CHECK(bought.slots.at(0).import_price.value() == doctest::Approx(0.3));
    CHECK(bought.slots.at(0).export_price == 0.08);
    CHECK(bought.currency == "EUR");

    const auto sold = tariff_of(market, {.direction = Direction::sold, .surcharge = -0.02});
    CHECK(sold.slots.at(0).export_price.value() == doctest::Approx(0.08));
    CHECK_FALSE(sold.slots.at(0).import_price);

    CHECK(refusal([&] { tariff_of({}, {}); }) == "an answer without prices");
    CHECK(refusal([&] { tariff_of(market, {.surcharge = 99.9, .factor = 10.01}); }).find("expected at most 1000") !=
          std::string::npos);
}
