#include "tesla-bridge/poll_plan.hpp"

#include <algorithm>
#include <random>

#include <doctest/doctest.h>

#include "tesla-bridge/support.hpp"

using namespace tesla_bridge;
using namespace tesla_bridge_test;
using namespace std::chrono_literals;
using Kind = Verdict::Kind;
using scheduling::Instant;

namespace {

VehicleFacts car(SleepState sleep, ChargingState charging, Instant when) {
    VehicleFacts facts;
    facts.sleep_state = Report<SleepState>{sleep, when};
    facts.charging_state = Report<ChargingState>{charging, when};
    return facts;
}

PollPlan after_a_read(Instant when, const VehicleFacts& facts, ReadDepth depth = ReadDepth::full) {
    PollPlan plan{PollPace{}};
    plan.started(depth, when);
    plan.answered(depth, {}, facts, when);
    return plan;
}

}  // namespace

TEST_CASE("poll: the first read is at once and full") {
    PollPlan plan{PollPace{}};
    const auto poll = plan.next_poll({}, at(5));

    CHECK(poll.at == at(5));
    CHECK(poll.depth == ReadDepth::full);
}

TEST_CASE("poll: the interval follows what the car does") {
    struct Row {
        const char* name;
        SleepState sleep;
        ChargingState charging;
        double due_s;
        ReadDepth depth;
    };
    for (const auto& row : {Row{"charging", SleepState::online, ChargingState::charging, 300, ReadDepth::full},
                            Row{"starting", SleepState::online, ChargingState::starting, 300, ReadDepth::full},
                            Row{"parked", SleepState::online, ChargingState::disconnected, 1200, ReadDepth::full},
                            Row{"plugged", SleepState::online, ChargingState::stopped, 1200, ReadDepth::full},
                            Row{"asleep", SleepState::asleep, ChargingState::stopped, 600, ReadDepth::presence},
                            Row{"offline", SleepState::offline, ChargingState::stopped, 600, ReadDepth::presence}}) {
        CAPTURE(row.name);
        const auto facts = car(row.sleep, row.charging, at(0));
        auto plan = after_a_read(at(0), facts);
        const auto poll = plan.next_poll(facts, at(1));
        CHECK(poll.at == at(row.due_s));
        CHECK(poll.depth == row.depth);
    }
}

TEST_CASE("poll: an idle car is left alone long enough to fall asleep") { CHECK(PollPace{}.idle >= 15min); }

TEST_CASE("poll: news from another source postpone the next read") {
    auto facts = car(SleepState::online, ChargingState::charging, at(0));
    auto plan = after_a_read(at(0), facts);
    facts.heard_at = at(200);

    CHECK(plan.next_poll(facts, at(201)).at == at(500));
}

TEST_CASE("poll: a car that woke up by itself is read once") {
    const auto asleep = car(SleepState::asleep, ChargingState::stopped, at(0));
    auto plan = after_a_read(at(0), asleep);
    const auto awake = car(SleepState::online, ChargingState::stopped, at(600));
    plan.started(ReadDepth::presence, at(600));
    plan.answered(ReadDepth::presence, {}, awake, at(601));

    const auto poll = plan.next_poll(awake, at(601));
    CHECK(poll.at == at(610));
    CHECK(poll.depth == ReadDepth::full);
    plan.started(ReadDepth::full, at(610));
    plan.answered(ReadDepth::full, {}, awake, at(611));
    CHECK(plan.next_poll(awake, at(611)).at == at(610 + 1200));
}

TEST_CASE("poll: a wanted read comes early once, also when the car turns out to sleep") {
    const auto asleep = car(SleepState::asleep, ChargingState::stopped, at(0));
    auto plan = after_a_read(at(0), asleep);
    plan.want_read_at(at(50));
    CHECK(plan.next_poll(asleep, at(20)).at == at(50));
    plan.started(ReadDepth::presence, at(50));
    plan.answered(ReadDepth::presence, {Kind::asleep, "", 0s}, asleep, at(51));

    CHECK(plan.next_poll(asleep, at(51)).at == at(650));
}

TEST_CASE("poll: failures back off and a success ends that") {
    const auto facts = car(SleepState::online, ChargingState::charging, at(0));
    auto plan = after_a_read(at(0), facts);
    Instant now = at(300);
    std::vector<long long> waits;
    for (int i = 0; i < 9; ++i) {
        plan.started(ReadDepth::full, now);
        plan.answered(ReadDepth::full, {Kind::retry, "HTTP 500", 0s}, facts, now);
        const auto next = plan.next_poll(facts, now).at;
        waits.push_back(std::chrono::duration_cast<std::chrono::seconds>(next - now).count());
        now = next;
    }
    CHECK(waits == std::vector<long long>{30, 60, 120, 240, 480, 960, 1800, 1800, 1800});
    CHECK(plan.failures() == 9);

    plan.started(ReadDepth::full, now);
    plan.answered(ReadDepth::full, {}, facts, now);
    CHECK(plan.failures() == 0);
    CHECK(plan.next_poll(facts, now).at == now + 300s);
}

TEST_CASE("poll: a rate limit and a hold are obeyed to the second") {
    const auto facts = car(SleepState::online, ChargingState::charging, at(0));
    auto plan = after_a_read(at(0), facts);
    plan.started(ReadDepth::full, at(300));
    plan.answered(ReadDepth::full, {Kind::rate_limited, "", 37s}, facts, at(301));
    CHECK(plan.next_poll(facts, at(302)).at == at(338));

    plan.hold_until(at(4000));
    CHECK(plan.next_poll(facts, at(339)).at == at(4000));
}

TEST_CASE("poll: what needs a person is asked again every five minutes only") {
    const auto facts = car(SleepState::online, ChargingState::charging, at(0));
    auto plan = after_a_read(at(0), facts);
    plan.started(ReadDepth::full, at(300));
    plan.answered(ReadDepth::full, {Kind::blocked, "", 0s}, facts, at(300));

    CHECK(plan.next_poll(facts, at(300)).at == at(600));
}

TEST_CASE("poll: under any weather a sleeping car gets no full read and the day's budget holds") {
    const unsigned seed = std::random_device{}();
    CAPTURE(seed);
    std::mt19937 random(seed);
    PollPlan plan{PollPace{.reads_per_day = 50}};
    VehicleFacts facts;
    std::vector<Instant> full_reads;
    Instant now = at(0);
    while (now < at(4.0 * 86'400)) {
        const auto poll = plan.next_poll(facts, now);
        if (random() % 3 == 0) {
            plan.want_read_at(now + std::chrono::seconds(random() % 100));
        }
        if (poll.at > now) {
            now += std::min<scheduling::Duration>(poll.at - now, std::chrono::seconds(1 + random() % 400));
            continue;
        }
        REQUIRE((poll.depth == ReadDepth::presence || !is_asleep(facts)));
        plan.started(poll.depth, now);
        if (poll.depth == ReadDepth::full) {
            full_reads.push_back(now);
        }
        const auto kinds = {Kind::done, Kind::done, Kind::asleep, Kind::retry, Kind::rate_limited};
        const Verdict verdict{*(kinds.begin() + static_cast<long>(random() % kinds.size())), "", 60s};
        if (verdict.kind == Kind::done) {
            facts = car(SleepState::online, random() % 2 != 0U ? ChargingState::charging : ChargingState::stopped, now);
        } else if (verdict.kind == Kind::asleep) {
            facts = car(SleepState::asleep, ChargingState::stopped, now);
        }
        plan.answered(poll.depth, verdict, facts, now);
        now += 1s;
    }
    REQUIRE(full_reads.size() > 100);
    for (std::size_t i = 50; i < full_reads.size(); ++i) {
        REQUIRE(full_reads[i] - full_reads[i - 50] >= 24h);
    }
    for (std::size_t i = 1; i < full_reads.size(); ++i) {
        REQUIRE(full_reads[i] - full_reads[i - 1] >= 10s);
    }
}
