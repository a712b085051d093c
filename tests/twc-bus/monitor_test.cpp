#include "twc-bus/monitor.hpp"

#include <sstream>

#include <doctest/doctest.h>

#include "twc-bus/describe.hpp"
#include "vectors.hpp"

using twc_bus::describe;
using twc_bus::Monitor;

namespace {

std::string words_for(const std::string& body) {
    const auto message = twc_bus::decode_message(vectors::bytes(body));
    return message ? describe(*message) : "unknown";
}

std::string replayed(const std::string& recording) {
    std::istringstream in(recording);
    std::ostringstream out;
    Monitor monitor(out);
    replay(in, "capture.txt", monitor);
    monitor.print_summary();
    return out.str();
}

}  // namespace

TEST_CASE("monitor: every frame has its words") {
    CHECK(words_for("FC E1 77 77 77 00 00 00 00 00 00 00 00") == "master 7777 is there (stage 1, sign 77)");
    CHECK(words_for("FD E2 18 39 52 0C 80 00 00 00 00 00 00 00 00") ==
          "charger 1839 looks for a master: rated 32.00 A, protocol 2, sign 52");
    CHECK(words_for("FB E0 77 77 77 44 09 06 40 00 00 00 00 00 00") == "7777 -> 7744: limit 16.00 A (09)");
    CHECK(words_for("FB E0 77 77 77 44 00 00 00 00 00 00 00 00 00") == "7777 -> 7744: no change");
    CHECK(words_for("FD E0 77 44 77 77 01 06 40 06 33 00 00 00 00") ==
          "7744 -> 7777: charging (01), works to 16.00 A, draws 15.87 A");
    CHECK(words_for("FB EE 77 77 77 44 00 00 00 00 00 00 00 00 00") == "7777 asks 7744 for VIN, first part");
    CHECK(words_for("FC B2 77 77 77 44 00 00 00 00 00 00 00 00 00") == "7777 orders 7744 to open its contactor");
}

TEST_CASE("monitor: all frames of the notes that mean something can be said") {
    int said = 0;
    for (unsigned type = 0xFB; type <= 0xFD; ++type) {
        for (unsigned command = 0; command <= 0xFF; ++command) {
            for (const std::size_t length : {13U, 15U, 19U}) {
                twc_bus::Bytes body(length, 0x30);
                body[0] = static_cast<std::uint8_t>(type);
                body[1] = static_cast<std::uint8_t>(command);
                if (const auto message = twc_bus::decode_message(body)) {
                    CHECK_FALSE(describe(*message).empty());
                    ++said;
                }
            }
        }
    }
    CHECK(said >= 15);
}

TEST_CASE("monitor: a recording plays frames, damage and unknown frames, in pieces as they came") {
    const auto text = replayed(
        "# a note\n"
        "0.100 c0 fb e0 77 77 40 85 09 0c 80 00 00\n"
        "0.120 00 00 00 00 28 c0\n"
        "\n"
        "1.5 c0 fc e1 32 ab 77 40 06 00 00 00 00 00 00 00 00 ba c0\n"
        "2.0 c0 fb 77 77 77 77 77 00 00 00 00 00 00 00 53 c0\n");
    CHECK(text.find("     0.120  7777 -> 4085: limit 32.00 A (09)\n") != std::string::npos);
    CHECK(text.find("     1.500  damaged: the checksum is wrong\n") != std::string::npos);
    CHECK(text.find("unknown: fb 77 77") != std::string::npos);
    CHECK(text.find("2 frames, 1 of them unknown; 1 wrong checksums") != std::string::npos);
}

TEST_CASE("monitor: what is recorded plays the same again") {
    std::ostringstream first;
    std::ostringstream recording;
    Monitor monitor(first, &recording);
    monitor.hear(0.25, vectors::bytes("C0 FD E2 18 39 52 0C 80 00 00 00 00 00 00 00 00 11 C0"));
    monitor.hear(1, vectors::bytes("C0 FC E1"));
    monitor.hear(1.01, vectors::bytes("77 77 77 00 00 00 00 00 00 00 00 46 C0"));
    monitor.print_summary();
    CHECK(replayed(recording.str()) == first.str());
}

TEST_CASE("monitor: a line that is no recording is refused with its place") {
    for (const std::string line : {"hello", "0.1 c0 zz", "0.1 100", "0.1 c0 fb-"}) {
        CAPTURE(line);
        CHECK_THROWS_WITH(replayed("0.0 c0\n" + line + "\n"),
                          ("capture.txt:2: got \"" + line + "\", expected seconds and bytes in hexadecimal").c_str());
    }
}

TEST_CASE("monitor: wrong arguments are refused with the usage") {
    const auto code = [](std::vector<const char*> arguments) {
        return twc_bus::run_monitor(static_cast<int>(arguments.size()), arguments.data());
    };
    CHECK(code({}) == 2);
    CHECK(code({"--record", "file"}) == 2);
    CHECK(code({"/dev/a", "/dev/b"}) == 2);
    CHECK(code({"/dev/a", "--replay", "file"}) == 2);
    CHECK(code({"--replay", "/nonexistent/file"}) == 1);
}
