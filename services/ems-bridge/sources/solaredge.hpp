#pragma once

#include "config/section.hpp"
#include "ems-bridge/registers.hpp"
#include "ems-bridge/source.hpp"

namespace ems_bridge {

/// A SolarEdge inverter over Modbus TCP with the meter and the battery that hang on it.
struct SolarEdgeSettings {
    ModbusEndpoint endpoint;
    int unit = 1;
    int meter = 1;         ///< 1 to 3; 0: there is none.
    bool battery = false;  ///< Read the first battery.
};

/// What the inverter's registers say. `meter_shift` is how far a Synergy inverter moves its meters.
Reading decode_solaredge(const RegisterImage& image, const SolarEdgeSettings& settings, int meter_shift);

/// 50 or 70 where register 40121 shows the block of a Synergy inverter with 2 or 3 units (by model length), else 0.
int synergy_shift(std::uint16_t model_id, std::uint16_t model_length);

/// Keys: host, port (1502), unit, meter, battery, and the Modbus timing keys.
SolarEdgeSettings read_solaredge(const config::Section& section);
MakeSource make_solaredge(SolarEdgeSettings settings);

}  // namespace ems_bridge
