#include "twc-bus/frame.hpp"

#include <random>

#include <doctest/doctest.h>

#include "vectors.hpp"

using twc_bus::AcceptedLengths;
using twc_bus::Bytes;
using twc_bus::encode_frame;
using twc_bus::FrameDecoder;

TEST_CASE("frame: every captured, documented and synthetic frame decodes and is built byte for byte") {
    const auto rows = vectors::rows("ABD");
    REQUIRE(rows.size() == 35 + 32 + 20);
    for (const auto& row : rows) {
        CAPTURE(row.id);
        Bytes body = vectors::bytes(row.cells[0]);
        const std::uint8_t given_checksum = body.back();
        body.pop_back();
        Bytes wire = vectors::bytes(row.cells[1]);

        FrameDecoder decoder(AcceptedLengths::listening);
        const auto bodies = decoder.feed(wire);
        REQUIRE(bodies.size() == 1);
        CHECK(bodies.front() == body);
        CHECK(twc_bus::checksum(body) == given_checksum);

        if (wire.back() != 0xC0) {
            wire.pop_back();  // the artefact some units send after the delimiter
        }
        CHECK(encode_frame(body) == wire);
    }
}

TEST_CASE("frame: every damaged frame is refused, whichever lengths are accepted") {
    const auto rows = vectors::rows("C");
    REQUIRE(rows.size() == 12);
    for (const auto& row : rows) {
        CAPTURE(row.id);
        Bytes wire = vectors::bytes(row.cells[0]);
        if (wire.front() != 0xC0) {
            wire.insert(wire.begin(), 0xC0);
            wire.push_back(0xC0);
        }
        for (const auto lengths : {AcceptedLengths::slaves, AcceptedLengths::listening}) {
            FrameDecoder decoder(lengths);
            CHECK(decoder.feed(wire).empty());
            CHECK(decoder.counters().bad_checksums + decoder.counters().bad_lengths == 1);
        }
    }
}

TEST_CASE("frame: byte streams give the frames and the rejects stated, however they are cut into reads") {
    const auto rows = vectors::rows("E");
    REQUIRE(rows.size() == 14);
    for (const auto& row : rows) {
        CAPTURE(row.id);
        const Bytes stream = vectors::bytes(row.cells[0]);
        std::vector<Bytes> expected;
        if (row.cells[1] != "none") {
            for (const auto& text : vectors::split(row.cells[1], " / ")) {
                expected.push_back(vectors::bytes(text));
                expected.back().pop_back();
            }
        }
        for (std::size_t chunk = 1; chunk <= stream.size(); ++chunk) {
            FrameDecoder decoder;
            std::vector<Bytes> bodies;
            for (std::size_t at = 0; at < stream.size(); at += chunk) {
                const auto part = std::span(stream).subspan(at, std::min(chunk, stream.size() - at));
                for (auto& body : decoder.feed(part)) {
                    bodies.push_back(std::move(body));
                }
            }
            CHECK(bodies == expected);
            const auto& counters = decoder.counters();
            CHECK(counters.short_segments == (row.cells[2] == "short 1" ? 1 : row.cells[2] == "short 2" ? 2 : 0));
            CHECK(counters.bad_escapes == (row.cells[2] == "esc 1" ? 1 : 0));
            CHECK(counters.bad_lengths == (row.cells[2] == "len 1" ? 1 : 0));
            CHECK(counters.bad_checksums == (row.cells[2] == "ck 1" ? 1 : 0));
        }
    }
}

TEST_CASE("frame: lengths 13 and 15 are believed only when listening to other masters") {
    for (const std::size_t length : {12U, 14U}) {
        const Bytes wire = encode_frame(Bytes(length, 0x01));
        CHECK(FrameDecoder(AcceptedLengths::slaves).feed(wire).empty());
        CHECK(FrameDecoder(AcceptedLengths::listening).feed(wire).size() == 1);
    }
}

TEST_CASE("frame: a segment past 48 bytes is dropped whole and the next frame is heard") {
    FrameDecoder decoder;
    Bytes stream{0xC0};
    stream.insert(stream.end(), 5000, 0x55);
    const Bytes frame = encode_frame(Bytes(15, 0x22));
    stream.insert(stream.end(), frame.begin(), frame.end());

    const auto bodies = decoder.feed(stream);

    REQUIRE(bodies.size() == 1);
    CHECK(bodies.front() == Bytes(15, 0x22));
    CHECK(decoder.counters().bad_lengths == 1);
}

TEST_CASE("frame: frames survive any noise between them that holds no delimiter") {
    for (unsigned seed = 1; seed <= 50; ++seed) {
        CAPTURE(seed);
        std::mt19937 random(seed);
        const auto byte = [&] { return static_cast<std::uint8_t>(random()); };
        FrameDecoder decoder;
        std::size_t decoded = 0;
        constexpr std::size_t frames = 40;
        for (std::size_t i = 0; i < frames; ++i) {
            Bytes body(15);
            std::ranges::generate(body, byte);
            for (const auto& heard : decoder.feed(encode_frame(body))) {
                decoded += heard == body ? 1U : 0U;
            }
            Bytes noise(random() % 9);
            std::ranges::generate(noise, byte);
            std::erase(noise, 0xC0);
            decoder.feed(noise);
        }
        CHECK(decoded == frames);
    }
}
