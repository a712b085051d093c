#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "ems-bridge/modbus.hpp"

namespace ems_bridge {

/// How a number is laid out in Modbus registers: big-endian, most significant word first; an `s` after the width
/// means least significant word first.
enum class RegisterType { u16, i16, u32, i32, u64, acc32, f32, u32s, i32s, u64s, f32s };

std::optional<RegisterType> register_type(std::string_view name);
int width_of(RegisterType type);

/// The number, or none where the device put its type's "not available" pattern (SunSpec: 0x8000 signed, 0xFFFF
/// unsigned, 0 for an accumulator, any NaN; SolarEdge's batteries: the most negative float). `words` must hold
/// at least the width.
std::optional<double> decode(RegisterType type, std::span<const std::uint16_t> words);

/// `value · 10^exponent`. None when the exponent is not available (0x8000) or outside SunSpec's −10…10.
std::optional<double> scaled(std::optional<double> value, std::uint16_t exponent);

/// What has been read from a device: words by address.
class RegisterImage {
public:
    void store(int address, std::span<const std::uint16_t> words);
    /// None when any of the words has not been read, or the device marks the value as not available.
    std::optional<double> value(int address, RegisterType type) const;
    /// The same with a SunSpec scale factor that stands at `exponent_address`.
    std::optional<double> value(int address, RegisterType type, int exponent_address) const;
    std::optional<std::uint16_t> word(int address) const;

private:
    std::map<int, std::uint16_t> words_;
};

/// Reads any number of registers in as many requests as the protocol needs.
void read_into(RegisterImage& image, ModbusClient& client, bool input_registers, int unit, int address, int count);

}  // namespace ems_bridge
