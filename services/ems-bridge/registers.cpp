#include "ems-bridge/registers.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <string>

namespace ems_bridge {

namespace {

constexpr std::array<std::pair<std::string_view, RegisterType>, 11> type_names{{{"u16", RegisterType::u16},
                                                                                {"i16", RegisterType::i16},
                                                                                {"u32", RegisterType::u32},
                                                                                {"i32", RegisterType::i32},
                                                                                {"u64", RegisterType::u64},
                                                                                {"acc32", RegisterType::acc32},
                                                                                {"f32", RegisterType::f32},
                                                                                {"u32s", RegisterType::u32s},
                                                                                {"i32s", RegisterType::i32s},
                                                                                {"u64s", RegisterType::u64s},
                                                                                {"f32s", RegisterType::f32s}}};

constexpr int bits_per_word = 16;

bool least_significant_first(RegisterType type) {
    return type == RegisterType::u32s || type == RegisterType::i32s || type == RegisterType::u64s ||
           type == RegisterType::f32s;
}

std::uint64_t joined(RegisterType type, std::span<const std::uint16_t> words) {
    const auto width = static_cast<std::size_t>(width_of(type));
    std::uint64_t bits = 0;
    for (std::size_t i = 0; i < width; ++i) {
        bits = bits << bits_per_word | words[least_significant_first(type) ? width - 1 - i : i];
    }
    return bits;
}

std::optional<double> unless(bool not_available, double value) {
    return not_available ? std::nullopt : std::optional(value);
}

std::optional<double> float_value(std::uint32_t bits) {
    const auto value = std::bit_cast<float>(bits);
    const bool available = std::isfinite(value) && value != std::numeric_limits<float>::lowest();
    return unless(!available, static_cast<double>(value));
}

}  // namespace

std::optional<RegisterType> register_type(std::string_view name) {
    const auto* const found = std::ranges::find(type_names, name, &std::pair<std::string_view, RegisterType>::first);
    return found == type_names.end() ? std::nullopt : std::optional(found->second);
}

int width_of(RegisterType type) {
    switch (type) {
        case RegisterType::u16:
        case RegisterType::i16:
            return 1;
        case RegisterType::u64:
        case RegisterType::u64s:
            return 4;
        default:
            return 2;
    }
}

std::optional<double> decode(RegisterType type, std::span<const std::uint16_t> words) {
    const std::uint64_t bits = joined(type, words);
    switch (type) {
        case RegisterType::u16:
            return unless(bits == 0xFFFF, static_cast<double>(bits));
        case RegisterType::i16:
            return unless(bits == 0x8000, static_cast<double>(static_cast<std::int16_t>(bits)));
        case RegisterType::u32:
        case RegisterType::u32s:
            return unless(bits == 0xFFFFFFFF, static_cast<double>(bits));
        case RegisterType::i32:
        case RegisterType::i32s:
            return unless(bits == 0x80000000, static_cast<double>(static_cast<std::int32_t>(bits)));
        case RegisterType::u64:
        case RegisterType::u64s:
            return unless(bits == std::numeric_limits<std::uint64_t>::max(), static_cast<double>(bits));
        case RegisterType::acc32:
            return unless(bits == 0, static_cast<double>(bits));
        case RegisterType::f32:
        case RegisterType::f32s:
            return float_value(static_cast<std::uint32_t>(bits));
    }
    return std::nullopt;
}

std::optional<double> scaled(std::optional<double> value, std::uint16_t exponent) {
    constexpr int largest_exponent = 10;
    const int power = static_cast<std::int16_t>(exponent);
    if (!value || power < -largest_exponent || power > largest_exponent) {
        return std::nullopt;
    }
    // Dividing by a whole power of ten is exact where multiplying by 0.1 is not.
    return power < 0 ? *value / std::pow(10.0, -power) : *value * std::pow(10.0, power);
}

void RegisterImage::store(int address, std::span<const std::uint16_t> words) {
    for (const std::uint16_t word : words) {
        words_[address++] = word;
    }
}

std::optional<std::uint16_t> RegisterImage::word(int address) const {
    const auto found = words_.find(address);
    return found == words_.end() ? std::nullopt : std::optional(found->second);
}

std::optional<double> RegisterImage::value(int address, RegisterType type) const {
    std::array<std::uint16_t, 4> words{};
    for (int i = 0; i < width_of(type); ++i) {
        const auto found = word(address + i);
        if (!found) {
            return std::nullopt;
        }
        words[static_cast<std::size_t>(i)] = *found;
    }
    return decode(type, words);
}

std::optional<double> RegisterImage::value(int address, RegisterType type, int exponent_address) const {
    const auto exponent = word(exponent_address);
    return exponent ? scaled(value(address, type), *exponent) : std::nullopt;
}

void read_into(RegisterImage& image, ModbusClient& client, bool input_registers, int unit, int address, int count) {
    while (count > 0) {
        const int part = std::min(count, max_registers_per_read);
        image.store(address, input_registers ? client.read_input(unit, address, part)
                                             : client.read_holding(unit, address, part));
        address += part;
        count -= part;
    }
}

}  // namespace ems_bridge
