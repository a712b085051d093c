#include "ems-bridge/mqtt_feed.hpp"

#include <doctest/doctest.h>

#include "support.hpp"

using namespace ems_bridge;
using namespace std::chrono_literals;

namespace {

const auto wall = contract::parse_timestamp("2026-06-01T12:00:00Z").value();

MqttFeed feed_of(const std::string& values, std::map<std::string, std::string> topics, bool accept_retained = false) {
    return {{.topics = std::move(topics), .accept_retained = accept_retained}, test::mapping_of(values)};
}

std::vector<MqttFeed::Value> send(MqttFeed& feed, std::string_view topic, std::string_view payload,
                                  scheduling::Instant now, bool retained = false) {
    return feed.accept({.topic = topic, .payload = payload, .retained = retained, .now = now, .wall_now = wall});
}

const scheduling::Instant start{1h};

}  // namespace

TEST_CASE("mqtt: a plain number with or without a unit, and all the words for missing") {
    auto feed = feed_of("values: {grid_w: {doc: g, or: null}}", {{"g", "meter/power"}});

    CHECK(send(feed, "meter/power", "-1846.0", start).at(0).value == -1846);
    CHECK(send(feed, "meter/power", "1.2 kW", start).at(0).value == 1200);
    for (const char* missing : {"", "null", "NaN", "unavailable", "{}"}) {
        CAPTURE(missing);
        const auto values = send(feed, "meter/power", missing, start);
        REQUIRE(values.size() == 1);
        CHECK_FALSE(values[0].value);
    }
    CHECK(send(feed, "other/topic", "5", start).empty());
}

TEST_CASE("mqtt: import and export on two topics make one value, as old as the older of them") {
    auto feed = feed_of("values: {grid_w: {sum: [{doc: in}, {doc: out, invert: true}]}}",
                        {{"in", "meter/in"}, {"out", "meter/out"}});

    CHECK(send(feed, "meter/in", "0", start).empty());
    const auto values = send(feed, "meter/out", "350", start + 5s);

    REQUIRE(values.size() == 1);
    CHECK(values[0].value == -350);
    CHECK(values[0].at == start);
}

TEST_CASE("mqtt: a retained value of unknown age is passed over unless it says when it was measured") {
    auto plain = feed_of("values: {grid_w: {doc: g}}", {{"g", "t"}});
    CHECK(send(plain, "t", "5", start, true).empty());
    CHECK(send(plain, "t", "5", start, false).size() == 1);

    auto trusting = feed_of("values: {grid_w: {doc: g}}", {{"g", "t"}}, true);
    CHECK(send(trusting, "t", "5", start, true).size() == 1);

    auto dated = feed_of("values: {grid_w: {doc: g, ptr: /w}}\ntime: {doc: g, ptr: /t}", {{"g", "t"}});
    const auto values = send(dated, "t", R"({"w":5,"t":"2026-06-01T11:59:00Z"})", start, true);
    REQUIRE(values.size() == 1);
    CHECK(values[0].at == start - 60s);
}

TEST_CASE("mqtt: a payload without sense is an error that names the topic") {
    auto feed = feed_of("values: {grid_w: {doc: g, ptr: /w, or: null}}", {{"g", "a/b"}});

    CHECK_THROWS_WITH_AS(send(feed, "a/b", R"({"w":"lots"})", start), R"(a/b: grid_w: "lots" is not a number)",
                         SourceError);
    CHECK(send(feed, "a/b", R"({"w":7})", start).at(0).value == 7);
}
