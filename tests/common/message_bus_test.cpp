#include "messaging/message_bus.hpp"

#include <random>
#include <string>
#include <vector>

#include <doctest/doctest.h>

using namespace messaging;

namespace {

std::vector<std::string> levels_of(const std::string& text) {
    std::vector<std::string> levels{""};
    for (const char c : text) {
        if (c == '/') {
            levels.emplace_back();
        } else {
            levels.back() += c;
        }
    }
    return levels;
}

// MQTT 3.1.1, section 4.7, as it is written there and not as it is quick.
bool reference_match(const std::vector<std::string>& filter, const std::vector<std::string>& topic,
                     std::size_t at = 0) {
    if (at == filter.size()) {
        return at == topic.size();
    }
    if (filter[at] == "#") {
        return true;
    }
    return at < topic.size() && (filter[at] == "+" || filter[at] == topic[at]) &&
           reference_match(filter, topic, at + 1);
}

std::string random_levels(std::mt19937& random, const std::vector<std::string>& words) {
    std::string text;
    for (auto count = random() % 4 + 1; count > 0; --count) {
        text += words[random() % words.size()] + (count > 1 ? "/" : "");
    }
    return text;
}

}  // namespace

TEST_CASE("matches: wildcards stand for whole levels") {
    CHECK(matches("twc/+/state", "twc/ems/state"));
    CHECK_FALSE(matches("twc/+/state", "twc/ems/source/state"));
    CHECK(matches("twc/#", "twc/ems/state"));
    CHECK(matches("twc/#", "twc"));
    CHECK_FALSE(matches("twc/#", "twca"));
    CHECK(matches("#", "a/b"));
    CHECK(matches("+/+", "/finance"));
    CHECK(matches("/+", "/finance"));
    CHECK_FALSE(matches("+", "/finance"));
    CHECK_FALSE(matches("twc/ems", "twc/ems/"));
}

TEST_CASE("matches: a leading wildcard does not reach the broker's own topics") {
    CHECK_FALSE(matches("#", "$SYS/broker/uptime"));
    CHECK_FALSE(matches("+/broker/uptime", "$SYS/broker/uptime"));
    CHECK(matches("$SYS/#", "$SYS/broker/uptime"));
    CHECK(matches("a/+", "a/$b"));
}

TEST_CASE("matches: agrees with the words of the standard on random filters") {
    constexpr unsigned seed = 7;
    CAPTURE(seed);
    std::mt19937 random(seed);
    int hits = 0;
    for (int i = 0; i < 20000; ++i) {
        std::string filter = random_levels(random, {"a", "b", "", "+"});
        filter += random() % 3 == 0 ? "/#" : "";
        const std::string topic = random_levels(random, {"a", "b", ""});
        CAPTURE(filter);
        CAPTURE(topic);
        const bool expected = reference_match(levels_of(filter), levels_of(topic));
        REQUIRE(matches(filter, topic) == expected);
        hits += expected ? 1 : 0;
    }
    CHECK(hits > 1000);
}

TEST_CASE("is_valid_topic: no wildcard, no NUL, not empty, not too long, and UTF-8") {
    CHECK(is_valid_topic("twc/Küche/☀/𝄞"));
    CHECK(is_valid_topic("/"));
    CHECK(is_valid_topic(std::string(65535, 'a')));
    for (const std::string& bad :
         {std::string(), std::string("a/+"), std::string("#"), std::string("a\0b", 3), std::string(65536, 'a'),
          std::string("\xff"), std::string("a\xc3"), std::string("\xc0\xaf"), std::string("\xed\xa0\x80"),
          std::string("\xe0\x80\xaf"), std::string("\xf4\x90\x80\x80"), std::string("\xf0\x80\x80\x80"),
          std::string("\x80")}) {
        CHECK_FALSE(is_valid_topic(bad));
    }
}

TEST_CASE("is_valid_filter: wildcards only as whole levels, and # only at the end") {
    for (const char* good : {"#", "+", "a/#", "+/b/#", "a/+/c", "$SYS/#", "/", "a//b"}) {
        CAPTURE(good);
        CHECK(is_valid_filter(good));
    }
    for (const char* bad : {"", "a#", "a/#/b", "#/a", "a+/b", "+a", "a/b+", "##", "a/\xff"}) {
        CAPTURE(bad);
        CHECK_FALSE(is_valid_filter(bad));
    }
}
