#include "twc-bus/health.hpp"

#include <doctest/doctest.h>

using namespace std::chrono_literals;
using namespace twc_bus;

namespace {

constexpr LineCounters good_second{.bytes = 20, .frames = 1, .sent = 1, .asked = 1};

/// A minute of seconds like this one.
Health minute_of(const LineCounters& second) {
    Health health;
    LineCounters sum;
    for (int i = 0; i <= 60; ++i) {
        health.sample(sum, scheduling::Instant{} + std::chrono::seconds(i));
        sum.bytes += second.bytes;
        sum.frames += second.frames;
        sum.echoes += second.echoes;
        sum.damaged += second.damaged;
        sum.sent += second.sent;
        sum.asked += second.asked;
        sum.unanswered += second.unanswered;
    }
    return health;
}

bool mentions(const Verdict& verdict, const std::string& part) {
    CAPTURE(verdict.words);
    return verdict.words.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("health: a line that works") {
    const auto verdict = minute_of(good_second).judge({.up = true, .chargers = 2});
    CHECK(verdict.healthy);
    CHECK(verdict.words == "2 answering");
    CHECK(Health().judge({.up = true}).words == "just started");
}

TEST_CASE("health: the port's own words when it is down") {
    const Verdict expected{.healthy = false, .words = "/dev/ttyUSB0: Permission denied"};
    CHECK(minute_of({}).judge({.up = false, .down_because = "/dev/ttyUSB0: Permission denied"}) == expected);
}

TEST_CASE("health: nothing, only ourselves, or no frame among the bytes") {
    const LineFacts up{.up = true};
    const auto dead = minute_of({.sent = 1}).judge(up);
    CHECK_FALSE(dead.healthy);
    CHECK(mentions(dead, "nothing is heard"));
    CHECK(mentions(dead, "blinks red four times"));
    CHECK(mentions(minute_of({.bytes = 20, .frames = 1, .echoes = 1, .sent = 1}).judge(up), "only our own frames"));
    CHECK(mentions(minute_of({.bytes = 20, .damaged = 1, .sent = 1}).judge(up), "no frame among them"));
}

TEST_CASE("health: nothing is called wrong before units had time to announce themselves") {
    Health health;
    health.sample({}, scheduling::Instant{});
    health.sample({.sent = 10}, scheduling::Instant{} + 14s);
    CHECK(health.judge({.up = true}) == Verdict{.healthy = true, .words = "no unit answers yet"});
    health.sample({.sent = 12}, scheduling::Instant{} + 16s);
    CHECK_FALSE(health.judge({.up = true}).healthy);
}

TEST_CASE("health: answers and frames that get lost") {
    const LineFacts facts{.up = true, .chargers = 1};
    Health lossy;
    lossy.sample({}, scheduling::Instant{});
    lossy.sample({.bytes = 900, .frames = 45, .sent = 60, .asked = 60, .unanswered = 15}, scheduling::Instant{} + 60s);
    CHECK(mentions(lossy.judge(facts), "25 % of what was asked"));
    Health noisy;
    noisy.sample({}, scheduling::Instant{});
    noisy.sample({.bytes = 900, .frames = 57, .damaged = 3, .sent = 60, .asked = 60, .unanswered = 3},
                 scheduling::Instant{} + 60s);
    CHECK(mentions(noisy.judge(facts), "5 % of the frames"));
}

TEST_CASE("health: who else is on the line") {
    const auto health = minute_of(good_second);
    CHECK(mentions(health.judge({.up = true, .other_master = true}), "another master"));
    CHECK(mentions(health.judge({.up = true, .shared_id = "7744"}), "two units use the ID 7744"));
    CHECK(mentions(health.judge({.up = true, .too_many = true}), "more than three units"));
    CHECK(mentions(health.judge({.up = true, .deaf_charger = "7744"}), "7744 announces itself but does not answer"));
}
