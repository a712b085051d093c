#include "twc-bus/fleet.hpp"

#include <doctest/doctest.h>

#include "rig.hpp"

using namespace std::chrono_literals;
using namespace twc_bus;
using rig::Rig;
using rig::settings;
using scheduling::Instant;
using slave_model::Slave;

namespace {

/// Two lines, a unit on each, no faults.
struct TwoLines {
    explicit TwoLines(int wiring_a) : fleet({.wiring_ca = wiring_a * 100, .charger_max_ca = 3200}, {{}, {}}, now) {
        fleet.on_link(0, true, now);
        fleet.on_link(1, true, now);
    }

    void run_for(scheduling::Duration duration) {
        for (const Instant end = now + duration; now < end;) {
            now += 20ms;
            for (std::size_t line = 0; line < 2; ++line) {
                hear(line);
            }
            fleet.set_wishes(wishes);
            for (std::size_t line = 0; line < 2; ++line) {
                for (auto step = fleet.next(line, now); step.body; step = fleet.next(line, now)) {
                    transmit(line, *step.body);
                }
            }
            most_ca = std::max(most_ca, slaves[0].may_draw_ca() + slaves[1].may_draw_ca());
            for (auto& notice : fleet.take_notices()) {
                notices.push_back(notice);
            }
        }
    }

    Instant now{};
    Fleet fleet;
    std::array<Slave, 2> slaves{Slave{.id = 0x7744, .protocol = 1}, Slave{.id = 0x7745, .protocol = 1}};
    std::map<UnitId, int> wishes;
    std::array<std::multimap<Instant, Bytes>, 2> arrivals;
    std::vector<Notice> notices;
    int most_ca = 0;

private:
    void hear(std::size_t line) {
        auto& slave = slaves.at(line);
        slave.move(20ms);
        if (!slave.knows_master(now) && now - slave.announced >= 10s && !slave.deaf) {
            slave.announced = now;
            arrivals.at(line).emplace(now, slave.announcement());
        }
        auto& waiting = arrivals.at(line);
        while (!waiting.empty() && waiting.begin()->first <= now) {
            fleet.on_activity(line, now);
            fleet.on_body(line, waiting.extract(waiting.begin()).mapped(), now);
        }
    }
    void transmit(std::size_t line, const Bytes& body) {
        if (const auto reply = slaves.at(line).answer(body, now)) {
            arrivals.at(line).emplace(now + 60ms, *reply);
        }
    }
};

}  // namespace

TEST_CASE("fleet: two lines share one wiring limit, at every instant") {
    TwoLines two(32);
    two.slaves[0].plug_in();
    two.wishes = {{0x7744, 3200}, {0x7745, 0}};
    two.run_for(30s);
    CHECK(two.slaves[0].limit_ca == 3200);
    two.slaves[1].plug_in();
    two.wishes[0x7745] = 3200;
    two.run_for(60s);
    CHECK(two.slaves[0].limit_ca == 1600);
    CHECK(two.slaves[1].limit_ca == 1600);
    CHECK(two.most_ca <= 3200);
    CHECK(two.fleet.granted_sum_ca() <= 3200);
    CHECK(two.fleet.line_of(0x7745) == 1U);
}

TEST_CASE("fleet: a line that is lost stops no heartbeat on another, and what its charger holds is not given away") {
    TwoLines two(32);
    two.slaves[0].plug_in();
    two.slaves[1].plug_in();
    two.wishes = {{0x7744, 3200}, {0x7745, 3200}};
    two.run_for(60s);
    two.fleet.on_link(0, false, two.now);
    two.slaves[0].deaf = true;
    two.run_for(20s);
    CHECK(two.slaves[1].limit_ca == 1600);
    CHECK(two.slaves[1].knows_master(two.now));
    CHECK(two.most_ca <= 3200);
    two.fleet.on_link(0, true, two.now);
    two.slaves[0].deaf = false;
    two.run_for(20s);
    CHECK(two.slaves[0].knows_master(two.now));
}

TEST_CASE("fleet: an ID is used on one line only, and said once") {
    TwoLines two(32);
    two.slaves[1].id = 0x7744;
    two.wishes = {{0x7744, 1600}};
    two.run_for(60s);
    CHECK_FALSE(two.slaves[1].heard);
    CHECK(two.slaves[0].heard);
    REQUIRE(std::ranges::count(two.notices, NoticeKind::id_shared, &Notice::kind) == 1);
    CHECK(two.fleet.chargers().size() == 1);
}

TEST_CASE("fleet: another master on one line holds all of them") {
    TwoLines two(32);
    two.slaves[1].plug_in();
    two.wishes = {{0x7744, 0}, {0x7745, 1600}};
    two.run_for(20s);
    const auto foreign = encode_message(MasterLinkReady{.stage = 1, .master = 0x4242, .sign = 9});
    two.fleet.on_body(0, foreign, two.now);
    two.run_for(1s);
    two.fleet.on_body(0, foreign, two.now);
    CHECK(two.fleet.hears_other_master());
    two.wishes = {{0x7744, 0}, {0x7745, 3200}};
    two.run_for(20s);
    CHECK(two.slaves[1].limit_ca == 1600);
    two.run_for(60s);
    CHECK(two.slaves[1].limit_ca == 3200);
}

TEST_CASE("bus master: after the current ended, a unit is offered nothing until its contactor has rested") {
    auto with_rest = settings();
    with_rest.restart_pause = 60s;
    Rig rig(with_rest);
    auto& slave = rig.add({.id = 0x7744, .protocol = 1});
    slave.plug_in();
    rig.wishes[0x7744] = 1600;
    rig.run_for(30s);
    CHECK(slave.drawn_ca == 1600);
    rig.wishes[0x7744] = 0;
    rig.run_for(10s);
    CHECK(slave.drawn_ca == 0);
    rig.wishes[0x7744] = 1600;
    rig.run_for(45s);
    CHECK(slave.limit_ca == 0);
    CHECK(rig.charger(0x7744).grant.reason.find("rests") != std::string::npos);
    rig.run_for(20s);
    CHECK(slave.limit_ca == 1600);
}

TEST_CASE("bus master: a spike is given within the limits and taken from nobody") {
    auto spiky = settings(32);
    spiky.treatments[0x7744].spike = {.on_raise = true};
    Rig rig(spiky);
    auto& slave = rig.add({.id = 0x7744});
    auto& other = rig.add({.id = 0x7745});
    slave.plug_in();
    other.plug_in();
    const auto most_told = [&] {
        int most = 0;
        for (const auto& [at, body] : slave.heartbeats) {
            most = std::max(most, body[7] << 8 | body[8]);
        }
        slave.heartbeats.clear();
        return most;
    };
    rig.wishes = {{0x7744, 800}, {0x7745, 800}};
    rig.run_for(90s);
    most_told();
    rig.wishes[0x7744] = 1000;
    rig.run_for(20s);
    CHECK(most_told() == 1600);
    CHECK(slave.limit_ca == 1000);
    CHECK(other.limit_ca == 800);

    rig.wishes[0x7745] = 2000;  // leaves 12 A: no spike
    rig.run_for(90s);
    most_told();
    rig.wishes[0x7744] = 1200;
    rig.run_for(30s);
    CHECK(most_told() == 1200);
    CHECK(other.limit_ca == 2000);
    CHECK(rig.may_draw_ca() <= 3200);
}

TEST_CASE("bus master: a car that goes on at 0 A is stopped by its contactor, and started again") {
    auto by_contactor = settings();
    by_contactor.treatments[0x7744].stop = StopMeans::contactor;
    Rig rig(by_contactor);
    auto& slave = rig.add({.id = 0x7744, .ends_at_zero = false});
    slave.plug_in();
    rig.wishes[0x7744] = 1600;
    rig.run_for(90s);
    rig.wishes[0x7744] = 0;
    rig.run_for(20s);
    CHECK(slave.drawn_ca == 600);
    rig.run_for(30s);
    CHECK(slave.relay_open);
    CHECK(slave.drawn_ca == 0);
    rig.wishes[0x7744] = 1600;
    rig.run_for(30s);
    CHECK_FALSE(slave.relay_open);
    CHECK(slave.drawn_ca == 1600);
    CHECK(rig.heard(NoticeKind::contactor) == 2);
}

TEST_CASE(
    "bus master: a car that goes on at 0 A is stopped by silence; others keep their heartbeats and get its share") {
    auto by_silence = settings(16);
    by_silence.treatments[0x7744].stop = StopMeans::silence;
    Rig rig(by_silence);
    auto& slave = rig.add({.id = 0x7744, .ends_at_zero = false});
    auto& other = rig.add({.id = 0x7745});
    slave.plug_in();
    other.plug_in();
    rig.wishes = {{0x7744, 1600}, {0x7745, 1600}};
    rig.run_for(90s);
    rig.wishes[0x7744] = 0;
    rig.run_for(100s);
    CHECK(rig.heard(NoticeKind::silenced) == 1);
    CHECK(rig.charger(0x7744).silenced);
    CHECK(rig.charger(0x7744).off);
    CHECK(slave.contactor_open(rig.now));
    CHECK(other.limit_ca == 1600);
    CHECK(rig.heard(NoticeKind::lost) == 0);

    rig.wishes[0x7744] = 800;
    rig.wishes[0x7745] = 800;
    for (int i = 0; i < 60; ++i) {
        rig.run_for(1s);
        REQUIRE(rig.may_draw_ca() <= 1600);
    }
    CHECK_FALSE(rig.charger(0x7744).silenced);
    CHECK(slave.limit_ca == 800);
    CHECK(slave.drawn_ca == 800);
}

TEST_CASE("bus master: a unit that was silenced before a restart stays so until it may charge") {
    Rig rig(settings(), {{.id = 0x7744, .protocol = 2, .granted_ca = 0, .silenced = true}});
    auto& slave = rig.add({.id = 0x7744, .ends_at_zero = false});
    slave.plug_in();
    rig.wishes[0x7744] = 0;
    rig.run_for(60s);
    CHECK(slave.heartbeats.empty());
    rig.wishes[0x7744] = 1000;
    rig.run_for(20s);
    CHECK(slave.limit_ca == 1000);
}

TEST_CASE("bus master: a restart right after a unit fell silent does not give away what it may still hold") {
    Rig before(settings(32));
    auto& mute = before.add({.id = 0x7744});
    mute.plug_in();
    before.wishes[0x7744] = 2000;
    before.run_for(30s);
    mute.mute = true;
    before.run_for(28s);
    REQUIRE(before.heard(NoticeKind::lost) == 1);
    CHECK_FALSE(mute.contactor_open(before.now));

    // As the state file has it.
    Rig after(settings(32), {{.id = 0x7744, .protocol = 2, .granted_ca = before.charger(0x7744).grant.ca}});
    auto& other = after.add({.id = 0x7745});
    other.plug_in();
    after.wishes[0x7745] = 3200;
    after.run_for(20s);
    CHECK(other.limit_ca == zero_echo_ca);
    after.run_for(40s);
    CHECK(other.limit_ca == 3200);
}

TEST_CASE("bus master: a unit found waiting for a new limit is told one only out of what the others leave") {
    Rig rig(settings(25));
    auto& charging = rig.add({.id = 0x7744});
    charging.plug_in();
    rig.wishes = {{0x7744, 2500}, {0x7745, 2500}};
    rig.run_for(40s);
    CHECK(charging.drawn_ca == 2500);
    // It was on a bus before, and echoes the limit of that time.
    auto& found = rig.add({.id = 0x7745, .plugged = true, .limit_ca = 1900, .state = 0x08, .tripped = true});
    for (int i = 0; i < 1000; ++i) {
        rig.step();
        REQUIRE(rig.may_draw_ca() <= 2500);
    }
    CHECK(found.limit_ca == 1200);
}

TEST_CASE(
    "bus master: a protocol 2 unit that waits for a limit is not told 0 before there is room for the 6 A it then "
    "takes") {
    Rig rig(settings(25));
    auto& charging = rig.add({.id = 0x7744});
    charging.plug_in();
    rig.wishes = {{0x7744, 2500}, {0x7745, 0}};
    rig.run_for(40s);
    auto& found = rig.add(
        {.id = 0x7745, .plugged = true, .limit_ca = 600, .state = 0x08, .tripped = true, .ends_at_zero = false});
    for (int i = 0; i < 1000; ++i) {
        rig.step();
        REQUIRE(rig.may_draw_ca() <= 2500);
    }
    CHECK(charging.limit_ca == 1900);
    CHECK_FALSE(found.tripped);
}
