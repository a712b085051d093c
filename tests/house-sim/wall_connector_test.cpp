#include <cmath>

#include <doctest/doctest.h>

#include "bytes.hpp"
#include "house-sim/bus_line.hpp"

namespace house_sim {

namespace {

using namespace std::chrono_literals;
using Instant = scheduling::Instant;

constexpr std::uint16_t master = 0x7777;

struct Heartbeat {
    int state = -1;
    double limit_a = -1;
    double drawn_a = -1;
    std::size_t length = 0;
};

// A unit on the bench: time and car in the test's hand.
struct Bench {
    explicit Bench(const WallConnectorConfig& config = {}) : unit(config, 1, Instant{}) {}

    std::optional<Bytes> ask(Bytes message) { return unit.answer(message, now); }

    Heartbeat beat(int command = 0, double amps = 0) {
        const auto centiamps = static_cast<unsigned>(std::lround(amps * 100));
        const auto answer = ask({0xFB, 0xE0, master >> 8, master & 0xFF, static_cast<std::uint8_t>(unit.id() >> 8),
                                 static_cast<std::uint8_t>(unit.id() & 0xFF), static_cast<std::uint8_t>(command),
                                 static_cast<std::uint8_t>(centiamps >> 8), static_cast<std::uint8_t>(centiamps & 0xFF),
                                 0, 0, 0, 0, 0, 0});
        if (!answer) {
            return {};
        }
        return {.state = (*answer)[6],
                .limit_a = ((*answer)[7] * 256 + (*answer)[8]) / 100.0,
                .drawn_a = ((*answer)[9] * 256 + (*answer)[10]) / 100.0,
                .length = answer->size() + 1};
    }

    void pass(double seconds) {
        for (int i = 0; i < std::lround(seconds * 10); ++i) {
            now += 100ms;
            unit.advance(now, 0.1, car, {230, 230, 230});
        }
    }

    // With a master that is there but wants nothing.
    void pass_linked(int seconds) {
        for (int i = 0; i < seconds; ++i) {
            pass(1);
            beat();
        }
    }

    void plug_in() {
        car = {.plugged = true, .wants_power = true, .vin = "LRW3E7EK0NC000777"};
        pass(0.1);
    }

    void draw(double amps) {
        car.current_a = amps;
        car.phases = amps > 0 ? 1 : 0;
        pass(0.1);
    }

    void charge_at(double offered) {
        plug_in();
        pass_linked(2);
        beat(unit.config().firmware == Firmware::p1 ? 5 : 9, offered);
        draw(2);
        pass(0.2);
        draw(offered - 1);
        pass(0.2);
    }

    WallConnector unit;
    CarSignals car;
    Instant now{};
};

Bytes request(std::uint8_t command) { return {0xFB, command, 0x77, 0x77, 0x77, 0x44, 0, 0, 0, 0, 0, 0, 0, 0, 0}; }

}  // namespace

TEST_CASE("unit, protocol 2: plugging in shows 03 for a second, then 04 that asks for a limit") {
    Bench bench;
    CHECK(bench.beat().state == 0);

    bench.plug_in();
    CHECK(bench.beat().state == 3);
    bench.pass(1.2);

    const auto asking = bench.beat();
    CHECK(asking.state == 4);
    CHECK(asking.limit_a == 0);
    CHECK(bench.unit.pilot_a() == 0);
}

TEST_CASE("unit, protocol 2: 05 and 09 both set the limit before charging") {
    for (const int command : {5, 9}) {
        CAPTURE(command);
        Bench bench;
        bench.plug_in();
        bench.pass(2);

        const auto echoed = bench.beat(command, 16);

        CHECK(echoed.state == 4);
        CHECK(echoed.limit_a == 16);
        CHECK(bench.unit.pilot_a() == 16);
    }
}

TEST_CASE("unit, protocol 2: the car starts through 08 to 01") {
    Bench bench;
    bench.plug_in();
    bench.pass(2);
    bench.beat(9, 16);

    bench.draw(1.3);
    CHECK(bench.beat().state == 8);
    bench.draw(5);
    CHECK(bench.beat().state == 1);
    CHECK(bench.beat().drawn_a == doctest::Approx(5).epsilon(0.02));
}

TEST_CASE("unit, protocol 2: a new limit while charging shows 09 for 6 to 10 s, and 05 does nothing") {
    Bench bench;
    bench.charge_at(6);
    REQUIRE(bench.beat().state == 1);

    CHECK(bench.beat(5, 20).limit_a == 6);
    const auto adjusting = bench.beat(9, 19);
    CHECK(adjusting.state == 9);
    CHECK(adjusting.limit_a == 19);
    CHECK(bench.unit.pilot_a() == 19);
    bench.pass(5.8);
    CHECK(bench.beat().state == 9);
    bench.pass(4.5);
    CHECK(bench.beat().state == 1);
}

TEST_CASE("unit, protocol 2: limit 0 while charging falls back to 6 A, and whether current ends is a switch") {
    for (const bool stops : {false, true}) {
        CAPTURE(stops);
        Bench bench({.zero_offer_stops = stops});
        bench.charge_at(13);

        const auto stopped = bench.beat(9, 0);

        CHECK(stopped.state == 3);
        CHECK(stopped.limit_a == 6);
        CHECK(bench.unit.pilot_a() == (stops ? 0 : 6));
        CHECK(bench.beat(9, 0).limit_a == 6);
        CHECK(bench.beat(9, 10).limit_a == 10);
        CHECK(bench.unit.pilot_a() == 10);
    }
}

TEST_CASE("unit, protocol 2: 06 raises by 2 A for 44 s, 07 lowers for 10 s, both end in 0A") {
    Bench bench;
    bench.charge_at(10);

    CHECK(bench.beat(6).state == 6);
    CHECK(bench.unit.pilot_a() == 12);
    bench.pass_linked(43);
    CHECK(bench.unit.state() == 6);
    bench.pass_linked(1);
    CHECK(bench.unit.state() == 0x0A);
    bench.pass_linked(3);
    CHECK(bench.unit.state() == 1);

    CHECK(bench.beat(7).state == 7);
    CHECK(bench.unit.pilot_a() == 10);
    bench.pass_linked(10);
    CHECK(bench.unit.pilot_a() == 12);
    CHECK(bench.unit.state() == 7);
    bench.pass_linked(3);
    CHECK(bench.unit.state() == 0x0A);
}

TEST_CASE("unit, protocol 2: a car that stops leaves state 03 with 6 A, a car that sleeps 00") {
    Bench bench;
    bench.charge_at(16);

    bench.car.wants_power = false;
    bench.draw(0);
    CHECK(bench.beat().state == 3);
    CHECK(bench.beat().limit_a == 6);
    bench.car.asleep = true;
    bench.pass(0.1);
    CHECK(bench.beat().state == 0);
    bench.car = {};
    bench.pass(0.1);
    CHECK(bench.beat().state == 0);
    CHECK(bench.beat().limit_a == 0);
}

TEST_CASE("unit: any amount is echoed without a clamp") {
    Bench bench;
    bench.plug_in();
    bench.pass(2);

    CHECK(bench.beat(9, 655.35).limit_a == 655.35);
    CHECK(bench.beat(9, 48).limit_a == 48);
}

TEST_CASE("unit: without heartbeats it announces itself every 10 s, with heartbeats never") {
    Bench bench;
    int announced = 0;
    for (int i = 0; i < 600; ++i) {
        bench.pass(0.1);
        announced += bench.unit.announce(bench.now) ? 1 : 0;
    }
    CHECK(announced == 6);

    for (int i = 0; i < 30; ++i) {
        bench.beat();
        bench.pass(1);
        CHECK_FALSE(bench.unit.announce(bench.now));
    }
    bench.pass(9.1);
    CHECK(bench.unit.announce(bench.now));
}

TEST_CASE("unit: silence opens the contactor after 25 s, 02 and then 08 follow until a new limit comes") {
    Bench bench;
    bench.charge_at(16);
    REQUIRE(bench.beat().state == 1);

    bench.pass(24.8);
    CHECK(bench.unit.pilot_a() == 16);
    bench.pass(0.4);
    CHECK(bench.unit.pilot_a() == 0);
    CHECK(bench.unit.trips() == 1);
    bench.draw(0);
    bench.pass(30);

    CHECK(bench.beat().state == 2);
    CHECK(bench.beat().state == 8);
    CHECK(bench.beat().limit_a == 0);
    bench.pass_linked(20);
    CHECK(bench.beat().state == 8);
    CHECK(bench.unit.pilot_a() == 0);
    CHECK(bench.beat(9, 10).limit_a == 10);
    CHECK(bench.unit.pilot_a() == 10);
}

TEST_CASE("unit: command 02 is answered once, then it is mute until reset") {
    Bench bench;

    CHECK(bench.beat(2, 10.24).state == 2);
    CHECK(bench.beat().state == -1);
    CHECK_FALSE(bench.ask(request(0xEB)));
    bench.unit.reset(bench.now);
    CHECK(bench.beat().state == 0);
}

TEST_CASE("unit: every reply has the length its firmware gives it") {
    struct Case {
        Firmware firmware;
        std::uint8_t command;
        std::size_t length;  // checksum included, 0: no answer
    };
    const Case cases[] = {
        {Firmware::v4_5_3, 0xEB, 20}, {Firmware::v4_5_3, 0xEC, 16}, {Firmware::v4_5_3, 0xED, 20},
        {Firmware::v4_5_3, 0xEE, 20}, {Firmware::v4_5_3, 0xEF, 20}, {Firmware::v4_5_3, 0xF1, 20},
        {Firmware::v4_5_3, 0xB4, 16}, {Firmware::v4_5_3, 0xE5, 0},  {Firmware::v4_4_13, 0xEB, 16},
        {Firmware::v4_4_13, 0xEC, 0}, {Firmware::v4_4_13, 0xEE, 0}, {Firmware::p1, 0xEB, 0},
        {Firmware::p1, 0xEE, 0},
    };
    for (const auto& one : cases) {
        const auto firmware = one.firmware;
        const auto command = one.command;
        const auto length = one.length;
        CAPTURE(static_cast<int>(firmware));
        CAPTURE(static_cast<int>(command));
        Bench bench({.firmware = firmware});
        const auto answer = bench.ask(request(command));
        CHECK((answer ? answer->size() + 1 : 0) == length);
    }
    CHECK(Bench({.firmware = Firmware::p1}).beat().length == 14);
    CHECK(Bench().beat().length == 16);
}

TEST_CASE("unit: energy, volts and amps read as the notes say") {
    Bench bench({.id = 0x5850, .lifetime_kwh = 842});
    bench.unit.advance(bench.now, 0, {}, {250, 0, 0});
    auto ask = request(0xEB);
    ask[4] = 0x58;
    ask[5] = 0x50;

    auto expected = bytes("FD EB 58 50 00 00 03 4A 00 FA 00 00 00 00 00 00 00 00 00 DA");
    expected.pop_back();
    CHECK(bench.ask(ask) == expected);

    Bench three({.id = 0x2433, .phases = 3, .lifetime_kwh = 4242});
    three.unit.advance(three.now, 0, {.plugged = true, .current_a = 16, .phases = 3}, {230, 231, 232});
    ask[4] = 0x24;
    ask[5] = 0x33;
    CHECK(three.ask(ask) == bytes("FD EB 24 33 00 00 10 92 00 E6 00 E7 00 E8 20 20 20 00 00"));
}

TEST_CASE("unit: VIN in three parts, zeros without a Tesla") {
    Bench bench;
    bench.plug_in();

    CHECK(bench.ask(request(0xEE)) == bytes("FD EE 77 44 4C 52 57 33 45 37 45 00 00 00 00 00 00 00 00"));
    CHECK(bench.ask(request(0xEF)) == bytes("FD EF 77 44 4B 30 4E 43 30 30 30 00 00 00 00 00 00 00 00"));
    CHECK(bench.ask(request(0xF1)) == bytes("FD F1 77 44 37 37 37 00 00 00 00 00 00 00 00 00 00 00 00"));
    bench.car.vin = "";
    bench.pass(0.1);
    CHECK(bench.ask(request(0xEE)) == bytes("FD EE 77 44 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00"));
}

TEST_CASE("unit: it answers only its own id, and a master with its id makes it choose another") {
    Bench bench;
    auto foreign = request(0xE0);
    foreign[5] = 0x45;
    CHECK_FALSE(bench.ask(foreign));

    const auto before = bench.unit.id();
    CHECK_FALSE(bench.ask(bytes("FC E1 77 44 77 00 00 00 00 00 00 00 00")));
    CHECK(bench.unit.id() != before);
}

TEST_CASE("unit: destructive commands wreck it for good") {
    for (const char* message :
         {"FC 19 00 00 00 00 00 00 00 00 00 00 00 00 00", "FC 1A 00 00 00 00 00 00 00 00 00 00 00",
          "FB E8 77 77 77 44 00 00 00 00 00 00 00 00 00"}) {
        CAPTURE(std::string(message));
        Bench bench;
        CHECK_FALSE(bench.ask(bytes(message)));
        bench.unit.reset(bench.now);
        CHECK(bench.beat().state == -1);
        CHECK(bench.unit.wrecked());
    }
}

TEST_CASE("unit, protocol 1: 05 sets at any time, 0 stops cleanly, 09 is not understood") {
    Bench bench({.firmware = Firmware::p1});
    bench.charge_at(10);
    CHECK(bench.unit.state() == 1);

    CHECK(bench.beat(5, 8).limit_a == 8);
    CHECK(bench.unit.state() == 1);
    CHECK(bench.beat(9, 20).limit_a == 8);
    const auto stopped = bench.beat(5, 0);
    CHECK(stopped.state == 3);
    CHECK(stopped.limit_a == 0);
    CHECK(bench.unit.pilot_a() == 0);
}

TEST_CASE("unit, protocol 1: the relay chatters when limit 0 is not repeated") {
    Bench bench({.firmware = Firmware::p1, .chatters_at_zero = true});
    bench.charge_at(10);
    bench.beat(5, 0);
    bench.draw(0);

    const auto first = bench.beat(0);
    const auto second = bench.beat(0);

    CHECK(first.state == 1);
    CHECK(first.limit_a == 0);
    CHECK(second.state == 3);
    CHECK(second.limit_a == 6);
}

TEST_CASE("unit: quirks are switches") {
    Bench deaf({.ignores_first_09 = true});
    deaf.plug_in();
    deaf.pass(2);
    CHECK(deaf.beat(9, 16).limit_a == 0);
    CHECK(deaf.beat(9, 16).limit_a == 16);

    Bench jumping({.energy_counter_jumps = true});
    const auto power = jumping.ask(request(0xEB));
    REQUIRE(power);
    CHECK((*power)[5] == 0x40);

    Bench offset({.current_offset_a = 0.25});
    CHECK(offset.beat().drawn_a == 0.25);
}

TEST_CASE("line: an answer arrives only after question, thinking time and its own bytes at 9600 baud") {
    BusLine line({{.answer_delay_min_s = 0.05, .answer_delay_max_s = 0.05}}, {}, 1, Instant{});
    const Bytes question = to_wire(bytes("FB E0 77 77 77 44 00 00 00 00 00 00 00 00 00"));

    line.receive(question, Instant{});

    // 18 bytes there, 50 ms, 18 bytes and one trailing byte back.
    CHECK(line.take(Instant{} + 88ms).empty());
    CHECK(line.due() > Instant{} + 88ms);
    CHECK(line.due() < Instant{} + 90ms);
    CHECK(line.take(Instant{} + 90ms).size() == 19);
}

TEST_CASE("line: the echo switch returns the master's bytes, a cut line nothing") {
    BusLine line({{}}, {.echoes_master = true}, 1, Instant{});
    const Bytes question = to_wire(bytes("FB E0 77 77 77 45 00 00 00 00 00 00 00 00 00"));

    line.receive(question, Instant{});
    CHECK(line.take(Instant{} + 100ms) == question);

    line.set_cut(true);
    line.receive(question, Instant{} + 200ms);
    CHECK(line.take(Instant{} + 300ms).empty());
}

TEST_CASE("line: under noise a master still gets most answers") {
    BusLine line({{}}, {.flip_per_byte = 0.004, .drop_per_byte = 0.004, .junk_per_frame = 0.5, .splits_frames = true},
                 5, Instant{});
    const Bytes question = to_wire(bytes("FB E0 77 77 77 44 00 00 00 00 00 00 00 00 00"));
    SegmentReader reader;
    Instant now{};
    int answers = 0;
    for (int second = 0; second < 400; ++second) {
        line.receive(question, now);
        for (int i = 0; i < 10; ++i) {
            now += 100ms;
            for (const auto byte : line.take(now)) {
                // A lost zero leaves the checksum right: only the length tells (notes 2.3).
                const auto message = reader.add(byte);
                answers += message && message->size() == 15 ? 1 : 0;
            }
        }
    }
    CHECK(answers > 250);
    CHECK(answers < 400);
}

TEST_CASE("line: two units that answer an id-less request at once destroy both answers") {
    BusLine line({{.id = 0x1111, .answer_delay_min_s = 0.02, .answer_delay_max_s = 0.02},
                  {.id = 0x2222, .answer_delay_min_s = 0.02, .answer_delay_max_s = 0.02}},
                 {.collides = true}, 3, Instant{});

    line.receive(to_wire(bytes("FB 1B 00 00 00 00 00 00 00 00 00 00 00 00 00")), Instant{});

    CHECK(messages_in(line.take(Instant{} + 200ms)).empty());
}

}  // namespace house_sim
