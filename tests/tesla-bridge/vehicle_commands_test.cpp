#include "tesla-bridge/vehicle_commands.hpp"

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

constexpr Command start{CommandKind::charge_start, 0};
constexpr Command stop{CommandKind::charge_stop, 0};
constexpr Command wake{CommandKind::wake, 0};
constexpr Command amps(int value) { return {CommandKind::set_amps, value}; }
constexpr Command limit(int value) { return {CommandKind::set_limit, value}; }

const Verdict done{};
const Verdict trouble{Kind::retry, "the server failed (HTTP 500)", 0s, false};
const Verdict asleep_answer{Kind::asleep, "the car is asleep or offline", 0s, false};

/// A parked, awake, plugged car that was read at that moment.
VehicleFacts awake_car(Instant when, ChargingState charging = ChargingState::stopped, double amps_set = 16) {
    VehicleFacts facts;
    facts.sleep_state = Report<SleepState>{SleepState::online, when};
    facts.charging_state = Report<ChargingState>{charging, when};
    facts.plugged = Report<bool>{true, when};
    facts.charge_amps_set = Report<double>{amps_set, when};
    facts.charge_limit_pct = Report<double>{80, when};
    return facts;
}

VehicleFacts sleeping_car(Instant when) {
    auto facts = awake_car(when);
    facts.sleep_state = Report<SleepState>{SleepState::asleep, when};
    return facts;
}

/// Makes the call that is due, if any, and answers it at once.
std::optional<Command> call(CommandQueue& queue, const VehicleFacts& facts, double seconds,
                            const Verdict& verdict = done) {
    const auto step = queue.next_command(facts, at(seconds));
    if (step.send) {
        queue.sent(*step.send, at(seconds));
        queue.answered(*step.send, verdict, facts, at(seconds));
    }
    return step.send;
}

/// The ends of orders that came without a call.
std::vector<Outcome> finished(CommandQueue& queue, const VehicleFacts& facts, double seconds) {
    return queue.next_command(facts, at(seconds)).finished;
}

std::string only_reason(const std::vector<Outcome>& outcomes) {
    REQUIRE(outcomes.size() == 1);
    return outcomes.front().reason;
}

}  // namespace

TEST_CASE("commands: nothing wanted, nothing sent") {
    CommandQueue queue{Pacing{}};
    const auto step = queue.next_command(awake_car(at(0)), at(1));

    CHECK_FALSE(step.send.has_value());
    CHECK_FALSE(step.again_at.has_value());
    CHECK_FALSE(queue.has_orders());
}

TEST_CASE("commands: an order is sent and its acceptance ends it") {
    CommandQueue queue{Pacing{}};
    CHECK_FALSE(queue.accept(amps(10), at(0)).has_value());
    const auto step = queue.next_command(awake_car(at(0)), at(0));
    REQUIRE(step.send == amps(10));
    queue.sent(*step.send, at(0));
    const auto outcome = queue.answered(*step.send, done, awake_car(at(0)), at(1));

    REQUIRE(outcome);
    CHECK(outcome->kind == Outcome::Kind::done);
    CHECK(outcome->attempts == 1);
    CHECK(outcome->ordered_at == at(0));
    CHECK_FALSE(queue.has_orders());
}

TEST_CASE("commands: what the car reports already is not sent") {
    struct Row {
        const char* name;
        Command command;
        VehicleFacts facts;
    };
    for (const auto& row : {Row{"charging", start, awake_car(at(90), ChargingState::charging)},
                            Row{"starting", start, awake_car(at(90), ChargingState::starting)},
                            Row{"stopped", stop, awake_car(at(90), ChargingState::stopped)},
                            Row{"complete", stop, awake_car(at(90), ChargingState::complete)},
                            Row{"unplugged", stop, awake_car(at(90), ChargingState::disconnected)},
                            Row{"amps", amps(16), awake_car(at(90))}, Row{"limit", limit(80), awake_car(at(90))},
                            Row{"awake", wake, awake_car(at(90))}, Row{"asleep", stop, sleeping_car(at(90))}}) {
        CAPTURE(row.name);
        CommandQueue queue{Pacing{}};
        queue.accept(row.command, at(100));
        const auto step = queue.next_command(row.facts, at(100));
        CHECK_FALSE(step.send.has_value());
        REQUIRE(step.finished.size() == 1);
        CHECK(step.finished.front().kind == Outcome::Kind::done);
        CHECK(step.finished.front().attempts == 0);
    }
}

TEST_CASE("commands: what is not certain is sent") {
    struct Row {
        const char* name;
        Command command;
        VehicleFacts facts;
    };
    auto of_unknown_age = awake_car(at(0));
    of_unknown_age.charge_amps_set = Report<double>{16, std::nullopt};
    auto asleep_a_while_ago = sleeping_car(at(1800));
    asleep_a_while_ago.charging_state = std::nullopt;
    for (const auto& row : {Row{"nothing known", start, VehicleFacts{}}, Row{"old report", amps(16), awake_car(at(0))},
                            Row{"stored report", amps(16), of_unknown_age}, Row{"old sleep", stop, asleep_a_while_ago},
                            Row{"no power is not stopped", stop, awake_car(at(1990), ChargingState::no_power)},
                            Row{"no power is not started", start, awake_car(at(1990), ChargingState::no_power)},
                            Row{"other amps", amps(15), awake_car(at(1990))}}) {
        CAPTURE(row.name);
        CommandQueue queue{Pacing{}};
        queue.accept(row.command, at(2000));
        CHECK(queue.next_command(row.facts, at(2000)).send == row.command);
    }
}

TEST_CASE("commands: a report from before the last call confirms nothing") {
    CommandQueue queue{Pacing{}};
    const auto facts = awake_car(at(0));  // says 16 A
    queue.accept(amps(10), at(10));
    REQUIRE(call(queue, facts, 10) == amps(10));

    queue.accept(amps(16), at(50));

    CHECK(call(queue, facts, 50) == amps(16));
}

TEST_CASE("commands: an equal order after an acceptance costs no call") {
    CommandQueue queue{Pacing{}};
    queue.accept(amps(10), at(0));
    REQUIRE(call(queue, {}, 0) == amps(10));

    for (int second = 30; second <= 600; second += 30) {
        queue.accept(amps(10), at(second));
        CHECK(only_reason(finished(queue, {}, second)).starts_with("the car accepted the same"));
    }
    queue.accept(amps(10), at(700));
    CHECK(call(queue, {}, 700) == amps(10));
}

TEST_CASE("commands: a report that contradicts an acceptance is believed once") {
    CommandQueue queue{Pacing{}};
    queue.accept(amps(40), at(0));
    REQUIRE(call(queue, {}, 0) == amps(40));

    queue.accept(amps(40), at(100));
    REQUIRE(call(queue, awake_car(at(90), ChargingState::charging, 32), 100) == amps(40));

    queue.accept(amps(40), at(200));  // the car caps at 32 A and will for ever
    CHECK_FALSE(call(queue, awake_car(at(190), ChargingState::charging, 32), 200).has_value());
    CHECK_FALSE(queue.has_orders());
}

TEST_CASE("commands: a start that was accepted but had no effect is sent again") {
    CommandQueue queue{Pacing{}};
    queue.accept(start, at(0));
    REQUIRE(call(queue, awake_car(at(0)), 0) == start);

    queue.accept(start, at(30));
    CHECK_FALSE(call(queue, awake_car(at(20)), 30).has_value());  // too early to judge
    queue.accept(start, at(80));
    CHECK(call(queue, awake_car(at(70)), 80) == start);
}

TEST_CASE("commands: the last wanted current wins and the one before is reported") {
    CommandQueue queue{Pacing{}};
    queue.accept(amps(10), at(0));
    const auto replaced = queue.accept(amps(12), at(1));

    REQUIRE(replaced);
    CHECK(replaced->kind == Outcome::Kind::replaced);
    CHECK(replaced->command == amps(10));
    CHECK(replaced->reason == "replaced by set_amps 12");
    CHECK(call(queue, {}, 1) == amps(12));
}

TEST_CASE("commands: an order that came during a call outlives its answer") {
    CommandQueue queue{Pacing{}};
    queue.accept(amps(10), at(0));
    REQUIRE(queue.next_command({}, at(0)).send == amps(10));
    queue.sent(amps(10), at(0));
    CHECK(queue.accept(amps(12), at(1)).has_value());
    CHECK_FALSE(queue.answered(amps(10), done, {}, at(2)).has_value());

    CHECK(queue.has_orders());
    CHECK(call(queue, {}, 30) == amps(12));
}

TEST_CASE("commands: stop replaces start, goes first and needs no awake car") {
    CommandQueue queue{Pacing{}};
    queue.accept(amps(10), at(0));
    queue.accept(limit(70), at(0));
    queue.accept(start, at(0));
    queue.accept(stop, at(0));

    CHECK(queue.next_command(awake_car(at(-700), ChargingState::charging), at(0)).send == stop);
}

TEST_CASE("commands: limit, start and current go out in this order") {
    CommandQueue queue{Pacing{}};
    queue.accept(amps(10), at(0));
    queue.accept(start, at(0));
    queue.accept(limit(70), at(0));

    CHECK(call(queue, {}, 0) == limit(70));
    CHECK_FALSE(call(queue, {}, 1).has_value());  // any_gap
    CHECK(call(queue, {}, 2) == start);
    CHECK(call(queue, {}, 4) == amps(10));
    CHECK_FALSE(queue.has_orders());
}

TEST_CASE("commands: a sleeping car is woken once, then started, then set") {
    CommandQueue queue{Pacing{}};
    const auto facts = sleeping_car(at(0));
    queue.accept(start, at(10));
    queue.accept(amps(10), at(10));

    CHECK(call(queue, facts, 10) == wake);
    CHECK_FALSE(call(queue, facts, 20).has_value());
    CHECK(call(queue, facts, 25, asleep_answer) == start);  // still waking
    const auto awake = awake_car(at(36));
    CHECK(call(queue, awake, 37) == start);
}

TEST_CASE("commands: a car that does not wake up is not woken again and again") {
    CommandQueue queue{Pacing{}};
    queue.accept(start, at(0));
    int wakes = 0;
    std::string reason;
    for (int second = 0; second < 500 && reason.empty(); ++second) {
        const auto facts = sleeping_car(at(second));
        const auto step = queue.next_command(facts, at(second));
        if (!step.finished.empty()) {
            reason = step.finished.back().reason;
            break;
        }
        if (step.send) {
            wakes += step.send == wake ? 1 : 0;
            queue.sent(*step.send, at(second));
            queue.answered(*step.send, step.send == wake ? done : asleep_answer, facts, at(second));
        }
    }

    CHECK(wakes == 1);
    CHECK(reason == "the car is asleep, and wake is sent at most every 600 s");
    CHECK_FALSE(queue.next_command(sleeping_car(at(500)), at(500)).send.has_value());
}

TEST_CASE("commands: a start during the pause between two wakes fails with the reason") {
    CommandQueue queue{Pacing{}};
    queue.accept(start, at(0));
    REQUIRE(call(queue, sleeping_car(at(0)), 0) == wake);
    queue.accept(stop, at(5));
    finished(queue, sleeping_car(at(6)), 6);

    queue.accept(start, at(200));
    CHECK(finished(queue, sleeping_car(at(200)), 200).back().reason ==
          "the car is asleep, and wake is sent at most every 600 s");
}

TEST_CASE("commands: current and limit do not wake a car and say so in the end") {
    for (const auto& command : {amps(10), limit(70)}) {
        CommandQueue queue{Pacing{}};
        queue.accept(command, at(0));
        CHECK_FALSE(call(queue, sleeping_car(at(0)), 0).has_value());
        CHECK(only_reason(finished(queue, sleeping_car(at(0)), 180)) ==
              "not done within 180 s: the car is asleep, and only charge_start and wake wake it");
    }
}

TEST_CASE("commands: they go out as soon as the car turns out to be awake") {
    CommandQueue queue{Pacing{}};
    queue.accept(amps(10), at(0));
    REQUIRE_FALSE(call(queue, sleeping_car(at(0)), 0).has_value());

    CHECK(call(queue, awake_car(at(20)), 20) == amps(10));
}

TEST_CASE("commands: a link that wakes by itself gets no wake") {
    CommandQueue queue{Pacing{.commands_wake = true}};
    queue.accept(start, at(0));

    CHECK(call(queue, sleeping_car(at(0)), 0) == start);
}

TEST_CASE("commands: a stop that finds the car asleep is done") {
    CommandQueue queue{Pacing{}};
    queue.accept(stop, at(0));
    REQUIRE(queue.next_command({}, at(0)).send == stop);
    queue.sent(stop, at(0));
    const auto outcome = queue.answered(stop, asleep_answer, {}, at(1));

    REQUIRE(outcome);
    CHECK(outcome->kind == Outcome::Kind::done);
    CHECK(outcome->reason == "the car is asleep, so it does not charge");
}

TEST_CASE("commands: passing trouble is retried with growing pauses, then given up") {
    CommandQueue queue{Pacing{}};
    queue.accept(amps(10), at(0));
    std::vector<int> calls;
    std::vector<Outcome> ends;
    for (int second = 0; second <= 200 && ends.empty(); ++second) {
        const auto step = queue.next_command({}, at(second));
        ends = step.finished;
        if (step.send) {
            calls.push_back(second);
            queue.sent(*step.send, at(second));
            queue.answered(*step.send, trouble, {}, at(second));
        }
    }

    CHECK(calls == std::vector<int>{0, 5, 15, 35, 75, 155});
    CHECK(only_reason(ends) == "the server failed (HTTP 500)");
    CHECK(ends.front().attempts == 6);
}

TEST_CASE("commands: an old order is dropped with the reason it waited for") {
    CommandQueue queue{Pacing{}};
    queue.accept(amps(10), at(0));
    queue.next_command({}, at(0));

    const auto ends = finished(queue, {}, 180);
    CHECK(only_reason(ends) == "not done within 180 s: its turn");
    CHECK(ends.front().kind == Outcome::Kind::failed);
}

TEST_CASE("commands: repeating an order renews it without a second call") {
    CommandQueue queue{Pacing{}};
    queue.accept(amps(10), at(0));
    REQUIRE(call(queue, {}, 0, trouble) == amps(10));
    CHECK_FALSE(queue.accept(amps(10), at(2)).has_value());
    CHECK_FALSE(call(queue, {}, 3).has_value());
    CHECK(call(queue, {}, 5) == amps(10));
}

TEST_CASE("commands: a rate limit holds everything and fails what cannot wait") {
    CommandQueue queue{Pacing{}};
    queue.accept(amps(10), at(0));
    REQUIRE(call(queue, {}, 0, {Kind::rate_limited, "rate limit reached", 37s, false}) == amps(10));
    CHECK_FALSE(call(queue, {}, 36).has_value());
    CHECK(call(queue, {}, 37, {Kind::rate_limited, "rate limit reached", 3600s, false}) == amps(10));

    CHECK(only_reason(finished(queue, {}, 38)) == "rate limit reached");
    queue.accept(stop, at(100));
    CHECK(only_reason(finished(queue, {}, 100)) == "rate limit reached");
    queue.accept(stop, at(3700));
    CHECK(call(queue, {}, 3700) == stop);
}

TEST_CASE("commands: what needs a person fails at once and is not hammered") {
    CommandQueue queue{Pacing{}};
    queue.accept(amps(10), at(0));
    REQUIRE(queue.next_command({}, at(0)).send);
    queue.sent(amps(10), at(0));
    const auto outcome = queue.answered(amps(10), {Kind::blocked, "log in again", 0s, false}, {}, at(1));
    REQUIRE(outcome);
    CHECK(outcome->kind == Outcome::Kind::failed);
    CHECK(queue.is_blocked());

    queue.accept(amps(11), at(10));
    CHECK(only_reason(finished(queue, {}, 10)) == "log in again");
    queue.accept(amps(11), at(301));
    CHECK(call(queue, {}, 301) == amps(11));
    CHECK_FALSE(queue.is_blocked());
}

TEST_CASE("commands: a refusal stands until something about the car changes") {
    const Verdict unplugged{Kind::refused, "the car is not plugged in", 0s, false};
    auto facts = awake_car(at(0), ChargingState::disconnected);
    facts.plugged = Report<bool>{false, at(0)};
    CommandQueue queue{Pacing{}};
    queue.accept(start, at(0));
    REQUIRE(call(queue, facts, 0, unplugged) == start);

    queue.accept(start, at(100));
    CHECK(only_reason(finished(queue, facts, 100)) == "the car is not plugged in (its answer 100 s ago)");

    facts = awake_car(at(110));
    queue.accept(start, at(110));
    CHECK(call(queue, facts, 110, unplugged) == start);
    queue.accept(start, at(410));
    CHECK(call(queue, facts, 410) == start);
}

TEST_CASE("commands: a car known to be elsewhere is left alone") {
    auto facts = awake_car(at(0), ChargingState::charging);
    facts.at_home = Report<bool>{false, at(95)};
    for (const auto& command : {start, stop, amps(8), limit(60), wake}) {
        CommandQueue queue{Pacing{}};
        queue.accept(command, at(100));
        auto now_facts = facts;
        now_facts.charging_state = std::nullopt;
        now_facts.sleep_state = std::nullopt;
        const auto step = queue.next_command(now_facts, at(100));
        CHECK_FALSE(step.send.has_value());
        CHECK(only_reason(step.finished) == "the car is not at home");
    }

    CommandQueue anywhere{Pacing{.only_at_home = false}};
    anywhere.accept(amps(8), at(100));
    CHECK(call(anywhere, facts, 100) == amps(8));
}

TEST_CASE("commands: a car seen away long ago is asked where it is first") {
    auto facts = awake_car(at(0));
    facts.at_home = Report<bool>{false, at(0)};
    CommandQueue queue{Pacing{}};
    queue.accept(start, at(3600));
    const auto step = queue.next_command(facts, at(3600));
    CHECK(step.read_first);
    CHECK_FALSE(step.send.has_value());

    facts.at_home = Report<bool>{true, at(3605)};
    CHECK(call(queue, facts, 3605) == start);
}

TEST_CASE("commands: a car that sleeps away from home is not woken") {
    auto facts = sleeping_car(at(0));
    facts.at_home = Report<bool>{false, at(0)};
    CommandQueue queue{Pacing{}};
    queue.accept(start, at(3600));

    CHECK(only_reason(finished(queue, facts, 3600)) == "the car sleeps where it was last seen: not at home");
}

TEST_CASE("commands: a current below 5 A is sent twice where the link wants it") {
    CommandQueue queue{Pacing{.low_amps_twice = true}};
    queue.accept(amps(3), at(0));
    REQUIRE(call(queue, {}, 0) == amps(3));
    CHECK(queue.has_orders());
    CHECK_FALSE(call(queue, awake_car(at(4), ChargingState::charging, 5), 4).has_value());
    CHECK(call(queue, awake_car(at(4), ChargingState::charging, 5), 5) == amps(3));
    CHECK_FALSE(queue.has_orders());

    CommandQueue cloud{Pacing{}};
    cloud.accept(amps(3), at(0));
    REQUIRE(call(cloud, {}, 0) == amps(3));
    CHECK_FALSE(cloud.has_orders());

    CommandQueue usual{Pacing{.low_amps_twice = true}};
    usual.accept(amps(5), at(0));
    REQUIRE(call(usual, {}, 0) == amps(5));
    CHECK_FALSE(usual.has_orders());
}

TEST_CASE("commands: a small current is sent again after a new start") {
    CommandQueue queue{Pacing{}};
    queue.accept(amps(3), at(0));
    REQUIRE(call(queue, {}, 0) == amps(3));
    queue.accept(start, at(60));
    REQUIRE(call(queue, {}, 60) == start);

    queue.accept(amps(3), at(90));
    CHECK(call(queue, {}, 90) == amps(3));
}

TEST_CASE("commands: when the day is used up only a stop goes out") {
    CommandQueue queue{Pacing{.commands_per_day = 2}};
    queue.accept(amps(10), at(0));
    REQUIRE(call(queue, {}, 0));
    queue.accept(amps(11), at(100));
    REQUIRE(call(queue, {}, 100));

    queue.accept(amps(12), at(200));
    CHECK(only_reason(finished(queue, {}, 200)) == "the 2 commands of this day are used up");
    queue.accept(stop, at(300));
    CHECK(call(queue, {}, 300) == stop);
    queue.accept(amps(12), at(86'401));
    CHECK_FALSE(call(queue, {}, 86'401).has_value());  // the first call is a day old, the stop is not
    CHECK(call(queue, {}, 86'500) == amps(12));
}

TEST_CASE("commands: no wakes allowed means none") {
    CommandQueue queue{Pacing{.wakes_per_day = 0}};
    queue.accept(wake, at(0));

    CHECK(only_reason(finished(queue, sleeping_car(at(0)), 0)) == "the 0 wakes of this day are used up");
}

namespace {

/// A car with moods, for the property tests.
struct MoodyCar {
    std::mt19937 random;
    int amps = 16;
    bool charging = false;
    bool is_asleep = false;

    int roll(int sides) { return static_cast<int>(random() % static_cast<unsigned>(sides)); }

    Verdict handle(const Command& command, bool calm) {
        const int mood = calm ? 99 : roll(100);
        if (mood < 15) {
            return trouble;
        }
        if (mood < 18) {
            return {Kind::rate_limited, "slow down", std::chrono::seconds(1 + roll(60)), false};
        }
        if (mood < 20) {
            return {Kind::refused, "no", 0s, false};
        }
        if (is_asleep && command.kind != CommandKind::wake) {
            return asleep_answer;
        }
        switch (command.kind) {
            case CommandKind::set_amps:
                amps = command.value;
                break;
            case CommandKind::charge_start:
                charging = true;
                break;
            case CommandKind::charge_stop:
                charging = false;
                break;
            case CommandKind::wake:
                is_asleep = false;
                break;
            case CommandKind::set_limit:
                break;
        }
        return done;
    }

    VehicleFacts facts(Instant when) const {
        return is_asleep ? sleeping_car(when)
                         : awake_car(when, charging ? ChargingState::charging : ChargingState::stopped, amps);
    }
};

struct Sent {
    Command command;
    Instant at;
};

void check_spacing(const std::vector<Sent>& calls, const Pacing& pacing) {
    std::optional<Instant> last_wake;
    for (std::size_t i = 0; i < calls.size(); ++i) {
        if (i > 0) {
            REQUIRE(calls[i].at - calls[i - 1].at >= pacing.any_gap);
        }
        if (calls[i].command.kind == CommandKind::wake) {
            REQUIRE((!last_wake || calls[i].at - *last_wake >= 20s));
            last_wake = calls[i].at;
        }
    }
    const auto check_window = [](const std::vector<Instant>& times, int allowed) {
        for (auto i = static_cast<std::size_t>(allowed); i < times.size(); ++i) {
            REQUIRE(times[i] - times[i - static_cast<std::size_t>(allowed)] >= 24h);
        }
    };
    std::vector<Instant> wakes;
    for (const auto& sent : calls) {
        if (sent.command.kind == CommandKind::wake) {
            wakes.push_back(sent.at);
        }
    }
    check_window(wakes, pacing.wakes_per_day);
}

}  // namespace

TEST_CASE("commands: under any orders and any answers the pacing holds and the last wanted current wins") {
    const unsigned seed = std::random_device{}();
    CAPTURE(seed);
    for (unsigned round = 0; round < 30; ++round) {
        CAPTURE(round);
        const Pacing pacing{.commands_per_day = 100'000, .wakes_per_day = 20, .low_amps_twice = round % 2 == 0};
        CommandQueue queue{pacing};
        MoodyCar car{.random = std::mt19937(seed + round)};
        VehicleFacts facts;
        std::vector<Sent> calls;
        std::optional<int> last_wanted;
        std::optional<std::pair<Command, int>> in_flight;  // and the second its answer comes
        constexpr int noisy_until = 20'000;
        for (int second = 0; second < noisy_until + 3000; ++second) {
            const bool calm = second >= noisy_until;
            const Instant now = at(second);
            if (!calm && car.roll(20) == 0) {
                const std::array choices{start, stop, wake, limit(50 + car.roll(50)), amps(1 + car.roll(32))};
                queue.accept(choices.at(static_cast<std::size_t>(car.roll(5))), now);
            }
            if (calm && second % 30 == 0) {  // policy repeats what it wants
                last_wanted = 11;
                queue.accept(amps(11), now);
            }
            if (!calm && car.roll(600) == 0) {
                car.is_asleep = !car.charging;
            } else if (calm) {
                car.is_asleep = false;
            }
            if (car.roll(100) == 0) {
                merge(facts, car.facts(now));
            }
            if (in_flight && in_flight->second == second) {
                queue.answered(in_flight->first, car.handle(in_flight->first, calm), facts, now);
                in_flight.reset();
            }
            if (!in_flight) {
                const auto step = queue.next_command(facts, now);
                if (step.send) {
                    queue.sent(*step.send, now);
                    calls.push_back({*step.send, now});
                    in_flight = {*step.send, second + 1 + car.roll(10)};
                }
            }
        }
        REQUIRE(calls.size() > 50);
        check_spacing(calls, pacing);
        REQUIRE(car.amps == last_wanted);
        REQUIRE_FALSE(in_flight.has_value());
    }
}

TEST_CASE("commands: set_amps with different values and start after stop keep their gaps whatever happens") {
    const unsigned seed = std::random_device{}();
    CAPTURE(seed);
    std::mt19937 random(seed);
    const Pacing pacing{.commands_per_day = 100'000};
    CommandQueue queue{pacing};
    std::optional<Sent> last_amps;
    std::optional<Sent> last_switch;
    int checked = 0;
    for (int second = 0; second < 50'000; ++second) {
        if (random() % 5 == 0) {
            queue.accept(
                random() % 3 == 0 ? (random() % 2 == 0 ? start : stop) : amps(5 + static_cast<int>(random() % 20)),
                at(second));
        }
        const auto step = queue.next_command({}, at(second));
        if (!step.send) {
            continue;
        }
        queue.sent(*step.send, at(second));
        queue.answered(*step.send, random() % 4 == 0 ? trouble : done, {}, at(second));
        const bool is_amps = step.send->kind == CommandKind::set_amps;
        auto& last = is_amps ? last_amps : last_switch;
        if (last && last->command != *step.send) {
            REQUIRE(at(second) - last->at >= (is_amps ? pacing.amps_gap : pacing.start_stop_gap));
            ++checked;
        }
        last = Sent{*step.send, at(second)};
    }
    CHECK(checked > 500);
}

TEST_CASE("commands: a car that confirms everything is never called") {
    const unsigned seed = std::random_device{}();
    CAPTURE(seed);
    std::mt19937 random(seed);
    CommandQueue queue{Pacing{}};
    for (int second = 0; second < 20'000; ++second) {
        const int value = 1 + static_cast<int>(random() % 32);
        queue.accept(amps(value), at(second));
        const bool charges = random() % 2 == 0;
        queue.accept(charges ? start : stop, at(second));
        const auto facts = awake_car(at(second), charges ? ChargingState::charging : ChargingState::stopped, value);
        const auto step = queue.next_command(facts, at(second));
        REQUIRE_FALSE(step.send.has_value());
        REQUIRE_FALSE(queue.has_orders());
    }
}
