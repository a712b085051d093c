#include "twc-bus/bus_picture.hpp"

#include <doctest/doctest.h>

#include "vectors.hpp"

using namespace std::chrono_literals;
using namespace twc_bus;
using scheduling::Instant;

namespace {

struct Listener {
    std::optional<UnitId> hear(const Message& message) { return picture.on_message(message, now); }
    std::optional<UnitId> hear(const std::string& vector) { return hear(*decode_message(vectors::body(vector))); }
    void wait(scheduling::Duration duration) { now += duration; }
    /// A heartbeat and its answer.
    std::optional<UnitId> exchange(UnitId unit, std::uint8_t order, int told_ca, std::uint8_t state, int limit_ca,
                                   int drawn_ca) {
        hear(MasterHeartbeat{
            .master = 0x7777, .slave = unit, .command = order, .limit_ca = static_cast<std::uint16_t>(told_ca)});
        wait(60ms);
        const auto about = hear(SlaveHeartbeat{
            .slave = unit, .master = 0x7777, .state = state, .limit_ca = limit_ca, .drawn_ca = drawn_ca});
        wait(940ms);
        return about;
    }
    const HeardUnit& unit(UnitId id) const { return picture.units().at(id); }

    Instant now{};
    BusPicture picture;
};

}  // namespace

TEST_CASE("bus picture: a captured exchange shows the master, its unit, what that is told and what it answers") {
    Listener listener;
    listener.hear("A01");
    listener.hear("A02");
    CHECK(listener.picture.masters() == std::vector<UnitId>{0x7777});
    listener.hear("A18");  // 7777 -> 022C: command 05, 22 A
    CHECK(listener.hear("A19") == 0x022C);

    const auto& unit = listener.unit(0x022C);
    CHECK(unit.protocol == 1);
    CHECK(unit.told == Order{0x05, 2200});
    REQUIRE(unit.last);
    CHECK(unit.last->state == 0x02);
    CHECK(unit.last->drawn_ca == 1686);

    listener.hear("A11");  // 7777 -> 4085: command 09, 32 A
    listener.hear("A08");  // 4085 announces itself, 32 A
    CHECK(listener.unit(0x4085).told == Order{0x09, 3200});
    CHECK(listener.unit(0x4085).rating_ca == 3200);
    CHECK(listener.unit(0x4085).protocol == 2);
}

TEST_CASE("bus picture: a heartbeat without change leaves what was told before") {
    Listener listener;
    listener.exchange(0x2433, 0x09, 2000, 0x08, 2000, 134);
    listener.exchange(0x2433, 0x09, 2000, 0x08, 2000, 134);
    listener.exchange(0x2433, 0x00, 0, 0x01, 2000, 1900);

    CHECK(listener.unit(0x2433).told == Order{0x09, 2000});
    CHECK(listener.unit(0x2433).newest_command == 0x00);
    CHECK(listener.unit(0x2433).inquiry.plugged() == true);
}

TEST_CASE("bus picture: an answer nobody asked for is no unit") {
    Listener listener;
    CHECK_FALSE(listener.hear("A21"));
    CHECK(listener.picture.units().empty());

    // The first byte of a question was damaged, and it still verifies.
    listener.hear("A01");
    listener.hear("A02");
    listener.hear("A15");
    CHECK_FALSE(listener.hear(SlaveHeartbeat{.slave = 0x7777, .master = 0x2433}));
    CHECK_FALSE(listener.picture.units().contains(0x7777));
}

TEST_CASE("bus picture: one frame of a master that nobody else confirms makes neither master nor unit") {
    Listener listener;
    listener.hear("A15");
    CHECK(listener.picture.masters().empty());
    CHECK(listener.picture.units().empty());
    listener.wait(11s);
    listener.hear("A15");
    CHECK(listener.picture.masters().empty());
    listener.hear("A15");
    CHECK(listener.picture.masters().size() == 1);
    CHECK(listener.picture.units().contains(0x2433));
}

TEST_CASE("bus picture: reports are kept by sender, also those of the master about itself") {
    Listener listener;
    listener.exchange(0x2433, 0x09, 2000, 0x01, 2000, 1900);
    listener.exchange(0x2433, 0x09, 2000, 0x01, 2000, 1900);

    CHECK(listener.hear("D19") == 0x2433);
    CHECK(listener.hear("D15") == 0x2433);
    CHECK(listener.hear("D13") == 0x2433);
    CHECK(listener.hear("D16") == 0x2433);
    CHECK(listener.hear("D17") == 0x2433);
    CHECK(listener.hear("D18") == 0x2433);
    const auto& inquiry = listener.unit(0x2433).inquiry;
    CHECK(inquiry.serial() == "A18F0002433");
    CHECK(inquiry.firmware() == "4.5.3");
    CHECK(inquiry.vin() == "5YJSA1E2XHF000316");
    CHECK(inquiry.lifetime_kwh() == 4242);
    CHECK((*inquiry.volts())[1] == 231);

    CHECK(listener.hear("B02") == 0x7777);
    CHECK(listener.unit(0x7777).inquiry.lifetime_kwh() == 20);
    CHECK_FALSE(listener.hear("A33"));  // from 5850, which is not on this line
}

TEST_CASE("bus picture: the car of a master that does not ask for its VIN any more counts as gone in state 00") {
    Listener listener;
    listener.exchange(0x2433, 0x09, 2000, 0x01, 2000, 1900);
    listener.exchange(0x2433, 0x09, 2000, 0x01, 2000, 1900);
    for (const auto* vin : {"D16", "D17", "D18"}) {
        listener.hear(vin);
    }
    for (int second = 0; second < 60; ++second) {
        listener.exchange(0x2433, 0x00, 0, 0x00, 0, 0);
    }
    CHECK(listener.unit(0x2433).inquiry.plugged() == true);  // it may sleep
    for (int second = 0; second < 70; ++second) {
        listener.exchange(0x2433, 0x00, 0, 0x00, 0, 0);
    }
    CHECK(listener.unit(0x2433).inquiry.plugged() == false);
}

TEST_CASE("bus picture: who falls silent is forgotten, its answers first") {
    Listener listener;
    listener.exchange(0x2433, 0x09, 2000, 0x01, 2000, 1900);
    listener.exchange(0x2433, 0x09, 2000, 0x01, 2000, 1900);
    CHECK(BusPicture::is_present(listener.unit(0x2433), listener.now));
    listener.wait(27s);
    listener.picture.expire(listener.now);
    CHECK_FALSE(listener.unit(0x2433).last);
    CHECK_FALSE(listener.unit(0x2433).told);
    CHECK_FALSE(BusPicture::is_present(listener.unit(0x2433), listener.now));
    listener.wait(40s);
    listener.picture.expire(listener.now);
    CHECK(listener.picture.units().empty());
    CHECK(listener.picture.masters().empty());
}

TEST_CASE("bus picture: two masters are both named, and ourselves left out") {
    Listener listener;
    for (int i = 0; i < 2; ++i) {
        listener.hear("A15");
        listener.hear("A17");
    }
    CHECK(listener.picture.masters() == std::vector<UnitId>{0x32AB, 0x7777});
    listener.picture.leave_out(0x2433);
    listener.hear("A15");
    CHECK_FALSE(listener.picture.units().contains(0x2433));
}

TEST_CASE("bus picture: damage that verifies does not fill the memory") {
    Listener listener;
    for (unsigned id = 1; id < 1000; ++id) {
        listener.hear(SlaveLinkReady{.slave = static_cast<UnitId>(id)});
        listener.hear(MasterLinkReady{.master = static_cast<UnitId>(id)});
    }
    CHECK(listener.picture.units().size() == 16);
}
