#include "twc-bus/rfc2217.hpp"

#include <cstdlib>
#include <random>

#include <doctest/doctest.h>

using namespace std::chrono_literals;
using scheduling::Instant;
using twc_bus::Bytes;
using twc_bus::Rfc2217;
using State = Rfc2217::State;

namespace {

constexpr Instant start{};

constexpr std::uint8_t se = 0xF0;
constexpr std::uint8_t sb = 0xFA;
constexpr std::uint8_t will = 0xFB;
constexpr std::uint8_t wont = 0xFC;
constexpr std::uint8_t please_do = 0xFD;
constexpr std::uint8_t please_dont = 0xFE;
constexpr std::uint8_t iac = 0xFF;
constexpr std::uint8_t binary = 0;
constexpr std::uint8_t echo = 1;
constexpr std::uint8_t suppress_go_ahead = 3;
constexpr std::uint8_t com_port = 44;

Bytes operator+(Bytes left, const Bytes& right) {
    left.insert(left.end(), right.begin(), right.end());
    return left;
}

Bytes option(std::uint8_t verb, std::uint8_t code) { return {iac, verb, code}; }

/// A COM-PORT subnegotiation as it is on the wire.
Bytes com_port_command(std::uint8_t command, const Bytes& value) {
    return Bytes{iac, sb, com_port, command} + value + Bytes{iac, se};
}

const Bytes binary_agreed = option(please_do, binary) + option(will, binary);
const Bytes com_port_agreed = option(please_do, com_port);
const Bytes baud_confirmed = com_port_command(101, {0, 0, 0x25, 0x80});
const Bytes agreed = binary_agreed + option(please_do, suppress_go_ahead) + option(will, suppress_go_ahead) +
                     com_port_agreed + baud_confirmed;
const Bytes settings = com_port_command(1, {0, 0, 0x25, 0x80}) + com_port_command(2, {8}) + com_port_command(3, {1}) +
                       com_port_command(4, {1}) + com_port_command(5, {1}) + com_port_command(12, {3});

Rfc2217 line_that_is_up() {
    Rfc2217 line(start);
    line.receive(agreed, start);
    REQUIRE(line.state() == State::up);
    return line;
}

/// What goes wrong when a server that agreed to everything says this; empty: nothing.
std::string problem_after(const Bytes& bytes) {
    auto line = line_that_is_up();
    line.receive(bytes, start);
    CHECK((line.state() == State::failed) == !line.problem().empty());
    return line.problem();
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("rfc2217: opens with binary, no go-ahead and COM-PORT, and sets 9600 8N1 once the server agrees") {
    CHECK(Rfc2217::opening() == Bytes{iac, will, binary, iac, please_do, binary, iac, will, suppress_go_ahead, iac,
                                      please_do, suppress_go_ahead, iac, will, com_port});
    Rfc2217 line(start);
    CHECK(line.state() == State::negotiating);
    CHECK(line.receive(binary_agreed, start).reply.empty());
    CHECK(line.receive(com_port_agreed, start).reply == settings);
    CHECK(line.receive(com_port_agreed, start).reply.empty());
    CHECK(line.state() == State::negotiating);
    CHECK(line.receive(baud_confirmed, start).reply.empty());
    CHECK(line.state() == State::up);
    CHECK_FALSE(line.deadline());
    CHECK(line.unconfirmed().empty());
}

TEST_CASE("rfc2217: binary may be agreed to after the baud rate was confirmed") {
    Rfc2217 line(start);
    line.receive(com_port_agreed + baud_confirmed + option(please_do, binary), start);
    CHECK(line.state() == State::negotiating);
    line.receive(option(will, binary), start);
    CHECK(line.state() == State::up);
}

TEST_CASE("rfc2217: data is carried unchanged both ways, FF doubled on the wire") {
    auto line = line_that_is_up();
    Bytes all;
    Bytes wire;
    for (int i = 0; i < 256; ++i) {
        all.push_back(static_cast<std::uint8_t>(i));
        wire.push_back(static_cast<std::uint8_t>(i));
    }
    wire.push_back(0xFF);
    CHECK(line.outgoing(all, start) == wire);
    CHECK(line.receive(wire, start).payload == all);
    CHECK(line.receive(Bytes{0x0D, 0x00, 0x0D, 0x0A}, start).payload == Bytes{0x0D, 0x00, 0x0D, 0x0A});
}

TEST_CASE("rfc2217: nothing is carried before the line is up, not even a greeting") {
    Rfc2217 line(start);
    CHECK(line.outgoing(Bytes{1, 2}, start).empty());
    CHECK(line.receive(Bytes{'h', 'i', iac, iac} + agreed + Bytes{0xC0}, start).payload == Bytes{0xC0});
}

TEST_CASE("rfc2217: the stream may be cut anywhere") {
    const Bytes stream = Bytes{'h', 'i'} + option(will, echo) + agreed + Bytes{0xC0, iac, iac, 0xDB} +
                         com_port_command(107, {0x30}) + Bytes{iac, 0xF1, 7} + option(please_do, 24) +
                         com_port_command(106, {iac, iac}) + Bytes{iac, iac};
    const Bytes payload{0xC0, 0xFF, 0xDB, 7, 0xFF};
    const Bytes reply = option(please_dont, echo) + settings + option(wont, 24);
    for (std::size_t cut = 0; cut <= stream.size(); ++cut) {
        CAPTURE(cut);
        Rfc2217 line(start);
        const auto first = line.receive(std::span(stream).first(cut), start);
        const auto second = line.receive(std::span(stream).subspan(cut), start);
        CHECK(first.payload + second.payload == payload);
        CHECK(first.reply + second.reply == reply);
        CHECK(line.state() == State::up);
    }
    Rfc2217 bytewise(start);
    Bytes got;
    for (const auto byte : stream) {
        got = got + bytewise.receive(std::span(&byte, 1), start).payload;
    }
    CHECK(got == payload);
}

TEST_CASE("rfc2217: a server that refuses COM-PORT is told apart and what to do is said") {
    Rfc2217 line(start);
    line.receive(binary_agreed + option(please_dont, com_port), start);
    CHECK(line.state() == State::failed);
    CHECK(contains(line.problem(), "refuses COM-PORT-OPTION"));
    CHECK(contains(line.problem(), "tcp://"));
    CHECK_FALSE(line.deadline());
    CHECK(line.receive(agreed + Bytes{1}, start).reply.empty());
    line.on_time(start + 1min);
    CHECK(line.state() == State::failed);
    CHECK(line.outgoing(Bytes{1}, start).empty());
    CHECK(contains(problem_after(option(please_dont, com_port)), "refuses COM-PORT-OPTION"));
}

TEST_CASE("rfc2217: a server that would change bytes is refused") {
    for (const auto verb : {please_dont, wont}) {
        CAPTURE(verb);
        Rfc2217 line(start);
        line.receive(option(verb, binary), start);
        CHECK(contains(line.problem(), "refuses binary transmission"));
        CHECK(contains(problem_after(option(verb, binary)), "refuses binary transmission"));
    }
}

TEST_CASE("rfc2217: settings other than ours are an error that names both") {
    CHECK(contains(problem_after(com_port_command(101, {0, 1, 0xC2, 0})), "115200 baud, expected 9600"));
    CHECK(contains(problem_after(com_port_command(101, {0, 0, 0, 0})), "0 baud, expected 9600"));
    CHECK(contains(problem_after(com_port_command(101, {iac, iac, iac, iac, iac, iac, iac, iac})), "4294967295 baud"));
    CHECK(contains(problem_after(com_port_command(102, {7})), "7 data bits, expected 8"));
    CHECK(contains(problem_after(com_port_command(103, {3})), "parity 3"));
    CHECK(contains(problem_after(com_port_command(104, {2})), "stop size 2"));
    CHECK(contains(problem_after(com_port_command(104, {2})), "set its serial port to 9600 8N1"));
}

TEST_CASE("rfc2217: what is no concern of ours changes nothing") {
    for (const auto& bytes : {com_port_command(101, {0, 0, 0x25, 0x80}),
                              com_port_command(102, {8}),
                              com_port_command(103, {1}),
                              com_port_command(104, {1}),
                              com_port_command(105, {3}),
                              com_port_command(106, {0x10}),
                              com_port_command(107, {0xB0}),
                              com_port_command(112, {3}),
                              com_port_command(100, {'m', 'o', 'x', 'a'}),
                              com_port_command(101, {0x25, 0x80}),
                              com_port_command(199, {}),
                              Bytes{iac, sb, com_port, iac, se},
                              Bytes{iac, sb, iac, se},
                              Bytes{iac, sb, 24, 1, iac, se},
                              Bytes{iac, 0xF1},
                              Bytes{iac, 0xF9},
                              Bytes{iac, 0x07},
                              option(wont, echo),
                              option(please_dont, 24),
                              option(wont, com_port)}) {
        CAPTURE(bytes);
        auto line = line_that_is_up();
        const auto heard = line.receive(bytes + Bytes{0x42}, start);
        CHECK(heard.reply.empty());
        CHECK(heard.payload == Bytes{0x42});
        CHECK(line.state() == State::up);
    }
}

TEST_CASE("rfc2217: a baud rate confirmed before it was asked for proves nothing") {
    Rfc2217 line(start);
    line.receive(binary_agreed + baud_confirmed + com_port_agreed, start);
    CHECK(line.state() == State::negotiating);
}

TEST_CASE("rfc2217: a server that confirms nothing is used after 3 s and what is missing is named") {
    Rfc2217 line(start);
    line.receive(binary_agreed, start);
    line.receive(com_port_agreed, start + 2s);
    REQUIRE(line.deadline() == start + 5s);
    line.on_time(start + 5s - 1ns);
    CHECK(line.state() == State::negotiating);
    line.on_time(start + 5s);
    CHECK(line.state() == State::up);
    CHECK(line.unconfirmed() == "9600 baud");
    line.receive(com_port_command(101, {0, 0, 0x4B, 0}), start + 6s);
    CHECK(contains(line.problem(), "19200 baud, expected 9600"));

    Rfc2217 without_binary(start);
    without_binary.receive(com_port_agreed + baud_confirmed, start);
    without_binary.on_time(start + 3s);
    CHECK(without_binary.state() == State::up);
    CHECK(without_binary.unconfirmed() == "binary transmission");
}

TEST_CASE("rfc2217: a server that does not negotiate at all is an error after 3 s") {
    Rfc2217 line(start);
    line.receive(Bytes{0xC0, 0xFB, 0xE0}, start);
    REQUIRE(line.deadline() == start + 3s);
    line.on_time(start + 3s);
    CHECK(contains(line.problem(), "does not answer the negotiation"));
    CHECK(contains(line.problem(), "tcp://"));
}

TEST_CASE("rfc2217: a line that returns our own bytes is no server") {
    Rfc2217 line(start);
    auto back = Rfc2217::opening();
    for (int round = 0; round < 3; ++round) {
        back = line.receive(back, start).reply;
    }
    CHECK(contains(line.problem(), "sends our own bytes back"));
}

TEST_CASE("rfc2217: a suspension is honoured until resumed, for 2 s at the most") {
    const Bytes suspend = com_port_command(108, {});
    const Bytes resume = com_port_command(109, {});
    auto line = line_that_is_up();
    line.receive(suspend, start);
    CHECK(line.outgoing(Bytes{1}, start + 1s).empty());
    line.receive(resume, start + 1s);
    CHECK(line.outgoing(Bytes{1}, start + 1s) == Bytes{1});

    line.receive(suspend, start + 10s);
    line.receive(suspend, start + 11s);
    CHECK(line.outgoing(Bytes{1}, start + 12s - 1ns).empty());
    CHECK(line.outgoing(Bytes{1}, start + 12s) == Bytes{1});
    line.receive(suspend, start + 13s);
    CHECK(line.outgoing(Bytes{1}, start + 13s) == Bytes{1});
    line.receive(resume + suspend, start + 14s);
    CHECK(line.outgoing(Bytes{1}, start + 14s).empty());
    CHECK(line.receive(Bytes{5}, start + 14s).payload == Bytes{5});
}

TEST_CASE("rfc2217: an option is answered once per change, an unknown one once") {
    auto line = line_that_is_up();
    const auto reply_to = [&](const Bytes& bytes) { return line.receive(bytes, start).reply; };
    CHECK(reply_to(option(please_do, binary)).empty());
    CHECK(reply_to(option(will, com_port)) == option(please_do, com_port));
    CHECK(reply_to(option(will, com_port)).empty());
    CHECK(reply_to(option(wont, com_port)) == option(please_dont, com_port));
    CHECK(reply_to(option(wont, com_port)).empty());
    CHECK(reply_to(option(please_dont, suppress_go_ahead)) == option(wont, suppress_go_ahead));
    CHECK(reply_to(option(please_dont, suppress_go_ahead)).empty());
    CHECK(reply_to(option(please_do, suppress_go_ahead)) == option(will, suppress_go_ahead));
    CHECK(reply_to(option(please_do, 24)) == option(wont, 24));
    CHECK(reply_to(option(please_do, 24)).empty());
    CHECK(reply_to(option(will, 24)) == option(please_dont, 24));
    CHECK(reply_to(option(will, 24)).empty());
    CHECK(reply_to(option(please_do, 255)) == option(wont, 255));
    CHECK(line.state() == State::up);
}

TEST_CASE("rfc2217: two of us talking to each other fall silent") {
    Rfc2217 one(start);
    Rfc2217 other(start);
    auto to_other = Rfc2217::opening();
    auto to_one = Rfc2217::opening();
    int rounds = 0;
    for (; rounds < 10 && !(to_one.empty() && to_other.empty()); ++rounds) {
        const auto from_other = other.receive(to_other, start).reply;
        to_other = one.receive(to_one, start).reply;
        to_one = from_other;
    }
    CHECK(rounds < 10);
}

TEST_CASE("rfc2217: a long subnegotiation is dropped, one without end gives the connection up") {
    const Bytes long_one = com_port_command(108, Bytes(63, 'x'));
    auto line = line_that_is_up();
    CHECK(line.receive(long_one + Bytes{9}, start).payload == Bytes{9});
    CHECK(line.outgoing(Bytes{1}, start) == Bytes{1});
    line.receive(Bytes{iac, sb, com_port} + Bytes(1023, 'x'), start);
    CHECK(line.state() == State::up);
    line.receive(Bytes{'x'}, start);
    CHECK(contains(line.problem(), "without an end"));
}

TEST_CASE("rfc2217: a command inside a subnegotiation ends it unheard") {
    auto line = line_that_is_up();
    const auto heard = line.receive(
        Bytes{iac, sb, com_port, 101, 0, 0, iac, please_do, 24, 7, iac, sb, com_port, 101, iac, sb, 24, 1, iac, se, 8},
        start);
    CHECK(heard.reply == option(wont, 24));
    CHECK(heard.payload == Bytes{7, 8});
    CHECK(line.state() == State::up);
}

TEST_CASE("rfc2217: whatever bytes come, replies stay few, cuts do not matter and data returns as it went") {
    const char* chosen = std::getenv("TWC_BUS_SEED");  // NOLINT(concurrency-mt-unsafe)
    const auto seed =
        chosen != nullptr ? static_cast<unsigned>(std::atol(chosen)) : std::random_device{}();  // NOLINT(cert-err34-c)
    CAPTURE(seed);
    std::mt19937 random(seed);
    const auto below = [&](unsigned bound) { return static_cast<unsigned>(random() % bound); };
    // Bytes that mean something are drawn as often as all others.
    const Bytes meaning{iac, iac, iac,      sb,       se,  will, wont, please_do, please_dont, binary,
                        3,   1,   com_port, com_port, 101, 108,  109,  0x25,      0x80,        0};
    for (int round = 0; round < 2000; ++round) {
        Bytes stream = below(2) == 0 ? agreed : Bytes{};
        for (unsigned i = below(300); i > 0; --i) {
            stream.push_back(below(2) == 0 ? meaning[below(static_cast<unsigned>(meaning.size()))]
                                           : static_cast<std::uint8_t>(below(256)));
        }
        Rfc2217 whole(start);
        const auto heard = whole.receive(stream, start);
        REQUIRE(heard.payload.size() <= stream.size());
        REQUIRE(heard.reply.size() <= stream.size() + settings.size());

        Rfc2217 cut(start);
        Rfc2217::Heard same;
        for (std::size_t at = 0; at < stream.size();) {
            const auto size = std::min<std::size_t>(1 + below(5), stream.size() - at);
            const auto part = cut.receive(std::span(stream).subspan(at, size), start);
            same = {.payload = same.payload + part.payload, .reply = same.reply + part.reply};
            at += size;
        }
        REQUIRE(cut.state() == whole.state());
        REQUIRE(cut.problem() == whole.problem());
        if (whole.state() != State::failed) {  // then what came with the failure is not heard
            REQUIRE(same.payload == heard.payload);
            REQUIRE(same.reply == heard.reply);
        }
        auto line = line_that_is_up();
        REQUIRE(line.receive(line.outgoing(stream, start), start).payload == stream);
    }
}
