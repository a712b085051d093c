#include "contract/schema.hpp"

#include <doctest/doctest.h>

#include "contract/messages.hpp"

using namespace contract;

namespace {

// What from_text says about a payload that is refused.
template <class Message>
std::string refusal(const std::string& text) {
    try {
        from_text<Message>(text);
        return "accepted";
    } catch (const Invalid& error) {
        return error.what();
    }
}

std::string nested(std::size_t levels) { return std::string(levels, '[') + std::string(levels, ']'); }

}  // namespace

TEST_CASE("schema: a message survives the way through JSON") {
    const LimitSet sent{.ttl_s = 30, .seq = 88, .chargers = {{"7744", 10.0}, {"7745", 0.0}}, .max_a = 24.0};

    CHECK(to_json(sent).dump() == R"({"chargers":{"7744":10.0,"7745":0.0},"max_a":24.0,"seq":88,"ttl_s":30.0})");
    CHECK(from_text<LimitSet>(to_json(sent).dump()) == sent);
}

TEST_CASE("schema: a refusal names the field, the value and what was expected") {
    CHECK(refusal<LimitSet>("[]") == "payload: got [], expected an object");
    CHECK(refusal<LimitSet>(R"({"seq":1,"chargers":{}})") == "ttl_s: missing, expected it to be given");
    CHECK(refusal<LimitSet>(R"({"ttl_s":"30","seq":1,"chargers":{}})") ==
          R"(ttl_s: got "30", expected a number from 1 to 600)");
    CHECK(refusal<LimitSet>(R"({"ttl_s":30,"seq":1.5,"chargers":{}})") ==
          "seq: got 1.5, expected a whole number from 0 to 1e+12");
    CHECK(refusal<LimitSet>(R"({"ttl_s":30,"seq":1,"chargers":{"7744":81}})") ==
          "chargers.7744: got 81, expected a number from 0 to 80");
    CHECK(refusal<LimitSet>(R"({"ttl_s":30,"seq":1,"chargers":{"7744":null}})") ==
          "chargers.7744: got null, expected a number from 0 to 80");
    CHECK(refusal<SitePower>(R"({"quality":"good","missing":[]})") ==
          R"(quality: got "good", expected one of ok, partial, estimated, stale, error)");
    CHECK(refusal<SitePower>(R"({"quality":"ok","missing":[],"grid_a":[1,2]})") ==
          "grid_a: got [1,2], expected a list of 3");
    CHECK(refusal<SitePower>(R"({"quality":"ok","missing":["a",7]})") == "missing[1]: got 7, expected text");
    CHECK(refusal<SitePower>(R"({"quality":"ok","missing":[],"ts":"noon"})") ==
          R"(ts: got "noon", expected a time like 2026-01-31T12:00:00+01:00)");
}

TEST_CASE("schema: true is not a number and 1 is not true") {
    CHECK(refusal<LimitSet>(R"({"ttl_s":true,"seq":1,"chargers":{}})") ==
          "ttl_s: got true, expected a number from 1 to 600");
    CHECK(refusal<OverrideState>(R"({"active":1,"scope":"all"})") == "active: got 1, expected true or false");
}

TEST_CASE("schema: integers keep their value or are refused") {
    const auto with_code = [](const std::string& code) { return R"({"state":"ready","state_code":)" + code + "}"; };

    CHECK(from_text<ChargerState>(with_code("255")).state_code == 255);
    CHECK(from_text<ChargerState>(with_code("4.0")).state_code == 4);
    for (const char* bad : {"256", "-1", "4.5", "99999999999999999999", "1e300", "-0.5"}) {
        CAPTURE(bad);
        CHECK(refusal<ChargerState>(with_code(bad)).starts_with("state_code: got "));
    }
    CHECK(refusal<ChargerState>(with_code("1e999")).starts_with("payload: a number is out of range"));
}

TEST_CASE("schema: null and absence are the same for what may be unknown") {
    CHECK_FALSE(from_text<SitePower>(R"({"quality":"ok","missing":[],"grid_w":null})").grid_w.has_value());
    CHECK_FALSE(from_text<SitePower>(R"({"quality":"ok","missing":[]})").grid_w.has_value());
}

TEST_CASE("schema: keys of a newer writer are ignored") {
    CHECK(from_text<OverrideState>(R"({"active":false,"scope":"all","colour":{"deep":[1]}})") == OverrideState{});
}

TEST_CASE("schema: NaN and infinity become unknown, and minus zero is zero") {
    SitePower site;
    site.grid_w = std::numeric_limits<double>::quiet_NaN();
    site.pv_w = std::numeric_limits<double>::infinity();
    site.house_w = -0.0001;

    const auto json = to_json(site);

    CHECK(json["grid_w"].is_null());
    CHECK(json["pv_w"].is_null());
    CHECK(json["house_w"].dump() == "0.0");
}

TEST_CASE("schema: text of a device that is not UTF-8 can still be published") {
    ChargerState charger;
    charger.vin = "5YJ\xff\xfe";
    charger.fault = std::string("cut \xe2\x82", 6);

    const auto json = to_json(charger);

    CHECK(json.dump().find("5YJ\xef\xbf\xbd") != std::string::npos);
    CHECK(from_json<ChargerState>(json).fault->starts_with("cut "));
    CHECK(valid_utf8("Grün ☀") == "Grün ☀");
    CHECK(valid_utf8("").empty());
    CHECK(to_text("\xc3\x28") == "\"\xef\xbf\xbd(\"");
}

TEST_CASE("schema: what is not JSON is refused with its place, shortened and printable") {
    CHECK(refusal<LimitSet>("") == R"(payload: not JSON at byte 1 of "")");
    CHECK(refusal<LimitSet>("{'a':1}").starts_with("payload: not JSON at byte 2 of"));
    CHECK(refusal<LimitSet>("{} {}").starts_with("payload: not JSON at byte 4 of"));
    const auto binary = refusal<LimitSet>(std::string("\x00\xff\x1b[2J\n", 7) + std::string(10000, 'x'));
    CHECK(binary.size() < 200);
    for (const char c : binary) {
        REQUIRE((c >= ' ' || static_cast<unsigned char>(c) >= 0x80));
    }
    CHECK(valid_utf8(binary) == binary);
}

TEST_CASE("schema: a key cannot forge a line of the log") {
    const auto words = refusal<LimitSet>(R"({"ttl_s":30,"seq":1,"chargers":{"a\n2026 error twc-bus: fire":"x"}})");

    CHECK(words == R"(chargers["a\n2026 error twc-bus: fire"]: got "x", expected a number from 0 to 80)");
}

TEST_CASE("schema: a payload may be neither too long nor too deep") {
    CHECK(refusal<LimitSet>(std::string(256 * 1024 + 1, ' ')) == "payload: 262145 bytes, expected at most 262144");
    CHECK(refusal<LimitSet>(nested(64)).starts_with("payload: got [[["));
    CHECK(refusal<LimitSet>(nested(65)) == "payload: nested deeper than the 64 levels allowed");
    CHECK(refusal<LimitSet>(nested(std::size_t{128} * 1024)) == "payload: nested deeper than the 64 levels allowed");
    CHECK(refusal<LimitSet>(std::string(100000, '[')) == "payload: nested deeper than the 64 levels allowed");
    CHECK(parse_json(R"("[[[[\"[[[" )") == R"([[[["[[[)");
    CHECK(parse_json("[\"" + std::string(200, '[') + R"(\\"])").is_array());
}
