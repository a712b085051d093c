#include "twc-bus/bus_master.hpp"

#include <doctest/doctest.h>

#include "rig.hpp"
#include "vectors.hpp"

using namespace std::chrono_literals;
using namespace twc_bus;
using rig::Rig;

namespace {

/// Longest time between two heartbeats that the slave heard.
scheduling::Duration longest_gap(const slave_model::Slave& slave, scheduling::Instant from) {
    scheduling::Duration longest{};
    for (std::size_t i = 1; i < slave.heartbeats.size(); ++i) {
        if (slave.heartbeats[i - 1].first >= from) {
            longest = std::max(longest, slave.heartbeats[i].first - slave.heartbeats[i - 1].first);
        }
    }
    return longest;
}

int count_sent(const Rig& rig, std::uint8_t type, std::uint8_t command) {
    return static_cast<int>(std::count_if(rig.sent.begin(), rig.sent.end(), [&](const auto& frame) {
        return frame.second[0] == type && frame.second[1] == command;
    }));
}

constexpr const char* some_vin = "5YJSA1E2XHF000316";

}  // namespace

TEST_CASE("bus master: says it is there, five times each way, and repeats while nobody answers") {
    Rig rig(rig::settings());
    rig.run_for(3s);
    CHECK(count_sent(rig, 0xFC, 0xE1) == 5);
    CHECK(count_sent(rig, 0xFB, 0xE2) == 5);
    CHECK(rig.sent[4].second[1] == 0xE1);
    CHECK(rig.sent[5].second[1] == 0xE2);
    rig.run_for(20s);
    CHECK(count_sent(rig, 0xFC, 0xE1) >= 6);
    CHECK(count_sent(rig, 0xFC, 0xE1) <= 8);
}

TEST_CASE("bus master: asks a new unit what it works to before it tells it anything") {
    for (const int protocol : {1, 2}) {
        CAPTURE(protocol);
        Rig rig(rig::settings());
        auto& slave = rig.add({.protocol = protocol});
        slave.plug_in();
        rig.wishes[0x7744] = 1600;
        rig.run_for(15s);

        REQUIRE(slave.heartbeats.size() > 2);
        CHECK(slave.heartbeats[0].second[6] == command::no_change);
        CHECK(slave.limit_ca == 1600);
        CHECK(rig.charger(0x7744).protocol == protocol);
        const auto& told = slave.heartbeats[1].second;
        CHECK(told[6] == (protocol == 1 ? command::initial_limit : command::running_limit));
        CHECK(told.size() == (protocol == 1 ? 13 : 15));
        CHECK(slave.heartbeats.back().second[6] == command::no_change);
    }
}

TEST_CASE("bus master: three units get a heartbeat a second each, whatever is asked besides") {
    Rig rig(rig::settings(96));
    for (std::uint16_t id = 0x7744; id < 0x7747; ++id) {
        rig.add({.id = id, .vin = some_vin, .answer_delay = 150ms}).plug_in();
        rig.wishes[id] = 1000;
    }
    rig.run_for(300s);

    for (const auto& slave : rig.slaves) {
        CHECK(longest_gap(*slave, scheduling::Instant{20s}) <= 1400ms);
        CHECK(rig.charger(slave->id).inquiry.vin() == some_vin);
        CHECK(rig.charger(slave->id).inquiry.firmware() == "4.5.3");
        CHECK(rig.charger(slave->id).inquiry.serial() == "A18F0002433");
        CHECK(rig.charger(slave->id).inquiry.lifetime_kwh() == 100);
    }
    CHECK(rig.master.statistics().queries > 100);
}

TEST_CASE("bus master: a unit keeps its place in the second, however long the answers of others take") {
    Rig rig(rig::settings(96));
    for (std::uint16_t id = 0x7744; id < 0x7747; ++id) {
        rig.add({.id = id, .vin = some_vin}).plug_in();
        rig.wishes[id] = 1000;
    }
    for (int i = 0; i < 600; ++i) {
        for (auto& slave : rig.slaves) {
            slave->answer_delay = std::chrono::milliseconds(rig.between(10, 150));
        }
        rig.run_for(500ms);
    }
    for (const auto& slave : rig.slaves) {
        CHECK(longest_gap(*slave, scheduling::Instant{20s}) <= 1040ms);  // the rig's steps are 20 ms
    }
}

TEST_CASE("bus master: a car without VIN is asked six times, a minute apart, and never starves a heartbeat") {
    Rig rig(rig::settings());
    auto& slave = rig.add({});
    slave.plug_in();
    rig.wishes[0x7744] = 1000;
    rig.run_for(900s);

    CHECK(count_sent(rig, 0xFB, 0xEE) == 6);
    CHECK(count_sent(rig, 0xFB, 0xF1) == 6);
    CHECK(longest_gap(slave, scheduling::Instant{15s}) <= 1300ms);
}

TEST_CASE("bus master: a unit that is mute to every question still gets its heartbeats") {
    Rig rig(rig::settings());
    auto& slave = rig.add({});
    slave.plug_in();
    rig.wishes[0x7744] = 1000;
    rig.faults.lost_from_slave = 0.5;
    rig.run_for(600s);

    CHECK(longest_gap(slave, scheduling::Instant{30s}) <= 1500ms);
    CHECK(slave.limit_ca == 1000);
}

TEST_CASE("bus master: a limit is repeated until it is echoed") {
    Rig rig(rig::settings());
    auto& slave = rig.add({});
    slave.plug_in();
    rig.run_for(15s);
    rig.faults.lost_to_slave = 0.8;
    rig.wishes[0x7744] = 2000;
    rig.run_for(25s);

    CHECK(slave.limit_ca == 2000);
}

TEST_CASE("bus master: a unit that ignores 09 before it charges is told by 05") {
    Rig rig(rig::settings());
    auto& slave = rig.add({});
    slave.plug_in();
    slave.obeys = false;
    rig.wishes[0x7744] = 1600;
    rig.run_for(30s);

    int by_05 = 0;
    int by_09 = 0;
    for (const auto& [at, body] : slave.heartbeats) {
        by_05 += body[6] == command::initial_limit ? 1 : 0;
        by_09 += body[6] == command::running_limit ? 1 : 0;
    }
    CHECK(by_05 > 3);
    CHECK(by_09 > 3);
}

TEST_CASE("bus master: a unit in state 08 without limit is answered with 08") {
    Rig rig(rig::settings());
    auto& slave = rig.add({});
    slave.plug_in();
    slave.obeys = false;
    slave.state = 0x08;
    rig.wishes[0x7744] = 1600;
    rig.run_for(15s);

    CHECK(slave.heartbeats.back().second[6] == command::resume_limit);
}

TEST_CASE("bus master: a protocol 1 unit at 0 is told 0 in every heartbeat") {
    Rig rig(rig::settings());
    auto& slave = rig.add({.protocol = 1});
    slave.plug_in();
    rig.wishes[0x7744] = 1600;
    rig.run_for(20s);
    rig.wishes[0x7744] = 0;
    rig.talk();
    rig.run_for(2s);
    const auto from = slave.heartbeats.size();
    rig.run_for(30s);

    CHECK(slave.limit_ca == 0);
    REQUIRE(slave.heartbeats.size() > from + 25);
    for (std::size_t i = from; i < slave.heartbeats.size(); ++i) {
        CHECK(slave.heartbeats[i].second[6] == command::initial_limit);
    }
}

TEST_CASE("bus master: after a restart known units are heartbeated at once, before anything else") {
    Rig rig(rig::settings(), {{.id = 0x7744, .protocol = 2, .granted_ca = 1600}});
    auto& slave = rig.add({});
    slave.plug_in();
    slave.limit_ca = 1600;
    slave.drawn_ca = 1600;
    slave.state = 0x01;
    slave.heard = rig.now;
    rig.run_for(500ms);

    REQUIRE(!slave.heartbeats.empty());
    CHECK(rig.sent.front().second[1] == 0xE0);
    CHECK(slave.heartbeats[0].second[6] == command::no_change);
    CHECK(rig.charger(0x7744).grant.ca == 1600);
    CHECK(slave.limit_ca == 1600);
}

TEST_CASE("bus master: without a remembered unit nothing is raised while it listens") {
    auto settings = rig::settings();
    settings.listen = 30s;
    Rig rig(settings);
    auto& slave = rig.add({.protocol = 1});
    slave.plug_in();
    rig.wishes[0x7744] = 1600;
    rig.run_for(29s);
    CHECK(slave.limit_ca == 0);
    rig.run_for(5s);
    CHECK(slave.limit_ca == 1600);
}

TEST_CASE("bus master: a unit that stops answering loses its heartbeats, then its claim, and comes back") {
    Rig rig(rig::settings());
    auto& first = rig.add({.id = 0x7744});
    auto& second = rig.add({.id = 0x7745});
    first.plug_in();
    second.plug_in();
    rig.wishes = {{0x7744, 2000}, {0x7745, 1200}};
    rig.run_for(30s);
    REQUIRE(first.limit_ca == 2000);

    first.mute = true;  // still hears us
    rig.wishes = {{0x7744, 2000}, {0x7745, 3200}};
    rig.run_for(50s);
    CHECK(rig.heard(NoticeKind::lost) == 1);
    CHECK(second.limit_ca == 1200);
    rig.run_for(20s);
    CHECK(second.limit_ca == 3200);
    CHECK(first.contactor_open(rig.now));

    first.mute = false;
    rig.run_for(30s);
    CHECK(rig.heard(NoticeKind::linked) == 3);
    CHECK(first.limit_ca == 1600);
    CHECK(second.limit_ca == 1600);
}

TEST_CASE("bus master: another master is noticed, nothing is raised beside it, and heartbeats go on") {
    Rig rig(rig::settings());
    auto& slave = rig.add({});
    slave.plug_in();
    rig.wishes[0x7744] = 1000;
    rig.run_for(20s);
    REQUIRE(slave.limit_ca == 1000);

    const auto foreign = encode_message(MasterLinkReady{.stage = 1, .master = 0x4242, .sign = 9});
    rig.hear(foreign);
    rig.run_for(2s);
    CHECK_FALSE(rig.master.hears_other_master());  // once is no evidence
    rig.hear(foreign);
    rig.run_for(1s);
    CHECK(rig.master.hears_other_master());
    rig.wishes[0x7744] = 2000;
    const auto heard = slave.heartbeats.size();
    rig.run_for(30s);
    CHECK(slave.limit_ca == 1000);
    CHECK(slave.heartbeats.size() >= heard + 28);
    rig.wishes[0x7744] = 700;
    rig.run_for(3s);
    CHECK(slave.limit_ca == 700);

    rig.wishes[0x7744] = 2000;
    rig.run_for(40s);
    CHECK_FALSE(rig.master.hears_other_master());
    CHECK(rig.heard(NoticeKind::foreign_master_gone) == 1);
    CHECK(slave.limit_ca == 2000);
}

TEST_CASE("bus master: an adapter that returns our own frames is no other master, a second controller with our ID is") {
    Rig rig(rig::settings());
    rig.add({}).plug_in();
    rig.wishes[0x7744] = 1000;
    for (int i = 0; i < 1000; ++i) {
        const auto before = rig.sent.size();
        rig.step();
        for (auto at = before; at < rig.sent.size(); ++at) {
            rig.hear(rig.sent[at].second);
        }
    }
    CHECK_FALSE(rig.master.hears_other_master());
    CHECK(rig.master.statistics().own_echoes > 10);

    for (int i = 0; i < 3; ++i) {
        rig.hear(encode_message(
            MasterHeartbeat{.master = 0x7777, .slave = 0x7744, .command = command::running_limit, .limit_ca = 2345}));
        rig.run_for(1s);
    }
    CHECK(rig.master.hears_other_master());
}

TEST_CASE("bus master: a slave with the master's ID is asked to take another one and gets no heartbeat") {
    Rig rig(rig::settings());
    rig.add({.id = 0x7777});
    rig.run_for(15s);
    CHECK(rig.heard(NoticeKind::id_conflict) == 1);
    CHECK(rig.master.chargers().empty());
    CHECK(count_sent(rig, 0xFC, 0xE1) >= 10);
}

TEST_CASE("bus master: a unit that was reset in a session gets its limit again") {
    Rig rig(rig::settings());
    auto& slave = rig.add({});
    slave.plug_in();
    rig.wishes[0x7744] = 1600;
    rig.run_for(20s);
    slave.reset(rig.now);
    rig.hear(slave.announcement());
    rig.run_for(3s);

    CHECK(slave.limit_ca == 1600);
    CHECK(rig.heard(NoticeKind::reset) == 1);
}

TEST_CASE("bus master: a fourth unit is turned away and said once") {
    Rig rig(rig::settings(64));
    for (std::uint16_t id = 0x7744; id < 0x7748; ++id) {
        rig.add({.id = id, .answer_delay = 40ms}).announced = scheduling::Instant{(id - 0x7744) * 1s};
    }
    rig.run_for(60s);
    CHECK(rig.master.chargers().size() == 3);
    CHECK(rig.heard(NoticeKind::too_many) == 1);
}

TEST_CASE("bus master: a unit that reports a limit nobody gave costs the others, once it repeats itself") {
    Rig rig(rig::settings());
    auto& first = rig.add({.id = 0x7744, .protocol = 1});
    auto& second = rig.add({.id = 0x7745, .protocol = 1});
    first.plug_in();
    second.plug_in();
    rig.wishes = {{0x7744, 1000}, {0x7745, 1000}};
    rig.run_for(30s);
    REQUIRE(second.limit_ca == 1000);

    first.limit_ca = 0xFFFF;
    first.obeys = false;
    rig.run_for(12s);
    CHECK(second.limit_ca == 0);
}

TEST_CASE("bus master: noise and frames of strangers do no harm") {
    Rig rig(rig::settings());
    auto& slave = rig.add({});
    slave.plug_in();
    rig.wishes[0x7744] = 1600;
    std::mt19937 random(7);
    for (int i = 0; i < 5000; ++i) {
        Bytes junk(12 + random() % 8);
        std::ranges::generate(junk, [&] { return static_cast<std::uint8_t>(random()); });
        rig.hear(junk);
        rig.hear(encode_message(SlaveHeartbeat{.slave = 0x1111, .master = 0x7777, .limit_ca = 3200}));
        rig.hear(encode_message(SlaveHeartbeat{.slave = 0x7744, .master = 0x0000, .limit_ca = 100}));
        rig.step();
    }
    rig.run_for(5s);
    CHECK(slave.limit_ca == 1600);
    CHECK(rig.master.chargers().size() == 1);
    CHECK(longest_gap(slave, scheduling::Instant{20s}) <= 1500ms);
}
