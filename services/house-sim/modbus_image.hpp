#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "house-sim/line_code.hpp"
#include "house-sim/site.hpp"

namespace house_sim {

struct ModbusConfig {
    int unit_id = 1;
    bool meter_exports_positive = true;  ///< SolarEdge: + is export. Fronius and others: + is import.
    bool battery = false;                ///< The home battery hangs on this inverter and shows in its battery block.
    bool sleeps_at_night = true;         ///< Without sun the inverter's values are "not implemented".
};

/// The holding registers of a SolarEdge inverter with its first meter: an ordinary SunSpec chain (common, inverter
/// 101/103, common, meter 201/203, end) that lies exactly at the addresses SolarEdge documents, and the battery block.
class ModbusImage {
public:
    /// `broken`: every measured value is its "not implemented" sentinel.
    ModbusImage(const ModbusConfig& config, const House& house, bool broken);

    /// None when any of the registers does not exist.
    std::optional<std::vector<std::uint16_t>> read(std::uint16_t address, std::uint16_t count) const;

private:
    void put_text(std::uint16_t address, std::size_t registers, const std::string& text);
    void put(std::uint16_t address, std::uint16_t value) { registers_[address] = value; }
    void put_long(std::uint16_t address, double value);
    void put_float_swapped(std::uint16_t address, float value);
    void put_energy_swapped(std::uint16_t address, double value);
    void fill(std::uint16_t address, std::uint16_t count, std::uint16_t value);
    void put_common(std::uint16_t address, const std::string& model, std::uint16_t device);
    void put_inverter(const House& house, bool asleep, double ac_w);
    void put_meter(const House& house, bool broken, double sign);
    void put_battery(const House& house, bool present);

    std::map<std::uint16_t, std::uint16_t> registers_;
};

/// Answers one Modbus TCP request (a whole MBAP frame); none: no answer, as for a foreign unit id or a silent device.
std::optional<Bytes> answer_modbus(const ModbusConfig& config, const Site& site, std::span<const std::uint8_t> frame);

/// Length of the first frame in the buffer; 0: more bytes are needed. Throws std::invalid_argument when it is not
/// Modbus TCP.
std::size_t modbus_frame_length(std::span<const std::uint8_t> buffer);

}  // namespace house_sim
