#include "twc-bus/claim.hpp"

#include <doctest/doctest.h>

using namespace std::chrono_literals;
using scheduling::Instant;
using twc_bus::Claim;

namespace {

constexpr std::uint8_t charging = 0x01;
constexpr std::uint8_t ready = 0x00;

/// A claim in step with its unit, a heartbeat a second.
struct Talk {
    Instant now{};
    Claim claim;

    explicit Talk(int protocol = 1) { claim.set_protocol(protocol); }
    void beat(std::optional<int> limit_ca, int echo_ca, int drawn_ca = 0, std::uint8_t state = charging) {
        lost(limit_ca);
        claim.answered(echo_ca, drawn_ca, state, now);
    }
    void lost(std::optional<int> limit_ca) {
        now += 1s;
        claim.sent(limit_ca, now);
    }
};

}  // namespace

TEST_CASE("claim: a limit counts from the moment it is sent") {
    Talk talk;
    talk.beat(std::nullopt, 600);
    CHECK(talk.claim.may_draw_ca() == 600);
    talk.lost(2000);
    CHECK(talk.claim.may_draw_ca() == 2000);
}

TEST_CASE("claim: a lowering counts once it is echoed and the current has come down in two answers") {
    Talk talk;
    talk.beat(2000, 2000, 1900);
    talk.beat(std::nullopt, 2000, 1900);
    talk.beat(std::nullopt, 2000, 1900);
    talk.beat(1000, 1000, 1900);
    CHECK(talk.claim.offered_ca() == 1000);
    CHECK(talk.claim.may_draw_ca() == 1900);
    talk.beat(std::nullopt, 1000, 900);
    CHECK(talk.claim.may_draw_ca() == 1900);
    talk.beat(std::nullopt, 1000, 900);
    CHECK(talk.claim.may_draw_ca() == 1000);
}

TEST_CASE("claim: a raise that was sent but not answered counts although the next answer shows the old limit") {
    Talk talk;
    talk.beat(1000, 1000);
    talk.beat(std::nullopt, 1000);
    talk.lost(2000);
    talk.beat(1000, 1000);  // this may be the late answer to the heartbeat before the raise
    CHECK(talk.claim.may_draw_ca() == 2000);
    talk.now += 6s;  // nothing is delayed so long
    talk.beat(std::nullopt, 1000);
    talk.beat(std::nullopt, 1000);
    CHECK(talk.claim.may_draw_ca() == 1000);
}

TEST_CASE("claim: a repeated answer proves nothing about the heartbeat it falls upon") {
    Talk talk;
    talk.beat(1000, 1000);
    talk.beat(2000, 1000);  // answers with what held before
    talk.lost(1000);
    talk.claim.answered(1000, 0, charging, talk.now);  // the same answer once more
    CHECK(talk.claim.may_draw_ca() == 2000);
}

TEST_CASE("claim: a single unexplained echo raises the claim, takes nothing from others and lowers nothing") {
    Talk talk;
    talk.beat(1000, 1000);
    talk.beat(std::nullopt, 1000);
    talk.beat(std::nullopt, 1000);
    talk.beat(std::nullopt, 3000);
    CHECK(talk.claim.may_draw_ca() == 3000);
    CHECK(talk.claim.certain_ca() == 1000);
    talk.beat(std::nullopt, 3000);
    CHECK(talk.claim.certain_ca() == 3000);
    talk.beat(std::nullopt, 400);
    CHECK(talk.claim.may_draw_ca() == 3000);
    talk.beat(std::nullopt, 400);
    CHECK(talk.claim.may_draw_ca() == 400);
}

TEST_CASE("claim: protocol 2 told 0 counts 6 A until it has stood ready without current for a while") {
    Talk talk(2);
    talk.beat(1000, 1000, 900);
    talk.beat(0, 600, 900);
    for (int i = 0; i < 5; ++i) {
        talk.beat(0, 600, 0, 0x03);
    }
    CHECK(talk.claim.may_draw_ca() == 600);
    CHECK(talk.claim.floor_ca() == 600);
    for (int i = 0; i < 12; ++i) {
        talk.beat(0, 600, 25, ready);
    }
    CHECK(talk.claim.idle());
    CHECK(talk.claim.may_draw_ca() == 0);
    talk.beat(0, 600, 25, 0x03);  // a car came
    CHECK(talk.claim.may_draw_ca() == 600);
}

TEST_CASE("claim: the error of the meter blocks raises of others but takes nothing away") {
    Talk talk;
    talk.beat(600, 600, 664);
    talk.beat(std::nullopt, 600, 664);
    CHECK(talk.claim.may_draw_ca() == 664);
    CHECK(talk.claim.certain_ca() == 600);
    talk.beat(std::nullopt, 600, 900);
    talk.beat(std::nullopt, 600, 900);
    CHECK(talk.claim.certain_ca() == 900);
}

TEST_CASE("claim: with a reserve, a protocol 2 unit counts 6 A even before it was told 0 for the first time") {
    Claim claim;
    claim.set_protocol(2);
    claim.reserve_for_idle(true);
    claim.sent(std::nullopt, Instant{});
    claim.answered(0, 0, 0x00, Instant{} + 100ms);
    CHECK(claim.may_draw_ca() == twc_bus::zero_echo_ca);
    claim.set_protocol(1);
    CHECK(claim.may_draw_ca() == 0);
}

TEST_CASE("claim: a unit that was idle and is not heard any more may have got a car") {
    Claim claim;
    claim.set_protocol(2);
    Instant now{};
    for (int i = 0; i < 15; ++i, now += 1s) {
        claim.sent(0, now);
        claim.answered(twc_bus::zero_echo_ca, 0, 0x00, now + 100ms);
    }
    CHECK(claim.idle());
    CHECK(claim.may_draw_ca() == 0);
    for (int i = 0; i < 7; ++i, now += 1s) {
        claim.sent(0, now);
    }
    CHECK_FALSE(claim.idle());
    CHECK(claim.may_draw_ca() == twc_bus::zero_echo_ca);
}
