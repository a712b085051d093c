#pragma once

#include "ems-bridge/program.hpp"
#include "ems-bridge/source.hpp"

namespace ems_bridge {

/// Reads the registers a ModbusProgram names and maps them.
MakeSource make_modbus_source(ModbusProgram program, mapping::Mapping mapping);

}  // namespace ems_bridge
