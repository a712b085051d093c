#include <cstdlib>

#include "twc-bus/rfc2217.hpp"

namespace {

using twc_bus::Rfc2217;

constexpr scheduling::Instant start{};

void require(bool claim) {
    if (!claim) {
        std::abort();
    }
}

void append(twc_bus::Bytes& bytes, const twc_bus::Bytes& more) { bytes.insert(bytes.end(), more.begin(), more.end()); }

}  // namespace

// Any bytes from a Telnet server: what they come to is the same however they are cut, replies stay few, a failure has
// words, and data comes back as it went through a line that is up.
// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    constexpr std::size_t longest_settings = 64;
    const std::span stream(data, size);
    Rfc2217 whole(start);
    auto heard = whole.receive(stream, start);
    require(heard.payload.size() <= size && heard.reply.size() <= size + longest_settings);

    Rfc2217 bytewise(start);
    Rfc2217::Heard same;
    for (std::size_t i = 0; i < size; ++i) {
        const auto part = bytewise.receive(stream.subspan(i, 1), start);
        append(same.payload, part.payload);
        append(same.reply, part.reply);
    }
    require(bytewise.state() == whole.state() && bytewise.problem() == whole.problem());
    const bool failed = whole.state() == Rfc2217::State::failed;
    require(failed != whole.problem().empty());
    require(failed ? heard.payload.empty() && heard.reply.empty()
                   : heard.payload == same.payload && heard.reply == same.reply);

    whole.on_time(start + Rfc2217::patience);
    require(whole.state() != Rfc2217::State::negotiating);

    const auto sent = whole.outgoing(stream, start + Rfc2217::patience + Rfc2217::longest_suspension);
    require(sent.empty() == (whole.state() == Rfc2217::State::failed || size == 0));
    const twc_bus::Bytes agreed{0xFF, 0xFD, 0,    0xFF, 0xFB, 0,    0xFF, 0xFD, 44,  0xFF,
                                0xFA, 44,   0x65, 0,    0,    0x25, 0x80, 0xFF, 0xF0};
    Rfc2217 line(start);
    line.receive(agreed, start);
    require(line.receive(line.outgoing(stream, start), start).payload == twc_bus::Bytes(stream.begin(), stream.end()));
    return 0;
}
