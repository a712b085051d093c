#pragma once

#include <set>

#include "config/section.hpp"
#include "ems-bridge/role.hpp"
#include "ems-bridge/source.hpp"
#include "ems-bridge/sunspec.hpp"

namespace ems_bridge {

/// Any device that offers SunSpec models: inverters 101–103, 111–113, 160, 701; meters 201–204, 211–214; batteries
/// 802, and 713 or 124 for the state of charge.
struct SunSpecSettings {
    ModbusEndpoint endpoint;
    int unit = 1;
    std::optional<int> base;
    Roles roles;
    bool invert_grid = false;  ///< SunSpec leaves the sign to the installation; as it is, + is taken for import.
    bool invert_battery = false;
    bool hybrid = false;  ///< Model 160's modules 3 and 4 are the battery's charge and discharge (Fronius GEN24).
};

/// What the models hold, for the roles that are wanted.
Reading decode_sunspec(const std::vector<sunspec::Model>& models, const RegisterImage& image,
                       const SunSpecSettings& settings);

/// Keys: host, port, unit, base, invert_grid, invert_battery, hybrid, and the Modbus timing keys.
SunSpecSettings read_sunspec(const config::Section& section);
MakeSource make_sunspec(SunSpecSettings settings);

}  // namespace ems_bridge
