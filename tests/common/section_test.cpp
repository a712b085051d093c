#include "config/section.hpp"

#include <random>

#include <doctest/doctest.h>

#include "support/temporary_folder.hpp"

using namespace config;

namespace {

using Overrides = std::vector<std::string>;

// All problems that `read` and the final check find.
template <class Read>
std::string problems(const std::string& text, Read read, const Overrides& overrides = {}) {
    try {
        const Document document(text, "x.yaml", overrides);
        read(document.root());
        document.finish();
        return "";
    } catch (const ConfigError& error) {
        return error.what();
    }
}

std::string refusal(const std::string& text, const Overrides& overrides = {}) {
    return problems(
        text, [](const Section&) {}, overrides);
}

}  // namespace

TEST_CASE("config: values are read with their defaults") {
    const Document document(
        "name: twc\nlimits:\n  max_a: 32\n  ratio: 1e-1\nlist: [a, b]\non: true\nperiod_s: 2.5\nunits:\n"
        "  - id: one\n  - id: two\n",
        "x.yaml");
    const auto& root = document.root();

    CHECK(root.text("name") == "twc");
    const auto limits = root.section("limits");
    CHECK(limits.integer("max_a", 6, 80) == 32);
    CHECK(limits.number("ratio", 0, 1) == 0.1);
    CHECK(limits.number_or("other", 7, 0, 10) == 7);
    CHECK_FALSE(limits.optional_number("other", 0, 10).has_value());
    limits.reject_unknown_keys();
    CHECK(root.texts_or_none("list") == std::vector<std::string>{"a", "b"});
    CHECK(root.flag_or("on", false));
    CHECK(root.seconds_or("period_s", 1, 0, 60) == std::chrono::milliseconds(2500));
    const auto units = root.sections("units");
    REQUIRE(units.size() == 2);
    CHECK(units[1].text("id") == "two");
    CHECK_NOTHROW(document.finish());
}

TEST_CASE("config: one run reports all problems, each with its place") {
    const auto read = [](const Section& root) {
        root.text("charger");
        root.choice_or("level", "info", {"debug", "info"});
        const auto limits = root.section("limits");
        limits.integer("phases", 1, 3);
        limits.number("max_a", 6, 80);
        limits.number("min_a", 6, 80);
        limits.integer("count", 1, 3);
        limits.flag_or("on", false);
        limits.reject_unknown_keys();
        root.seconds_or("interval_s", 5, 1, 60);
        root.section("mqtt").text("host");
    };

    CHECK(problems("level: inof\ncharger:\n\nlimits:\n  phases: three\n  max_a: 90\n  min_amp: 3\n  on: yes\n"
                   "  count: 2.5\ninterval_s: 0\ninterval_s: 7\n",
                   read) ==
          "x.yaml:2:1: charger: expected text, got nothing\n"
          "x.yaml:1:1: level: \"inof\" is not one of debug, info\n"
          "x.yaml:5:3: limits.phases: expected a whole number from 1 to 3, got \"three\"\n"
          "x.yaml:6:3: limits.max_a: 90 is outside 6 to 80\n"
          "x.yaml:4:1: limits.min_a: missing\n"
          "x.yaml:9:3: limits.count: expected a whole number from 1 to 3, got \"2.5\"\n"
          "x.yaml:8:3: limits.on: expected true or false, got \"yes\"\n"
          "x.yaml:7:3: limits.min_amp: unknown key\n"
          "x.yaml:10:1: interval_s: 0 is outside 1 to 60\n"
          "x.yaml:1:1: mqtt.host: missing\n"
          "x.yaml:11:1: interval_s: given twice");
}

TEST_CASE("config: numbers are decimal and whole, or refused") {
    for (const char* bad : {"010x", "0x10", ".nan", ".inf", "nan", "inf", "-inf", "1_000", "", "~", "[1]", "{a: 1}",
                            "99999999999999999999", "1e400", "5 A", "--5", "true"}) {
        CAPTURE(bad);
        CHECK(problems(std::string("n: ") + bad, [](const Section& root) { root.integer("n", 0, 100); }) != "");
        CHECK(problems(std::string("n: ") + bad, [](const Section& root) { root.number("n", 0, 100); }) != "");
    }
    int value = 0;
    CHECK(problems("n: 010", [&](const Section& root) { value = root.integer("n", 0, 100); }) == "");
    CHECK(value == 10);
}

TEST_CASE("config: a wrong kind of node is named") {
    CHECK(problems("a: 1\nb: [x]\nc: {k: v}\nd: [1, {a: b}, '']\n",
                   [](const Section& root) {
                       root.section("a");
                       root.text("b");
                       root.sections("c");
                       root.texts_or_none("d");
                   }) ==
          "x.yaml:1:1: a: expected a mapping, got \"1\"\n"
          "x.yaml:2:1: b: expected text, got a list\n"
          "x.yaml:3:1: c: expected a list, got a mapping\n"
          "x.yaml:4:1: d: item 2: expected text, got a mapping\n"
          "x.yaml:4:1: d: item 3: expected text, got \"\"");
}

TEST_CASE("config: a list of sections names the item") {
    CHECK(problems("s:\n  - a: 1\n  - 7\n  - a: 900\n    b: 1\n",
                   [](const Section& root) {
                       for (const auto& item : root.sections("s")) {
                           item.integer("a", 0, 9);
                           item.reject_unknown_keys();
                       }
                   }) ==
          "x.yaml:1:1: s: item 2: expected a mapping, got \"7\"\n"
          "x.yaml:3:5: s[1].a: missing\n"
          "x.yaml:4:5: s[2].a: 900 is outside 0 to 9\n"
          "x.yaml:5:5: s[2].b: unknown key");
}

TEST_CASE("config: anchors work, merge keys are refused and not silently lost") {
    const auto read = [](const Section& root) {
        root.raw("base");
        const auto a = root.section("a");
        CHECK(a.integer_or("x", 0, 0, 9) == 5);
        a.reject_unknown_keys();
    };
    CHECK(problems("base: &b {x: 5}\na: *b\n", read) == "");
    CHECK(problems("base: &b {x: 5}\na:\n  <<: *b\n  x: 5\n", read) == "x.yaml:3:3: a.<<: unknown key");
}

TEST_CASE("config: what is not YAML stops with its place") {
    CHECK(refusal("a: 1\n\tb: 2\n").starts_with("x.yaml:2:"));
    CHECK(refusal("a: [1\n").starts_with("x.yaml:"));
    CHECK(refusal("a: *nowhere\n").starts_with("x.yaml:1:"));
    CHECK(refusal("just text") == "x.yaml:1:1: expected a mapping of keys, got \"just text\"");
    CHECK(refusal("- a\n- b\n") == "x.yaml:1:1: expected a mapping of keys, got a list");
    CHECK(refusal("a: 1\n---\nb: 2\n") == "x.yaml:2:1: a second YAML document, expected one");
    CHECK(refusal("[1, 2]: x\n") == "x.yaml:1:1: (not text): unknown key");
    CHECK(refusal(std::string(100'000, '[')).starts_with("x.yaml:1:"));
    CHECK(refusal(std::string(100'000, '{')).starts_with("x.yaml:1:"));
}

TEST_CASE("config: an empty file is an empty mapping") {
    CHECK(refusal("") == "");
    CHECK(refusal("# nothing but a comment\n") == "");
    CHECK(refusal("---\n") == "");
    CHECK(refusal("# about\n---\n# nothing\n") == "");
}

TEST_CASE("config: random bytes are read or refused and never anything worse") {
    constexpr unsigned seed = 3;
    CAPTURE(seed);
    std::mt19937 random(seed);
    const std::string syntax = "{}[]:,-&*!|>'\"%@`#? \n\t<~ab1\\\r";
    for (int i = 0; i < 3000; ++i) {
        std::string text;
        for (auto length = random() % 60; length > 0; --length) {
            text += random() % 4 == 0 ? static_cast<char>(random()) : syntax[random() % syntax.size()];
        }
        CAPTURE(text);
        REQUIRE_NOTHROW(refusal(text));
    }
}

TEST_CASE("config: values that are quoted back are short and printable") {
    const auto words = problems("a: \"x\\e[2J\\n" + std::string(10'000, 'y') + "\"\n",
                                [](const Section& root) { root.integer("a", 0, 1); });
    CHECK(words.size() < 200);
    CHECK(words.starts_with("x.yaml:1:1: a: expected a whole number from 0 to 1, got \"x\\x1b[2J\\x0ayyy"));
}

TEST_CASE("config: overrides replace and add, and say so when they are wrong") {
    const auto read = [](const Section& root) {
        const auto mqtt = root.section("mqtt");
        CHECK(mqtt.integer_or("port", 0, 1, 65535) == 1884);
        CHECK(mqtt.text_or("host", "") == "a=b");
        mqtt.reject_unknown_keys();
    };
    CHECK(problems("mqtt: {port: 1}\n", read, {"mqtt.port=1884", "mqtt.host=a=b"}) == "");
    CHECK(problems("{}", read, {"mqtt.port=1884", "mqtt.host=a=b"}) == "");
    CHECK(problems("mqtt:\n  port: 1884\n  host: a=b\n", read, {"mqtt.prot=1"}) == "--set mqtt.prot: unknown key");
    CHECK(problems("mqtt: {port: 1}\n", [](const Section& root) { root.section("mqtt").integer("port", 1, 9); },
                   {"mqtt.port=x"}) == "x.yaml:1:8: mqtt.port: expected a whole number from 1 to 9, got \"x\"");
    CHECK(refusal("mqtt: 5\n", {"mqtt.port=1"}) == "--set mqtt.port=1: mqtt is not a mapping");
    CHECK(refusal("", {"novalue"}) == "--set novalue: expected path.to.key=value");
    CHECK(refusal("", {"=1"}) == "--set =1: expected path.to.key=value");
}

TEST_CASE("config: secrets come from files, without their last line break") {
    const support::TemporaryFolder folder;
    const auto secret = folder.write("secret", "p\xc3\xa4ss word\r\n");
    const auto empty = folder.write("empty", "\n");
    std::string value;
    const auto read = [&](const Section& root) { value = root.secret_file("password"); };

    CHECK(problems("password_file: " + secret.string(), read) == "");
    CHECK(value == "p\xc3\xa4ss word");
    CHECK(problems("{}", read) == "");
    CHECK(value.empty());
    CHECK(problems("password_file: /no/such/file", read) ==
          "x.yaml:1:1: password_file: /no/such/file: cannot read: no such file");
    CHECK(problems("password_file: " + empty.string(), read) ==
          "x.yaml:1:1: password_file: " + empty.string() + ": is empty");
    CHECK(problems("password_file: " + folder.path().string(), read) ==
          "x.yaml:1:1: password_file: " + folder.path().string() + ": cannot read: Is a directory");
    CHECK(problems("password: hunter2", read) == "x.yaml:1:1: password: unknown key");
}

TEST_CASE("config: a file that cannot be read is named with the cause") {
    CHECK_THROWS_WITH_AS(read_file("/no/such/file"), "/no/such/file: cannot read: no such file", ConfigError);
    CHECK_THROWS_WITH_AS(read_file("/tmp"), "/tmp: cannot read: Is a directory", ConfigError);
    CHECK_THROWS_WITH_AS(read_file("/dev/zero"), "/dev/zero: larger than 1048576 bytes", ConfigError);
}

TEST_CASE("config: reading never changes what is read") {
    const Document document("list: [1, 2]\n", "x.yaml");
    document.root().section("list");
    document.root().has("absent");

    CHECK(document.root().texts_or_none("list") == std::vector<std::string>{"1", "2"});
    CHECK(document.root().keys() == std::vector<std::string>{"list"});
}
