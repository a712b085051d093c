#include "twc-bus/protocol.hpp"

#include <doctest/doctest.h>

#include "vectors.hpp"

using namespace twc_bus;

TEST_CASE("protocol: every vector of the tables decodes to a message that encodes to the same body") {
    for (const auto& row : vectors::rows("ABD")) {
        CAPTURE(row.id);
        Bytes body = vectors::bytes(row.cells[0]);
        body.pop_back();
        const auto message = decode_message(body);
        REQUIRE(message);
        CHECK(encode_message(*message) == body);
    }
}

TEST_CASE("protocol: heartbeats carry command, limit, state and current") {
    CHECK(decode_message(vectors::body("A11")) ==
          Message(MasterHeartbeat{
              .master = 0x7777, .slave = 0x4085, .command = command::running_limit, .limit_ca = 3200, .protocol = 2}));
    CHECK(decode_message(vectors::body("A20")) ==
          Message(SlaveHeartbeat{
              .slave = 0x2019, .master = 0x7777, .state = 0x08, .limit_ca = 600, .drawn_ca = 528, .protocol = 2}));
    CHECK(decode_message(vectors::body("A25")) ==
          Message(SlaveHeartbeat{
              .slave = 0x022D, .master = 0x7777, .state = 0x01, .limit_ca = 800, .drawn_ca = 731, .protocol = 1}));
    CHECK(std::get<MasterHeartbeat>(*decode_message(vectors::body("B11"))).master_plugged);
}

TEST_CASE("protocol: the length of a slave's announcement tells its protocol") {
    CHECK(decode_message(vectors::body("A07")) ==
          Message(SlaveLinkReady{.slave = 0x1839, .sign = 0x52, .rating_ca = 3200, .protocol = 2}));
    CHECK(decode_message(vectors::body("B18")) ==
          Message(SlaveLinkReady{.slave = 0x01B6, .sign = 0xA7, .rating_ca = 3200, .protocol = 1}));
}

TEST_CASE("protocol: power reports of both lengths") {
    const auto early = std::get<PowerReport>(*decode_message(vectors::body("B03")));
    CHECK(early.lifetime_kwh == 56);
    CHECK(early.volts == std::array<std::uint16_t, 3>{230, 241, 232});
    CHECK(!early.half_amps);
    const auto late = std::get<PowerReport>(*decode_message(vectors::body("D19")));
    CHECK(late.lifetime_kwh == 4242);
    CHECK(late.volts == std::array<std::uint16_t, 3>{230, 231, 232});
    CHECK(late.half_amps == std::array<std::uint8_t, 3>{32, 32, 31});
}

TEST_CASE("protocol: firmware, serial number and VIN") {
    CHECK(std::get<FirmwareReport>(*decode_message(vectors::body("D13"))).version ==
          std::array<std::uint8_t, 4>{4, 5, 3, 0});
    CHECK(std::get<SerialReport>(*decode_message(vectors::body("D15"))).serial == "A18F0002433");
    std::string vin;
    int part = 1;
    for (const auto* id : {"D16", "D17", "D18"}) {
        const auto report = std::get<VinReport>(*decode_message(vectors::body(id)));
        CHECK(report.part == part++);
        vin += report.text;
    }
    CHECK(vin == "5YJSA1E2XHF000316");
    CHECK(has_valid_check_digit(vin));
    CHECK(std::get<VinReport>(*decode_message(vectors::body("B30"))).text.empty());
}

TEST_CASE("protocol: start and stop acknowledgements and the plug state are understood") {
    CHECK(decode_message(vectors::body("A31")) == Message(ContactorReport{.close = true, .slave = 0x5850}));
    CHECK(decode_message(vectors::body("A32")) == Message(ContactorReport{.close = false, .slave = 0x5850}));
    CHECK(decode_message(vectors::body("D20")) == Message(PlugReport{.slave = 0x2433, .plug = 3}));
    CHECK(decode_message(vectors::body("A06")) == Message(Idle{}));
}

TEST_CASE("protocol: a flipped type byte, which the checksum does not see, gives no answer of a slave to us") {
    // E09: a master's heartbeat with its FB turned into FD reads as an answer to the unit, not to the master.
    const auto flipped = vectors::bytes("FD E0 77 77 24 33 00 00 00 00 00 00 00 00 00");
    const auto heartbeat = std::get<SlaveHeartbeat>(*decode_message(flipped));
    CHECK(heartbeat.slave == 0x7777);
    CHECK(heartbeat.master == 0x2433);
}

TEST_CASE("protocol: type, command and length must fit together") {
    CHECK_FALSE(decode_message(Bytes{}));
    CHECK_FALSE(decode_message(Bytes(11, 0xFD)));
    auto body = vectors::body("D13");
    body[0] = 0xFC;
    CHECK_FALSE(decode_message(body));
    body[0] = 0x00;
    CHECK_FALSE(decode_message(body));
    auto heartbeat = vectors::body("A21");
    heartbeat.resize(19);
    CHECK_FALSE(decode_message(heartbeat));
    auto vin = vectors::body("D16");
    vin.resize(15);
    CHECK_FALSE(decode_message(vin));
    auto announcement = vectors::body("A07");
    announcement.push_back(0);
    CHECK_FALSE(decode_message(announcement));
}

TEST_CASE("protocol: the check digit of a VIN") {
    CHECK(has_valid_check_digit("1M8GDM9AXKP042788"));
    CHECK_FALSE(has_valid_check_digit("1M8GDM9A1KP042788"));
    CHECK_FALSE(is_vin("5YJSA1E2XHF00031"));
    CHECK_FALSE(is_vin("5YJSA1E2XHF00O316"));
    CHECK(is_vin("LRW3E7FA1MC000000"));
}

TEST_CASE("protocol: ids are four lower-case hexadecimal digits") {
    CHECK(to_text(0x0A4F) == "0a4f");
    CHECK(unit_id_from_text("0a4f") == 0x0A4F);
    CHECK(unit_id_from_text("0A4F") == 0x0A4F);
    CHECK_FALSE(unit_id_from_text("a4f"));
    CHECK_FALSE(unit_id_from_text("0x4f"));
    CHECK_FALSE(unit_id_from_text("0a4f0"));
}
