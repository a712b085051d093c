#include "service/command_value.hpp"

#include <array>
#include <cmath>

#include <doctest/doctest.h>

#include "service/service_host.hpp"

using namespace service;

namespace {

template <class Call>
std::string refusal(Call call) {
    try {
        call();
        return "accepted";
    } catch (const Rejected& error) {
        return std::string(error.what()) + "; " + error.expected();
    }
}

}  // namespace

TEST_CASE("command value: on and off as people write them") {
    for (const char* on : {"on", "ON", " true ", "1", "True\n"}) {
        CAPTURE(on);
        CHECK(parse_on_off(on));
    }
    for (const char* off : {"off", "Off", "false", "0"}) {
        CAPTURE(off);
        CHECK_FALSE(parse_on_off(off));
    }
    CHECK(refusal([] { parse_on_off("yes"); }) == "neither on nor off; on, off, true, false, 1 or 0");
    CHECK(refusal([] { parse_on_off(""); }) != "accepted");
    CHECK(refusal([] { parse_on_off("10"); }) != "accepted");
}

TEST_CASE("command value: amps with or without their unit") {
    CHECK(parse_amps("16") == 16);
    CHECK(parse_amps("16.5") == 16.5);
    CHECK(parse_amps("16A") == 16);
    CHECK(parse_amps(" 16 a ") == 16);
    CHECK(parse_amps("+6") == 6);
    CHECK(parse_amps("80") == 80);
    CHECK_FALSE(std::signbit(parse_amps("-0")));
    CHECK(refusal([] { parse_amps("80.1"); }) == "80.1 is outside the allowed range; a number from 0 to 80 A");
}

TEST_CASE("command value: what only looks like a number is none") {
    for (const char* bad : {"", "A", "16 amps", "16,5", "1e1", "0x10", "inf", "nan", "NaN", "--5", "+-5", "-+5", "1 6",
                            "5.5.5", "16AA", "٣", "\xff", "1e999"}) {
        CAPTURE(bad);
        CHECK(refusal([&] { parse_number(bad, {}, "A"); }).starts_with("not a number"));
    }
    CHECK(refusal([] { parse_number(std::string(400, '9'), {}, "A"); }).starts_with("not a number"));
    CHECK(refusal([] { parse_number(std::string("5\0", 2), {}, "A"); }).starts_with("not a number"));
}

TEST_CASE("command value: other units, and negative numbers where they are allowed") {
    CHECK(parse_number("-1840 W", contract::any_power_w, "W") == -1840);
    CHECK(parse_number("80%", contract::percent, "%") == 80);
    CHECK(parse_number(".5", {0, 1}) == 0.5);
    CHECK(refusal([] { parse_number("5 A", {0, 10}); }) == "not a number; a number from 0 to 10");
}

TEST_CASE("command value: a word of a list, in any case") {
    constexpr std::array<const char*, 2> words{"stop", "release"};
    CHECK(parse_choice(" STOP\r\n", words) == "stop");
    CHECK(refusal([&] { parse_choice("halt", words); }) == "unknown word; one of stop, release");
}

TEST_CASE("command value: normalising touches ASCII only") {
    CHECK(normalised("  \t\r\n") == "");
    CHECK(normalised("") == "");
    CHECK(normalised(" Ä b ") == "Ä b");
}
