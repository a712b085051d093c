#include "ems-bridge/registers.hpp"

#include <random>

#include <doctest/doctest.h>

#include "support.hpp"

using namespace ems_bridge;

TEST_CASE("registers: every type is read in its byte and word order") {
    const auto value = [](RegisterType type, std::vector<std::uint16_t> words) { return decode(type, words); };

    CHECK(value(RegisterType::u16, {0xFFFE}) == 65534.0);
    CHECK(value(RegisterType::i16, {0xFCF4}) == -780.0);
    CHECK(value(RegisterType::u32, {0x0001, 0x0000}) == 65536.0);
    CHECK(value(RegisterType::u32s, {0x0001, 0x0000}) == 1.0);
    CHECK(value(RegisterType::i32, {0xFFFF, 0xFFFE}) == -2.0);
    CHECK(value(RegisterType::i32s, {0xFFFE, 0xFFFF}) == -2.0);
    CHECK(value(RegisterType::u64, {0, 0, 0, 9}) == 9.0);
    CHECK(value(RegisterType::u64s, {9, 0, 0, 0}) == 9.0);
    CHECK(value(RegisterType::f32, {0xC42D, 0x4000}) == -693.0);
    CHECK(value(RegisterType::f32s, {0x8000, 0x44BB}) == 1500.0);
}

TEST_CASE("registers: what a device marks as not available is unknown and not a number") {
    const auto value = [](RegisterType type, std::vector<std::uint16_t> words) { return decode(type, words); };

    CHECK_FALSE(value(RegisterType::u16, {0xFFFF}));
    CHECK_FALSE(value(RegisterType::i16, {0x8000}));
    CHECK_FALSE(value(RegisterType::u32, {0xFFFF, 0xFFFF}));
    CHECK_FALSE(value(RegisterType::i32, {0x8000, 0x0000}));
    CHECK_FALSE(value(RegisterType::u64, {0xFFFF, 0xFFFF, 0xFFFF, 0xFFFF}));
    CHECK_FALSE(value(RegisterType::acc32, {0, 0}));
    CHECK_FALSE(value(RegisterType::f32, {0x7FC0, 0x0000}));
    CHECK_FALSE(value(RegisterType::f32, {0x7F80, 0x0000}));
    CHECK_FALSE(value(RegisterType::f32s, {0xFFFF, 0xFF7F}));
}

TEST_CASE("registers: a scale factor is a power of ten between -10 and 10") {
    CHECK(scaled(2318, 0xFFFF) == 231.8);
    CHECK(scaled(12, 2) == 1200.0);
    CHECK(scaled(12, 0) == 12.0);
    CHECK_FALSE(scaled(12, 0x8000));
    CHECK_FALSE(scaled(12, 11));
    CHECK_FALSE(scaled(std::nullopt, 0));
}

TEST_CASE("registers: a value of which a word was not read is unknown") {
    RegisterImage image;
    image.store(10, std::vector<std::uint16_t>{0x4366});

    CHECK(image.value(10, RegisterType::u16) == 17254.0);
    CHECK_FALSE(image.value(10, RegisterType::f32));
    CHECK_FALSE(image.value(10, RegisterType::u16, 11));
}

TEST_CASE("registers: long ranges are read in parts a protocol frame can hold") {
    test::FakeModbus device;
    device.units[1].readable_everywhere = true;
    RegisterImage image;

    read_into(image, *device.make_client({}), true, 1, 100, 260);

    CHECK(device.requests == std::vector<std::string>{"input 100+125", "input 225+125", "input 350+10"});
    CHECK(image.word(359) == 0);
    CHECK_FALSE(image.word(360));
}

TEST_CASE("registers: random words never give anything but a finite number or nothing") {
    const unsigned seed = 20260601;
    CAPTURE(seed);
    std::mt19937 random(seed);
    for (int i = 0; i < 20000; ++i) {
        std::vector<std::uint16_t> words(4);
        for (auto& word : words) {
            word = static_cast<std::uint16_t>(random());
        }
        const auto type = static_cast<RegisterType>(random() % 11);
        const auto value = scaled(decode(type, words), static_cast<std::uint16_t>(random()));
        REQUIRE((!value || std::isfinite(*value)));
    }
}
