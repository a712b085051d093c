// Whatever a device puts into its registers: no read outside them, no endless chain, no number that is none.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "ems-bridge/sources/solaredge.hpp"
#include "ems-bridge/sources/sunspec_source.hpp"

namespace {

using namespace ems_bridge;

void check(const Reading& reading) {
    for (const Quantity quantity : all_quantities()) {
        const auto& value = value_of(reading, quantity);
        if (value && !std::isfinite(*value)) {
            std::abort();
        }
    }
}

}  // namespace

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::vector<std::uint16_t> words;
    for (std::size_t i = 0; i + 1 < size && words.size() < 2000; i += 2) {
        words.push_back(static_cast<std::uint16_t>(data[i] << 8U | data[i + 1]));
    }
    // Registers 40000 on are the input, over and over; the rest does not exist.
    const auto read = [&](int address, int count) {
        if (words.empty() || address < 40000 || address + count > 65536) {
            throw ModbusException("illegal data address", illegal_data_address);
        }
        std::vector<std::uint16_t> result;
        for (int i = 0; i < count; ++i) {
            result.push_back(words[static_cast<std::size_t>(address - 40000 + i) % words.size()]);
        }
        return result;
    };
    RegisterImage image;
    image.store(40000, words);
    image.store(0xE170, std::span(words).first(std::min<std::size_t>(words.size(), 24)));
    for (int shift : {0, 50, 174}) {
        check(decode_solaredge(image, {.battery = true}, shift));
    }
    try {
        const auto models = sunspec::walk(read, std::nullopt);
        for (const auto& model : models) {
            for (int offset = 0; offset < std::min(model.length + 2, 200); ++offset) {
                image.store(model.address + offset, read(model.address + offset, 1));
            }
        }
        for (const bool hybrid : {false, true}) {
            check(decode_sunspec(models, image, {.roles = {Role::grid, Role::pv, Role::battery}, .hybrid = hybrid}));
        }
    } catch (const SourceError&) {  // being refused is the expected outcome
    }
    return 0;
}
