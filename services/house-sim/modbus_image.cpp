#include "house-sim/modbus_image.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>
#include <stdexcept>

namespace house_sim {

namespace {

// Addresses on the wire, as in SolarEdge's list.
constexpr std::uint16_t marker_address = 40000;
constexpr std::uint16_t inverter_common_address = 40002;
constexpr std::uint16_t inverter_address = 40069;
constexpr std::uint16_t meter_common_address = 40121;
constexpr std::uint16_t meter_address = 40188;
constexpr std::uint16_t end_address = 40295;
constexpr std::uint16_t battery_address = 0xE170;
constexpr std::uint16_t battery_registers = 24;

constexpr std::uint16_t common_length = 65;
constexpr std::uint16_t inverter_length = 50;
constexpr std::uint16_t meter_length = 105;

// "Not implemented" of the SunSpec types.
constexpr std::uint16_t no_int16 = 0x8000;
constexpr std::uint16_t no_uint16 = 0xFFFF;
constexpr float no_float = -3.4028235e38F;  // SolarEdge's battery block: 0xFF7FFFFF

constexpr std::uint16_t status_sleeping = 2;
constexpr std::uint16_t status_producing = 4;

constexpr std::uint16_t battery_charging = 3;
constexpr std::uint16_t battery_discharging = 4;
constexpr std::uint16_t battery_idle = 6;

// Modbus exceptions.
constexpr std::uint8_t illegal_function = 1;
constexpr std::uint8_t illegal_address = 2;
constexpr std::uint8_t illegal_value = 3;
constexpr std::uint8_t device_failure = 4;

std::uint16_t as_word(double value) {
    return static_cast<std::uint16_t>(static_cast<std::int16_t>(std::lround(std::clamp(value, -32767.0, 32767.0))));
}

// The smallest power of ten, from -2 up, with which the largest value still fits 16 bits: so the factor changes with
// the load, as on the real device.
int scale_for(double largest) {
    constexpr double most = 32000;
    int scale = -2;
    for (double step = 100; largest * step > most && scale < 2; step /= 10) {
        ++scale;
    }
    return scale;
}

double scaled(double value, int scale) { return value * std::pow(10, -scale); }

}  // namespace

ModbusImage::ModbusImage(const ModbusConfig& config, const House& house, bool broken) {
    put(marker_address, 0x5375);
    put(marker_address + 1, 0x6E53);
    put_common(inverter_common_address, house.config().phases == 1 ? "SE8000H" : "SE8K", 1);
    put_common(meter_common_address, "SE-MTR-3Y-400V-A", 2);
    const auto& flow = house.flow();
    const double ac_w = flow.pv_w + (config.battery ? flow.battery_w : 0);
    const bool asleep = config.sleeps_at_night && flow.pv_w <= 0 && std::abs(ac_w) < 1;
    put_inverter(house, broken || asleep, ac_w);
    put_meter(house, broken, config.meter_exports_positive ? -1 : 1);
    put(end_address, 0xFFFF);
    put(end_address + 1, 0);
    put_battery(house, config.battery && house.has_battery() && !broken);
}

void ModbusImage::fill(std::uint16_t address, std::uint16_t count, std::uint16_t value) {
    for (std::uint16_t i = 0; i < count; ++i) {
        put(static_cast<std::uint16_t>(address + i), value);
    }
}

void ModbusImage::put_text(std::uint16_t address, std::size_t registers, const std::string& text) {
    for (std::size_t i = 0; i < registers; ++i) {
        const auto byte = [&](std::size_t index) {
            return index < text.size() ? static_cast<std::uint8_t>(text[index]) : std::uint8_t{0};
        };
        put(static_cast<std::uint16_t>(address + i), static_cast<std::uint16_t>(byte(2 * i) << 8U | byte(2 * i + 1)));
    }
}

void ModbusImage::put_long(std::uint16_t address, double value) {
    const auto number = static_cast<std::uint32_t>(std::fmod(std::max(value, 0.0), 4294967295.0));
    put(address, static_cast<std::uint16_t>(number >> 16U));
    put(address + 1, static_cast<std::uint16_t>(number & 0xFFFFU));
}

// The battery block is the only one with the least significant word first.
void ModbusImage::put_float_swapped(std::uint16_t address, float value) {
    const auto number = std::bit_cast<std::uint32_t>(value);
    put(address, static_cast<std::uint16_t>(number & 0xFFFFU));
    put(address + 1, static_cast<std::uint16_t>(number >> 16U));
}

void ModbusImage::put_energy_swapped(std::uint16_t address, double value) {
    const auto number = static_cast<std::uint64_t>(std::max(value, 0.0));
    for (std::uint16_t word = 0; word < 4; ++word) {
        put(static_cast<std::uint16_t>(address + word), static_cast<std::uint16_t>(number >> (16U * word)));
    }
}

void ModbusImage::put_common(std::uint16_t address, const std::string& model, std::uint16_t device) {
    put(address, 1);
    put(address + 1, common_length);
    put_text(address + 2, 16, device == 1 ? "SolarEdge" : "WattNode");
    put_text(address + 18, 16, model);
    put_text(address + 34, 8, device == 1 ? "" : "Export+Import");
    put_text(address + 42, 8, "0004.0020.0036");
    put_text(address + 50, 16, device == 1 ? "7E1A2B3C" : "4411223344");
    put(address + 66, device);
}

void ModbusImage::put_inverter(const House& house, bool asleep, double ac_w) {
    const auto base = inverter_address;
    const int phases = std::min(house.config().inverter_phases, house.config().phases);
    const auto& voltage = house.flow().voltage_v;
    put(base, phases == 1 ? 101 : 103);
    put(base + 1, inverter_length);
    fill(base + 2, inverter_length, no_uint16);
    const double amps = ac_w / house.config().voltage_v;
    const int amps_scale = scale_for(std::abs(amps));
    const int watts_scale = scale_for(std::abs(ac_w));
    put(base + 6, as_word(amps_scale));
    put(base + 13, as_word(-1));
    put(base + 15, asleep ? no_int16 : as_word(watts_scale));
    put(base + 14, asleep ? no_int16 : as_word(scaled(ac_w, watts_scale)));
    if (!asleep) {
        put(base + 2, as_word(scaled(amps, amps_scale)));
        for (std::uint16_t phase = 0; phase < phases; ++phase) {
            put(static_cast<std::uint16_t>(base + 3 + phase), as_word(scaled(amps / phases, amps_scale)));
            put(static_cast<std::uint16_t>(base + 10 + phase), as_word(voltage.at(phase) * 10));
        }
    }
    put(base + 16, asleep ? no_uint16 : std::uint16_t{5000});  // 50.00 Hz
    put(base + 17, as_word(-2));
    fill(base + 18, 6, no_int16);  // VA, var, power factor and their factors
    put_long(base + 24, house.energies().pv_wh);
    put(base + 26, 0);
    put(base + 28, no_int16);
    put(base + 30, no_int16);
    // Without losses: what the panels give is what the house gets (and the battery takes).
    put(base + 31, asleep ? no_int16 : as_word(scaled(ac_w, watts_scale)));
    put(base + 32, asleep ? no_int16 : as_word(watts_scale));
    put(base + 38, asleep ? status_sleeping : status_producing);
}

void ModbusImage::put_meter(const House& house, bool broken, double sign) {
    const auto base = meter_address;
    const auto& flow = house.flow();
    const auto phases = static_cast<std::uint16_t>(house.config().phases);
    put(base, phases == 1 ? 201 : 203);
    put(base + 1, meter_length);
    fill(base + 2, meter_length, no_int16);
    fill(base + 38, 16, 0);  // accumulators that do not count are 0
    if (broken) {
        return;
    }
    const double largest = std::accumulate(flow.grid_phase_w.begin(), flow.grid_phase_w.end(), std::abs(flow.grid_w),
                                           [](double most, double watts) { return std::max(most, std::abs(watts)); });
    const int watts_scale = scale_for(largest);
    double amps = 0;
    for (std::uint16_t phase = 0; phase < phases; ++phase) {
        const double phase_amps = sign * flow.grid_phase_w.at(phase) / flow.voltage_v.at(phase);
        amps += phase_amps;
        put(static_cast<std::uint16_t>(base + 3 + phase), as_word(phase_amps * 100));
        put(static_cast<std::uint16_t>(base + 8 + phase), as_word(flow.voltage_v.at(phase) * 10));
        put(static_cast<std::uint16_t>(base + 19 + phase),
            as_word(scaled(sign * flow.grid_phase_w.at(phase), watts_scale)));
    }
    put(base + 2, as_word(amps * 100));
    put(base + 6, as_word(-2));
    put(base + 7, as_word(std::accumulate(flow.voltage_v.begin(), flow.voltage_v.end(), 0.0) / phases * 10));
    put(base + 15, as_word(-1));
    put(base + 16, 5000);
    put(base + 17, as_word(-2));
    put(base + 18, as_word(scaled(sign * flow.grid_w, watts_scale)));
    put(base + 22, as_word(watts_scale));
    put_long(base + 38, house.energies().export_wh);
    put_long(base + 46, house.energies().import_wh);
    put(base + 54, 0);
}

void ModbusImage::put_battery(const House& house, bool present) {
    const auto& flow = house.flow();
    const auto base = battery_address;
    fill(base, battery_registers, 0);
    const double power_w = -flow.battery_w;  // + is charging
    constexpr double battery_volts = 400;
    put_float_swapped(base, present ? static_cast<float>(battery_volts) : no_float);
    put_float_swapped(base + 2, present ? static_cast<float>(power_w / battery_volts) : no_float);
    put_float_swapped(base + 4, present ? static_cast<float>(power_w) : no_float);
    put_energy_swapped(base + 6, present ? house.energies().battery_out_wh : 0);
    put_energy_swapped(base + 10, present ? house.energies().battery_in_wh : 0);
    put_float_swapped(base + 14, present ? static_cast<float>(house.config().battery.capacity_kwh * 1000) : no_float);
    put_float_swapped(base + 20, present ? static_cast<float>(flow.battery_soc_pct) : no_float);
    const std::uint16_t moving = power_w > 0 ? battery_charging : battery_discharging;
    put(base + 22, present ? (std::abs(power_w) < 10 ? battery_idle : moving) : no_uint16);
    put(base + 23, present ? 0 : no_uint16);
}

std::optional<std::vector<std::uint16_t>> ModbusImage::read(std::uint16_t address, std::uint16_t count) const {
    std::vector<std::uint16_t> values;
    for (std::uint32_t i = 0; i < count; ++i) {
        const auto found = registers_.find(static_cast<std::uint16_t>(address + i));
        if (address + i > 0xFFFFU || found == registers_.end()) {
            return std::nullopt;
        }
        values.push_back(found->second);
    }
    return values;
}

namespace {

constexpr std::size_t header_length = 7;
constexpr std::size_t request_length = 12;
constexpr std::uint8_t read_holding_registers = 3;
constexpr std::uint16_t most_registers = 125;

std::uint16_t word_at(std::span<const std::uint8_t> bytes, std::size_t index) {
    return static_cast<std::uint16_t>(static_cast<unsigned>(bytes[index]) << 8U | bytes[index + 1]);
}

Bytes reply_to(std::span<const std::uint8_t> frame, std::span<const std::uint8_t> pdu) {
    const std::size_t length = pdu.size() + 1;
    Bytes reply;
    reply.reserve(header_length + pdu.size());
    for (const auto byte : frame.first(4)) {
        reply.push_back(byte);
    }
    reply.push_back(static_cast<std::uint8_t>(length >> 8U));
    reply.push_back(static_cast<std::uint8_t>(length & 0xFFU));
    reply.push_back(frame[6]);
    for (const auto byte : pdu) {
        reply.push_back(byte);
    }
    return reply;
}

Bytes exception_to(std::span<const std::uint8_t> frame, std::uint8_t code) {
    const Bytes pdu{static_cast<std::uint8_t>(frame[header_length] | 0x80U), code};
    return reply_to(frame, pdu);
}

}  // namespace

std::optional<Bytes> answer_modbus(const ModbusConfig& config, const Site& site, std::span<const std::uint8_t> frame) {
    const Fault fault = site.fault(Device::modbus);
    if (frame.size() <= header_length || frame[6] != config.unit_id || fault == Fault::silence) {
        return std::nullopt;
    }
    if (frame[header_length] != read_holding_registers) {
        return exception_to(frame, illegal_function);
    }
    if (fault == Fault::error) {
        return exception_to(frame, device_failure);
    }
    if (frame.size() != request_length) {
        return exception_to(frame, illegal_value);
    }
    const std::uint16_t count = word_at(frame, 10);
    if (count == 0 || count > most_registers) {
        return exception_to(frame, illegal_value);
    }
    const ModbusImage image(config, site.house(), fault == Fault::not_a_number);
    const auto values = image.read(word_at(frame, 8), count);
    if (!values) {
        return exception_to(frame, illegal_address);
    }
    Bytes pdu{read_holding_registers, static_cast<std::uint8_t>(2 * values->size())};
    for (const auto value : *values) {
        pdu.push_back(static_cast<std::uint8_t>(value >> 8U));
        pdu.push_back(static_cast<std::uint8_t>(value & 0xFFU));
    }
    return reply_to(frame, pdu);
}

std::size_t modbus_frame_length(std::span<const std::uint8_t> buffer) {
    if (buffer.size() < header_length) {
        return 0;
    }
    const std::uint16_t protocol = word_at(buffer, 2);
    const std::uint16_t length = word_at(buffer, 4);
    constexpr std::uint16_t longest = 254;
    if (protocol != 0 || length < 2 || length > longest) {
        throw std::invalid_argument("not Modbus TCP");
    }
    const std::size_t total = header_length - 1 + length;
    return buffer.size() >= total ? total : 0;
}

}  // namespace house_sim
