#include <doctest/doctest.h>

#include "bytes.hpp"
#include "house-sim/random.hpp"

namespace house_sim {

namespace {

struct Vector {
    const char* message;  // checksum last
    const char* wire;
};

// Captured and synthetic frames of the TWC protocol notes, tables A, B and D.
constexpr Vector vectors[] = {
    {"FC E1 77 77 77 00 00 00 00 00 00 00 00 46", "C0 FC E1 77 77 77 00 00 00 00 00 00 00 00 46 C0"},
    {"FB E2 77 77 77 00 00 00 00 00 00 00 00 47", "C0 FB E2 77 77 77 00 00 00 00 00 00 00 00 47 C0"},
    {"FD E2 18 39 52 0C 80 00 00 00 00 00 00 00 00 11", "C0 FD E2 18 39 52 0C 80 00 00 00 00 00 00 00 00 11 C0"},
    {"FB E0 77 77 40 85 09 0C 80 00 00 00 00 00 00 28", "C0 FB E0 77 77 40 85 09 0C 80 00 00 00 00 00 00 28 C0"},
    {"FD E0 02 2C 77 77 02 00 00 06 96 00 00 9A", "C0 FD E0 02 2C 77 77 02 00 00 06 96 00 00 9A C0"},
    {"FD E0 02 2D 77 77 01 03 20 02 DB 00 00 FE", "C0 FD E0 02 2D 77 77 01 03 20 02 DB DD 00 00 FE C0"},
    {"FD E0 20 19 77 77 08 02 58 02 10 00 00 00 00 7B", "C0 FD E0 20 19 77 77 08 02 58 02 10 00 00 00 00 7B C0"},
    {"FD B1 58 50 00 00 00 00 00 00 00 00 00 00 00 59", "C0 FD B1 58 50 00 00 00 00 00 00 00 00 00 00 00 59 C0"},
    {"FD EB 58 50 00 00 03 4A 00 FA 00 00 00 00 00 00 00 00 00 DA",
     "C0 FD EB 58 50 00 00 03 4A 00 FA 00 00 00 00 00 00 00 00 00 DA C0"},
    {"FB EE 32 AB 87 25 00 00 00 00 00 00 77", "C0 FB EE 32 AB 87 25 00 00 00 00 00 00 77 C0"},
    {"FB EE 77 77 20 19 00 00 00 00 00 00 00 00 15", "C0 FB EE 77 77 20 19 00 00 00 00 00 00 00 00 15 C0"},
    {"FB E0 77 77 66 66 05 12 C0 00 00 00 00 71", "C0 FB E0 77 77 66 66 05 12 DB DC 00 00 00 00 71 C0"},
    {"FB E0 77 77 66 66 05 08 34 00 00 00 00 00 00 DB", "C0 FB E0 77 77 66 66 05 08 34 00 00 00 00 00 00 DB DD C0"},
    {"FB E0 77 77 24 33 09 12 C0 00 00 00 00 00 00 00", "C0 FB E0 77 77 24 33 09 12 DB DC 00 00 00 00 00 00 00 C0"},
    {"FD E0 C0 DB 77 77 00 00 00 00 00 00 00 00 00 69", "C0 FD E0 DB DC DB DD 77 77 00 00 00 00 00 00 00 00 00 69 C0"},
    {"FB E0 77 77 24 CE 00 00 00 00 00 00 00 00 00 C0", "C0 FB E0 77 77 24 CE 00 00 00 00 00 00 00 00 00 DB DC C0"},
    {"FB E0 77 77 24 E9 00 00 00 00 00 00 00 00 00 DB", "C0 FB E0 77 77 24 E9 00 00 00 00 00 00 00 00 00 DB DD C0"},
    {"FD E2 DB DC DD 0C 80 00 00 00 00 00 00 00 00 02", "C0 FD E2 DB DD DC DD 0C 80 00 00 00 00 00 00 00 00 02 C0"},
    {"FB E0 C0 C0 DB DB 09 C0 DB 00 00 00 00 00 00 BA",
     "C0 FB E0 DB DC DB DC DB DD DB DD 09 DB DC DB DD 00 00 00 00 00 00 BA C0"},
    {"FD ED 24 33 41 31 38 46 30 30 30 32 34 33 33 00 00 00 00 90",
     "C0 FD ED 24 33 41 31 38 46 30 30 30 32 34 33 33 00 00 00 00 90 C0"},
};

}  // namespace

TEST_CASE("line code: known frames are written and read as captured") {
    for (const auto& vector : vectors) {
        CAPTURE(std::string(vector.message));
        Bytes message = bytes(vector.message);
        message.pop_back();

        CHECK(to_wire(message) == bytes(vector.wire));
        CHECK(messages_in(bytes(vector.wire)) == std::vector<Bytes>{message});
    }
}

TEST_CASE("line code: malformed frames are refused for the right reason") {
    struct Case {
        const char* stream;
        SegmentReader::Refused refused;
    };
    const Case cases[] = {
        {"C0 FC E1 32 AB 77 40 06 00 00 00 00 00 00 00 00 BA C0", {.bad_checksum = 1}},
        {"C0 FD E2 18 39 52 0C 80 00 00 00 00 00 00 00 00 11 FF C0", {.bad_length = 1}},
        {"C0 FB E0 77 DB 00 24 33 00 00 00 00 00 00 00 00 00 25 C0", {.bad_escape = 1}},
        {"C0 FB E0 77 77 24 33 00 00 00 00 00 00 00 00 00 DB C0", {.bad_escape = 1}},
        {"7C 00 C0", {.too_short = 1}},
    };
    for (const auto& one : cases) {
        const auto* stream = one.stream;
        const auto& refused = one.refused;
        CAPTURE(std::string(stream));
        SegmentReader reader;
        bool accepted = false;
        for (const auto byte : bytes(stream)) {
            accepted = reader.add(byte).has_value() || accepted;
        }
        CHECK_FALSE(accepted);
        CHECK(reader.refused() == refused);
    }
}

TEST_CASE("line code: a lost closing delimiter costs no frame") {
    const auto messages = messages_in(bytes(
        "C0 FB E0 77 77 24 33 00 00 00 00 00 00 00 00 00 25 C0 FD E0 24 33 77 77 03 02 58 00 00 00 00 00 00 82 C0"));

    CHECK(messages.size() == 2);
}

TEST_CASE("line code: random messages survive the wire, random bytes never crash the reader") {
    Random random(4711);
    for (int round = 0; round < 2000; ++round) {
        CAPTURE(round);
        Bytes message(12 + random.bits() % 4);
        for (auto& byte : message) {
            byte = random.byte();
        }
        REQUIRE(messages_in(to_wire(message)) == std::vector<Bytes>{message});
        Bytes noise(random.bits() % 200);
        for (auto& byte : noise) {
            byte = random.chance(0.1) ? 0xC0 : random.byte();
        }
        REQUIRE(messages_in(noise).size() <= noise.size() / 13);
    }
}

}  // namespace house_sim
