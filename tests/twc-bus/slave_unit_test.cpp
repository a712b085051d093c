#include "twc-bus/slave_unit.hpp"

#include <doctest/doctest.h>

#include "vectors.hpp"

using namespace std::chrono_literals;
using namespace twc_bus;
using scheduling::Instant;

namespace {

/// The unit with a clock, and a hand that plays its master.
struct Bench {
    explicit Bench(const SlaveSettings& settings = {.id = 0x6A6A, .rating_ca = 3200}) : unit(settings, {}, 0, now) {
        unit.on_link(true, now);
    }

    void run_for(scheduling::Duration duration) {
        const Instant end = now + duration;
        while (now < end) {
            auto step = unit.next(now);
            while (step.message) {
                sent.emplace_back(now, *step.message);
                step = unit.next(now);
            }
            REQUIRE(step.wake > now);
            now = std::min(step.wake, end);
        }
    }
    void hear(const Message& message) {
        unit.on_activity(now);
        unit.on_message(message, now);
    }
    /// What it answers within 100 ms.
    std::optional<Message> ask(const Message& message) {
        const auto before = sent.size();
        hear(message);
        run_for(100ms);
        return sent.size() > before ? std::optional(sent.back().second) : std::nullopt;
    }
    std::optional<SlaveHeartbeat> beat(std::uint8_t order = 0x00, int limit_ca = 0) {
        const auto answer = ask(MasterHeartbeat{
            .master = 0x7777, .slave = unit.id(), .command = order, .limit_ca = static_cast<std::uint16_t>(limit_ca)});
        return answer ? std::optional(std::get<SlaveHeartbeat>(*answer)) : std::nullopt;
    }
    /// A heartbeat without change every second.
    void beat_for(std::chrono::seconds duration) {
        for (auto passed = 0s; passed < duration; passed += 1s) {
            beat();
            run_for(900ms);
        }
    }
    std::vector<Instant> announced() const {
        std::vector<Instant> times;
        for (const auto& [at, message] : sent) {
            if (std::holds_alternative<SlaveLinkReady>(message)) {
                times.push_back(at);
            }
        }
        return times;
    }

    Instant now{};
    SlaveUnit unit;
    std::vector<std::pair<Instant, Message>> sent;
};

}  // namespace

TEST_CASE(
    "slave unit: announces itself every 10 s until a master speaks to it, and again 10 s after that one fell "
    "silent") {
    for (const int protocol : {1, 2}) {
        CAPTURE(protocol);
        Bench bench({.id = 0x6A6A, .rating_ca = 3200, .protocol = protocol});
        bench.run_for(35s);
        auto announced = bench.announced();
        REQUIRE(announced.size() == 4);
        CHECK(announced[0] - Instant{} <= 2s);
        CHECK(announced[2] - announced[1] == 10s);
        const auto message = std::get<SlaveLinkReady>(bench.sent.front().second);
        CHECK(message.slave == 0x6A6A);
        CHECK(message.rating_ca == 3200);
        CHECK(encode_message(message).size() == (protocol == 1 ? 13 : 15));

        bench.beat_for(60s);
        CHECK(bench.announced().size() == 4);
        const auto last_beat = bench.unit.heard_at().value();
        bench.run_for(15s);
        announced = bench.announced();
        REQUIRE(announced.size() == 5);
        CHECK(announced.back() - last_beat == 10s);
    }
}

TEST_CASE("slave unit: does not announce itself into the talk of others") {
    Bench bench;
    // A master asks another unit every 200 ms and gets its answer each time.
    for (int i = 0; i < 100; ++i) {
        bench.hear(MasterHeartbeat{.master = 0x7777, .slave = 0x2433});
        bench.run_for(60ms);
        bench.hear(SlaveHeartbeat{.slave = 0x2433, .master = 0x7777});
        bench.run_for(15ms);
        CHECK(bench.sent.empty());
        bench.hear(Request{.master = 0x7777, .slave = 0x2433});
        bench.run_for(125ms);
        CHECK(bench.sent.empty());
    }
    bench.run_for(1s);
    CHECK(bench.announced().size() == 1);
}

TEST_CASE("slave unit: answers its own heartbeats within 20 ms in its own form, whatever form they have") {
    for (const int protocol : {1, 2}) {
        for (const int asked : {1, 2}) {
            Bench bench({.id = 0x6A6A, .rating_ca = 3200, .protocol = protocol});
            bench.hear(MasterHeartbeat{.master = 0x7777, .slave = 0x6A6A, .protocol = asked});
            const auto heard_at = bench.now;
            bench.run_for(100ms);
            REQUIRE(bench.sent.size() == 1);
            CHECK(bench.sent[0].first - heard_at <= 20ms);
            CHECK(bench.sent[0].first > heard_at);
            CHECK(encode_message(bench.sent[0].second).size() == (protocol == 1 ? 13 : 15));
        }
    }
}

TEST_CASE("slave unit: is silent at the heartbeats and questions of others") {
    Bench bench;
    CHECK_FALSE(bench.ask(MasterHeartbeat{.master = 0x7777, .slave = 0x2433}));
    CHECK_FALSE(bench.ask(Request{.master = 0x7777, .slave = 0x2433}));
    CHECK_FALSE(bench.ask(OldRequest{}));
    CHECK_FALSE(bench.ask(Request{.query = Query::plug, .master = 0x7777, .slave = 0x6A6A}));
    CHECK_FALSE(bench.ask(Idle{}));
}

TEST_CASE("slave unit: an answer that is late is not sent at all") {
    Bench bench;
    bench.hear(MasterHeartbeat{.master = 0x7777, .slave = 0x6A6A});
    bench.now += 200ms;  // the process hung
    bench.run_for(100ms);
    CHECK(bench.sent.empty());
}

TEST_CASE("slave unit: asks for a limit in state 04, then works to it and draws all of it or what is configured") {
    for (const auto drawn_ca : {std::optional<int>{}, std::optional(900)}) {
        Bench bench({.id = 0x6A6A, .rating_ca = 3200, .drawn_ca = drawn_ca});
        auto answer = bench.beat();
        REQUIRE(answer);
        CHECK(answer->state == 0x04);
        CHECK(answer->limit_ca == 0);
        CHECK(answer->drawn_ca == 0);
        CHECK(bench.unit.words(bench.now) == "slave 6a6a: asks master 7777 for a limit");

        answer = bench.beat(0x05, 1600);
        CHECK(answer->state == 0x01);
        CHECK(answer->limit_ca == 1600);
        CHECK(answer->drawn_ca == drawn_ca.value_or(1600));
        CHECK(bench.unit.granted_ca() == 1600);

        answer = bench.beat(0x09, 600);
        CHECK(answer->drawn_ca == 600);
        CHECK(bench.unit.granted_ca() == 600);
    }
}

TEST_CASE("slave unit: echoes any limit word for word but uses no more than its rating") {
    for (const int limit_ca : {600, 3200, 3201, 4800, 0x1F41, 0xFFFF}) {
        Bench bench;
        const auto answer = bench.beat(0x05, limit_ca);
        CHECK(answer->limit_ca == limit_ca);
        CHECK(answer->drawn_ca == std::min(limit_ca, 3200));
        CHECK(bench.unit.granted_ca() == std::min(limit_ca, 3200));
    }
}

TEST_CASE("slave unit: protocol 2 ignores 05 while charging and shows 09 in state 09 for some seconds") {
    Bench bench;
    bench.beat(0x05, 1000);
    CHECK(bench.beat(0x05, 2000)->limit_ca == 1000);
    const auto answer = bench.beat(0x09, 2000);
    CHECK(answer->limit_ca == 2000);
    CHECK(answer->state == 0x09);
    bench.beat_for(7s);
    CHECK(bench.unit.state() == 0x01);
    CHECK(bench.beat(0x08, 1200)->limit_ca == 1200);

    Bench old({.id = 0x6A6A, .rating_ca = 3200, .protocol = 1});
    old.beat(0x05, 1000);
    CHECK(old.beat(0x05, 2000)->limit_ca == 2000);
    CHECK(old.beat(0x06)->limit_ca == 2000);
    CHECK(old.beat(0x07)->drawn_ca == 2000);
}

TEST_CASE("slave unit: told 0 it stops at once and stays stopped until it is told more") {
    Bench bench;
    bench.beat(0x05, 1000);
    const auto answer = bench.beat(0x09, 0);
    CHECK(answer->state == 0x03);
    CHECK(answer->limit_ca == 0);
    CHECK(answer->drawn_ca == 0);
    CHECK(bench.unit.granted_ca() == 0);
    CHECK(bench.unit.words(bench.now) == "slave 6a6a: master 7777 grants nothing");
    CHECK(bench.beat()->state == 0x03);
    CHECK(bench.beat(0x05, 800)->state == 0x01);
}

TEST_CASE("slave unit: command 06 raises by 2 A for good, and 44 s later that is over") {
    Bench bench;
    bench.beat(0x05, 1000);
    const auto answer = bench.beat(0x06);
    CHECK(answer->limit_ca == 1200);
    CHECK(answer->state == 0x06);
    bench.beat_for(43s);
    CHECK(bench.unit.state() == 0x06);
    bench.beat_for(2s);
    CHECK(bench.unit.state() == 0x0A);
    CHECK(bench.unit.granted_ca() == 1200);
    bench.beat_for(10s);
    CHECK(bench.unit.state() == 0x01);
}

TEST_CASE("slave unit: command 07 lends 2 A for 10 s, and what stands behind lends them too") {
    Bench bench;
    bench.beat(0x05, 1000);
    const auto answer = bench.beat(0x07);
    CHECK(answer->state == 0x07);
    CHECK(answer->limit_ca == 1000);
    CHECK(answer->drawn_ca == 800);
    CHECK(bench.unit.granted_ca() == 800);
    bench.beat_for(9s);
    CHECK(bench.unit.granted_ca() == 800);
    bench.beat_for(1s);
    CHECK(bench.unit.granted_ca() == 1000);
    CHECK(bench.unit.state() == 0x07);
    bench.beat_for(3s);
    CHECK(bench.unit.state() == 0x0A);
}

TEST_CASE("slave unit: an error of the master is answered once, then it is mute and grants nothing") {
    const std::map<int, std::string> words{{0x01, "rotary"}, {0x02, "more than three"}, {0x04, "different ratings"}};
    for (const auto& error : words) {
        CAPTURE(error.first);
        Bench bench;
        bench.beat(0x05, 1000);
        const auto answer = bench.beat(0x02, error.first << 8);
        REQUIRE(answer);
        CHECK(answer->state == 0x02);
        CHECK(answer->drawn_ca == 0);
        CHECK(bench.unit.granted_ca() == 0);
        CHECK(bench.unit.words(bench.now).find(error.second) != std::string::npos);
        CHECK(bench.unit.words(bench.now).find("silent until") != std::string::npos);
        const auto before = bench.sent.size();
        bench.beat_for(5s);
        bench.ask(Request{.master = 0x7777, .slave = 0x6A6A});
        bench.run_for(120s);
        CHECK(bench.sent.size() == before);
    }
    Bench bench;
    bench.beat(0x05, 1000);
    CHECK(bench.beat(0x02, 0xF000)->state == 0x01);  // none of the bits that mean something
    CHECK(bench.beat());
}

TEST_CASE("slave unit: a silent master ends the grant after 25 s, and a returning one is asked anew") {
    Bench bench;
    bench.beat(0x05, 1600);
    const auto last = bench.unit.heard_at().value();
    bench.run_for(last + 24'999ms - bench.now);
    CHECK(bench.unit.granted_ca() == 1600);
    CHECK(bench.unit.words(bench.now).find("is silent") != std::string::npos);
    bench.run_for(1ms);
    bench.unit.next(bench.now);
    CHECK(bench.unit.granted_ca() == 0);
    CHECK(bench.unit.drawn_ca() == 0);
    CHECK(bench.unit.words(bench.now) == "slave 6a6a: master 7777 is gone, nothing is granted");

    const auto answer = bench.beat();
    CHECK(answer->state == 0x08);
    CHECK(answer->limit_ca == 0);
    CHECK(bench.beat(0x08, 1000)->state == 0x01);
    CHECK(bench.unit.granted_ca() == 1000);
}

TEST_CASE("slave unit: the grant ends as well when the line is lost, even if nobody asks for it in time") {
    Bench bench;
    bench.beat(0x05, 1600);
    bench.unit.on_link(false, bench.now);
    bench.run_for(30s);
    CHECK(bench.unit.granted_ca() == 0);
    CHECK(bench.sent.size() == 1);
}

TEST_CASE("slave unit: a contactor ordered open grants nothing until it is ordered closed") {
    Bench bench;
    bench.beat(0x05, 1600);
    bench.hear(ContactorCommand{.close = false, .master = 0x7777, .slave = 0x2433});
    CHECK(bench.unit.granted_ca() == 1600);
    bench.hear(ContactorCommand{.close = false, .master = 0x7777, .slave = 0x6A6A});
    CHECK(bench.unit.granted_ca() == 0);
    CHECK(bench.beat()->drawn_ca == 0);
    CHECK(bench.unit.words(bench.now).find("contactor") != std::string::npos);
    bench.hear(ContactorCommand{.close = true, .master = 0x7777, .slave = 0x6A6A});
    CHECK(bench.beat()->drawn_ca == 1600);
}

TEST_CASE("slave unit: takes the next plain ID and another sign when a master has its own") {
    const std::map<UnitId, UnitId> next{
        {0x6A6A, 0x6A6B}, {0x6ABF, 0x6AC1}, {0x6ADA, 0x6ADC}, {0xBFFF, 0xC100}, {0xFFFE, 0x0001}};
    for (const int stage : {1, 2}) {
        for (const auto& ids : next) {
            CAPTURE(ids.first);
            Bench bench({.id = ids.first, .rating_ca = 3200});
            bench.run_for(3s);
            bench.beat(0x05, 1600);
            const auto sign = std::get<SlaveLinkReady>(bench.sent.front().second).sign;
            bench.hear(MasterLinkReady{.stage = stage, .master = ids.first});
            CHECK(bench.unit.id() == ids.second);
            CHECK(bench.unit.granted_ca() == 0);
            bench.run_for(3s);
            const auto ready = std::get<SlaveLinkReady>(bench.sent.back().second);
            CHECK(ready.slave == bench.unit.id());
            CHECK(ready.sign != sign);
            CHECK(bench.beat()->state == 0x04);
            CHECK(bench.unit.words(bench.now).find("is taken") != std::string::npos);
        }
    }
}

TEST_CASE("slave unit: a second unit under its ID makes it take another, its own echo does not") {
    Bench bench;
    for (int i = 0; i < 20; ++i) {
        bench.beat();
        bench.hear(bench.sent.back().second);  // returned by the adapter
        bench.run_for(900ms);
    }
    CHECK(bench.unit.id() == 0x6A6A);
    bench.hear(SlaveHeartbeat{.slave = 0x6A6A, .master = 0x7777, .state = 0x01, .limit_ca = 1000, .drawn_ca = 900});
    CHECK(bench.unit.id() == 0x6A6A);
    bench.run_for(1s);
    bench.hear(SlaveHeartbeat{.slave = 0x6A6A, .master = 0x7777, .state = 0x01, .limit_ca = 1000, .drawn_ca = 910});
    CHECK(bench.unit.id() == 0x6A6B);
}

TEST_CASE("slave unit: answers what a master asks about it, in the lengths of firmware 4.5.3") {
    SlaveUnit unit({.id = 0x6A6A, .rating_ca = 3200}, {.voltage_v = 231.4, .phases = 3}, 1234.9, Instant{});
    Bench bench;
    const auto ask = [&](Query query) {
        return bench.ask(Request{.query = query, .master = 0x7777, .slave = 0x6A6A, .length = 14});
    };
    bench.beat(0x05, 1600);
    const auto power = std::get<PowerReport>(*ask(Query::power));
    CHECK(power.sender == 0x6A6A);
    CHECK(power.volts == std::array<std::uint16_t, 3>{230, 0, 0});
    CHECK((*power.half_amps)[0] == 32);
    CHECK(encode_message(power).size() == 19);
    CHECK(encode_message(*ask(Query::firmware)).size() == 15);
    CHECK(std::get<SerialReport>(*ask(Query::serial)).serial == "TWCMQTT6A6A");
    for (const auto query : {Query::vin_1, Query::vin_2, Query::vin_3}) {
        const auto vin = encode_message(*ask(query));
        CHECK(vin.size() == 19);
        CHECK(vin[1] == static_cast<std::uint8_t>(query));
        CHECK(std::all_of(vin.begin() + 4, vin.end(), [](std::uint8_t byte) { return byte == 0; }));
    }

    Bench old({.id = 0x6A6A, .rating_ca = 3200, .protocol = 1});
    CHECK_FALSE(old.ask(Request{.master = 0x7777, .slave = 0x6A6A}));
}

TEST_CASE("slave unit: counts the energy of what it says it draws, over three phases and restarts") {
    Instant now{};
    SlaveUnit unit({.id = 0x6A6A, .rating_ca = 3200}, {.voltage_v = 230, .phases = 3}, 1234.5, now);
    unit.on_link(true, now);
    for (int second = 0; second < 3600; ++second) {
        unit.on_message(MasterHeartbeat{.master = 0x7777, .slave = 0x6A6A, .command = 0x05, .limit_ca = 1000}, now);
        now += 1s;
        unit.next(now);
    }
    CHECK(unit.energy_kwh() == doctest::Approx(1234.5 + 6.9).epsilon(0.0001));
    unit.on_message(Request{.master = 0x7777, .slave = 0x6A6A}, now);
    now += 5ms;
    CHECK(std::get<PowerReport>(*unit.next(now).message).lifetime_kwh == 1241);
}
