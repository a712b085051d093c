#include <cstdlib>

#include "twc-bus/frame.hpp"

namespace {

void require(bool claim) {
    if (!claim) {
        std::abort();
    }
}

}  // namespace

// Any bytes from the wire: what is accepted is the same however the bytes are cut, and survives a round trip.
// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::span stream(data, size);
    twc_bus::FrameDecoder whole(twc_bus::AcceptedLengths::listening);
    const auto bodies = whole.feed(stream);

    twc_bus::FrameDecoder bytewise(twc_bus::AcceptedLengths::listening);
    std::vector<twc_bus::Bytes> same;
    for (std::size_t i = 0; i < size; ++i) {
        for (auto& body : bytewise.feed(stream.subspan(i, 1))) {
            same.push_back(std::move(body));
        }
    }
    require(bodies == same);

    for (const auto& body : bodies) {
        twc_bus::FrameDecoder decoder(twc_bus::AcceptedLengths::listening);
        require(decoder.feed(twc_bus::encode_frame(body)) == std::vector<twc_bus::Bytes>{body});
    }
    return 0;
}
