#include "twc-bus/transmit_filter.hpp"

#include <map>
#include <set>

#include <doctest/doctest.h>

#include "vectors.hpp"

using namespace twc_bus;

namespace {

constexpr int max_ca = 3200;
const TransmitRules rules{.limits = {.wiring_ca = 6000, .charger_max_ca = max_ca, .own_max_ca = {{0x7745, 1600}}},
                          .contactor_commands = {0x7746}};

struct RecordingLink final : ByteLink {
    void open(Handlers /*handlers*/) override {}
    void close() override {}
    void write(Bytes bytes) override { written.push_back(std::move(bytes)); }
    std::vector<Bytes> written;
};

Bytes body_of(std::uint8_t type, std::uint8_t command, std::size_t length) {
    Bytes body(length, 0);
    body[0] = type;
    body[1] = command;
    return body;
}

Bytes heartbeat(std::uint8_t command, int limit_ca, std::size_t length = 15) {
    Bytes body = body_of(0xFB, 0xE0, length);
    body[6] = command;
    body[7] = static_cast<std::uint8_t>(limit_ca >> 8);
    body[8] = static_cast<std::uint8_t>(limit_ca & 0xFF);
    return body;
}

}  // namespace

TEST_CASE("transmit filter: frames that destroy a unit cannot be sent") {
    RecordingLink link;
    Transmitter transmitter(link, rules);
    CHECK_FALSE(transmitter.send(body_of(0xFC, 0x19, 15)));
    CHECK_FALSE(transmitter.send(body_of(0xFC, 0x19, 13)));
    CHECK_FALSE(transmitter.send(body_of(0xFC, 0x1A, 15)));
    CHECK_FALSE(transmitter.send(body_of(0xFB, 0xE8, 15)));
    CHECK(link.written.empty());
    CHECK(transmitter.refused() == 4);
}

TEST_CASE("transmit filter: of all types and commands only the list passes") {
    const std::set<int> allowed{0xFCE1, 0xFBE2, 0xFBE0, 0xFBEB, 0xFBEC, 0xFBED, 0xFBEE, 0xFBEF, 0xFBF1};
    RecordingLink link;
    Transmitter transmitter(link, rules);
    std::set<int> passed;
    for (int word = 0; word <= 0xFFFF; ++word) {
        const auto body = body_of(static_cast<std::uint8_t>(word >> 8), static_cast<std::uint8_t>(word & 0xFF), 15);
        if (transmitter.send(body)) {
            passed.insert(word);
        }
    }
    CHECK(passed == allowed);
    CHECK(link.written.size() == allowed.size());
}

TEST_CASE("transmit filter: of all heartbeat commands only 00, 05, 08 and 09 pass") {
    std::set<int> passed;
    for (int command = 0; command <= 0xFF; ++command) {
        if (!refusal_to_send(heartbeat(static_cast<std::uint8_t>(command), 0), rules)) {
            passed.insert(command);
        }
    }
    CHECK(passed == std::set<int>{0x00, 0x05, 0x08, 0x09});
}

TEST_CASE("transmit filter: no limit above the configured one passes") {
    for (const auto command : {std::uint8_t{0x05}, std::uint8_t{0x08}, std::uint8_t{0x09}}) {
        for (int limit_ca = 0; limit_ca <= 0xFFFF; ++limit_ca) {
            const bool passes = !refusal_to_send(heartbeat(command, limit_ca), rules);
            REQUIRE(passes == (limit_ca <= max_ca));
        }
    }
    CHECK(refusal_to_send(heartbeat(0x00, 1), rules));
    CHECK(refusal_to_send(vectors::body("B14"), rules));
    CHECK(refusal_to_send(vectors::body("B09"), rules));
}

TEST_CASE("transmit filter: bodies of any other length than 13 and 15 do not pass") {
    for (std::size_t length = 2; length <= 40; ++length) {
        const bool passes = !refusal_to_send(body_of(0xFC, 0xE1, length), rules);
        CHECK(passes == (length == 13 || length == 15));
    }
    CHECK(refusal_to_send(Bytes{}, rules));
}

TEST_CASE("transmit filter: what passes is written as a frame") {
    RecordingLink link;
    Transmitter transmitter(link, rules);
    CHECK(transmitter.send(vectors::body("A11")));
    REQUIRE(link.written.size() == 1);
    CHECK(link.written.front() == vectors::bytes("C0 FB E0 77 77 40 85 09 0C 80 00 00 00 00 00 00 28 C0"));
    CHECK(transmitter.sent() == 1);
}

TEST_CASE("transmit filter: a charger with a lower maximum of its own is held to it") {
    Bytes body = heartbeat(0x09, 1700);
    CHECK_FALSE(refusal_to_send(body, rules));
    body[4] = 0x77;
    body[5] = 0x45;
    CHECK(refusal_to_send(body, rules));
    body[7] = 0x06;  // 16.00 A
    body[8] = 0x40;
    CHECK_FALSE(refusal_to_send(body, rules));
}

TEST_CASE("transmit filter: contactor commands pass to chargers named for them only") {
    for (const std::uint8_t command : {std::uint8_t{0xB1}, std::uint8_t{0xB2}}) {
        Bytes body = body_of(0xFC, command, 15);
        CHECK(refusal_to_send(body, rules));
        body[4] = 0x77;
        body[5] = 0x46;
        CHECK_FALSE(refusal_to_send(body, rules));
        body.resize(14);
        CHECK(refusal_to_send(body, rules));
    }
}

TEST_CASE("transmit filter: as a slave only what a slave says of itself passes, in its lengths") {
    const std::map<int, std::set<std::size_t>> allowed{{0xFDE2, {13, 15}}, {0xFDE0, {13, 15}}, {0xFDEB, {15, 19}},
                                                       {0xFDEC, {15}},     {0xFDED, {19}},     {0xFDEE, {19}},
                                                       {0xFDEF, {19}},     {0xFDF1, {19}}};
    RecordingLink link;
    AnswerTransmitter transmitter(link, max_ca);
    std::map<int, std::set<std::size_t>> passed;
    for (const std::size_t length : {0U, 1U, 2U, 12U, 13U, 14U, 15U, 16U, 18U, 19U, 20U, 40U}) {
        for (int word = 0; word <= 0xFFFF; ++word) {
            auto body = body_of(static_cast<std::uint8_t>(word >> 8), static_cast<std::uint8_t>(word & 0xFF),
                                std::max<std::size_t>(length, 4));
            body[2] = 0x6A;
            body[3] = 0x6B;
            body.resize(length);
            if (!refusal_to_answer(body, 0x6A6B, max_ca)) {
                passed[word].insert(length);
            }
        }
    }
    CHECK(passed == allowed);
    CHECK_FALSE(transmitter.send(body_of(0xFC, 0x19, 15), 0));
    CHECK_FALSE(transmitter.send(body_of(0xFC, 0x1A, 13), 0));
    CHECK_FALSE(transmitter.send(body_of(0xFB, 0xE8, 15), 0));
    CHECK(link.written.empty());
    CHECK(transmitter.refused() == 3);
}

TEST_CASE("transmit filter: a slave speaks for itself alone and never says it draws more than its rating") {
    RecordingLink link;
    AnswerTransmitter transmitter(link, max_ca);
    auto body = body_of(0xFD, 0xE0, 15);
    body[2] = 0x6A;
    body[3] = 0x6B;
    CHECK(transmitter.send(body, 0x6A6B));
    CHECK_FALSE(transmitter.send(body, 0x6A6A));
    body[7] = 0xFF;  // the limit is echoed whatever it is
    body[9] = 0x0C;
    body[10] = 0x80;
    CHECK(transmitter.send(body, 0x6A6B));
    body[10] = 0x81;
    CHECK_FALSE(transmitter.send(body, 0x6A6B));
    CHECK(link.written.size() == 2);
    CHECK(transmitter.sent() == 2);
}
