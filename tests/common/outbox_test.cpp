#include "messaging/outbox.hpp"

#include <random>

#include <doctest/doctest.h>
#include <fmt/format.h>

using namespace std::chrono_literals;
using messaging::Outbox;
using messaging::Publication;
using scheduling::Instant;

namespace {

constexpr Instant start{1h};

Publication event(const std::string& payload) { return {.topic = "twc/event", .payload = payload, .qos = 1}; }

Publication state(const std::string& topic, const std::string& payload) {
    return {.topic = topic, .payload = payload, .retained = true, .qos = 1};
}

std::vector<std::string> sent(Outbox& outbox, Instant now = start) {
    std::vector<std::string> result;
    while (const auto publication = outbox.next(now)) {
        result.push_back(publication->payload);
    }
    return result;
}

void fill_flight(Outbox& outbox) {
    for (int i = 0; i < Outbox::most_in_flight; ++i) {
        REQUIRE(outbox.add(event("in flight"), start));
    }
    REQUIRE(sent(outbox).size() == Outbox::most_in_flight);
}

}  // namespace

TEST_CASE("outbox: in order, and the next as soon as one is answered") {
    Outbox outbox;
    fill_flight(outbox);
    for (const char* word : {"a", "b", "c"}) {
        REQUIRE(outbox.add(event(word), start));
    }
    CHECK(sent(outbox).empty());

    outbox.done(start);
    CHECK(sent(outbox) == std::vector<std::string>{"a"});
    outbox.done(start);
    outbox.done(start);
    CHECK(sent(outbox) == std::vector<std::string>{"b", "c"});
}

TEST_CASE("outbox: of a retained topic only the last value waits, at the place of the first") {
    Outbox outbox;
    outbox.add(state("twc/a", "1"), start);
    outbox.add(state("twc/b", "2"), start);
    outbox.add(state("twc/a", "3"), start);
    outbox.add(event("4"), start);
    outbox.add(event("5"), start);
    CHECK(sent(outbox) == std::vector<std::string>{"3", "2", "4", "5"});
}

TEST_CASE("outbox: what has waited longer than it is worth is not sent") {
    Outbox outbox;
    fill_flight(outbox);
    auto lease = event("an old limit");
    lease.expires_after = 20s;
    outbox.add(lease, start);
    outbox.add(event("still true"), start);

    outbox.done(start + 20s);
    CHECK(sent(outbox, start + 20s) == std::vector<std::string>{"still true"});
    CHECK(outbox.expired() == 1);

    outbox.done(start + 20s);
    outbox.add(lease, start + 20s);
    CHECK(sent(outbox, start + 39s) == std::vector<std::string>{"an old limit"});
}

TEST_CASE("outbox: a broker that forgets to answer does not silence us") {
    Outbox outbox;
    fill_flight(outbox);
    outbox.add(event("later"), start);

    CHECK(sent(outbox, start + Outbox::patience - 1ms).empty());
    CHECK(sent(outbox, start + Outbox::patience) == std::vector<std::string>{"later"});
    CHECK(outbox.in_flight() == 1);
}

TEST_CASE("outbox: what a lost connection leaves comes back, in order") {
    Outbox outbox;
    fill_flight(outbox);
    outbox.add(event("a"), start);
    outbox.add(state("twc/a", "b"), start);

    const auto rest = outbox.take_waiting();

    REQUIRE(rest.size() == 2);
    CHECK(rest[0].payload == "a");
    CHECK(rest[1].payload == "b");
    CHECK(outbox.in_flight() == 0);
    outbox.add(event("c"), start);
    CHECK(sent(outbox) == std::vector<std::string>{"c"});
}

TEST_CASE("outbox: a bound on what waits, and a newer value of what is there fits nevertheless") {
    Outbox outbox;
    fill_flight(outbox);
    REQUIRE(outbox.add(state("twc/a", "old"), start));
    for (std::size_t i = 1; i < Outbox::most_waiting; ++i) {
        REQUIRE(outbox.add(event("x"), start));
    }

    CHECK_FALSE(outbox.add(event("one too many"), start));
    CHECK(outbox.add(state("twc/a", "new"), start));
    CHECK(outbox.waiting() == Outbox::most_waiting);
}

TEST_CASE("outbox: any order of things keeps to the limit and loses nothing") {
    std::mt19937 random(7);
    for (int round = 0; round < 200; ++round) {
        Outbox outbox;
        std::vector<std::string> added;
        std::vector<std::string> seen;
        int unanswered = 0;
        for (int step = 0; step < 100; ++step) {
            if (random() % 3 != 0) {
                added.push_back(fmt::format("{}", step));
                REQUIRE(outbox.add(event(added.back()), start));
            } else if (unanswered > 0) {
                outbox.done(start);
                --unanswered;
            }
            for (const auto& payload : sent(outbox)) {
                seen.push_back(payload);
                ++unanswered;
            }
            REQUIRE(unanswered <= Outbox::most_in_flight);
            REQUIRE(outbox.in_flight() == unanswered);
            REQUIRE(seen.size() + outbox.waiting() == added.size());
        }
        added.resize(seen.size());
        REQUIRE(seen == added);
    }
}
