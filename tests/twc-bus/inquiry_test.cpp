#include "twc-bus/inquiry.hpp"

#include <doctest/doctest.h>

using namespace std::chrono_literals;
using namespace twc_bus;
using scheduling::Instant;

namespace {

struct Talk {
    Instant now{};
    Inquiry inquiry;

    void beat(std::uint8_t state, int drawn_ca = 0, int protocol = 2) {
        now += 1s;
        inquiry.on_heartbeat({.slave = 1, .master = 2, .state = state, .drawn_ca = drawn_ca, .protocol = protocol},
                             now);
    }
    void read_vin(const std::string& vin) {
        const auto part = [&](int number, std::size_t from, std::size_t length) {
            const Query query = number == 1 ? Query::vin_1 : number == 2 ? Query::vin_2 : Query::vin_3;
            inquiry.asked(query, now);
            inquiry.on_report(
                VinReport{.slave = 1, .part = number, .text = vin.empty() ? "" : vin.substr(from, length)}, now);
        };
        part(1, 0, 7);
        part(2, 7, 7);
        part(3, 14, 3);
    }
    void power(std::uint32_t kwh) {
        now += 5s;
        inquiry.on_report(PowerReport{.sender = 1, .lifetime_kwh = kwh, .volts = {230, 0, 0}}, now);
    }
};

constexpr const char* north_american = "5YJSA1E2XHF000316";
constexpr const char* european = "LRW3E7FA1MC000001";

}  // namespace

TEST_CASE("inquiry: protocol 1 units are asked nothing") {
    Talk talk;
    talk.beat(0x01, 1000, 1);
    CHECK_FALSE(talk.inquiry.due(talk.now + 1h));
}

TEST_CASE("inquiry: nothing is known about the plug until the unit has shown it") {
    Talk talk;
    CHECK_FALSE(talk.inquiry.plugged());
    talk.beat(0x00);
    CHECK_FALSE(talk.inquiry.plugged());
    talk.beat(0x00);
    CHECK(talk.inquiry.plugged() == false);
    talk.beat(0x02);
    talk.beat(0x05);
    talk.beat(0x0F);
    CHECK(talk.inquiry.plugged() == false);
    talk.beat(0x04);
    CHECK(talk.inquiry.plugged() == true);
}

TEST_CASE("inquiry: a VIN with a valid check digit counts at once, another when it was read twice") {
    Talk talk;
    talk.beat(0x04);
    talk.read_vin(north_american);
    CHECK(talk.inquiry.vin() == std::string(north_american));

    Talk abroad;
    abroad.beat(0x04);
    REQUIRE_FALSE(has_valid_check_digit(european));
    abroad.read_vin(european);
    CHECK_FALSE(abroad.inquiry.vin());
    abroad.now += 61s;
    abroad.read_vin(european);
    CHECK(abroad.inquiry.vin() == std::string(european));
}

TEST_CASE("inquiry: damaged VIN parts are no VIN") {
    Talk talk;
    talk.beat(0x04);
    talk.read_vin("5YJSA1E2XHF0O0316");
    CHECK_FALSE(talk.inquiry.vin());
    talk.read_vin("");
    CHECK_FALSE(talk.inquiry.vin());
}

TEST_CASE("inquiry: a car whose VIN is known is unplugged after three empty answers, not when it sleeps") {
    Talk talk;
    talk.beat(0x04);
    talk.read_vin(north_american);
    talk.beat(0x00);
    talk.beat(0x00);
    REQUIRE(talk.inquiry.due(talk.now) == Query::vin_1);
    talk.inquiry.asked(Query::vin_1, talk.now);
    talk.inquiry.on_report(VinReport{.slave = 1, .part = 1, .text = "5YJSA1E"}, talk.now);
    CHECK(talk.inquiry.plugged() == true);

    for (int i = 0; i < 3; ++i) {
        CHECK(talk.inquiry.plugged() == true);
        talk.now += 61s;
        talk.inquiry.asked(Query::vin_1, talk.now);
        talk.inquiry.on_report(VinReport{.slave = 1, .part = 1, .text = ""}, talk.now);
    }
    CHECK(talk.inquiry.plugged() == false);
    CHECK_FALSE(talk.inquiry.vin());
}

TEST_CASE("inquiry: garbage in the energy counter is not believed, a counter that insists is") {
    Talk talk;
    talk.beat(0x01);
    talk.power(10'690'796);
    CHECK_FALSE(talk.inquiry.lifetime_kwh());
    talk.power(180);
    CHECK(talk.inquiry.lifetime_kwh() == 180);
    talk.power(4'194'484);
    talk.power(90'000);
    talk.power(12);
    CHECK(talk.inquiry.lifetime_kwh() == 180);
    talk.power(181);
    CHECK(talk.inquiry.lifetime_kwh() == 181);
    for (int i = 0; i < 10; ++i) {
        talk.power(5);
    }
    CHECK(talk.inquiry.lifetime_kwh() == 5);
}

TEST_CASE("inquiry: phases are those the car loads, or those that are there") {
    Talk talk;
    talk.beat(0x01);
    talk.inquiry.on_report(
        PowerReport{.sender = 1, .volts = {230, 231, 232}, .half_amps = std::array<std::uint8_t, 3>{0, 0, 0}},
        talk.now);
    CHECK(talk.inquiry.phases() == 3);
    talk.inquiry.on_report(
        PowerReport{.sender = 1, .volts = {230, 231, 232}, .half_amps = std::array<std::uint8_t, 3>{32, 0, 0}},
        talk.now);
    CHECK(talk.inquiry.phases() == 1);
}
