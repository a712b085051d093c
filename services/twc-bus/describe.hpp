#pragma once

#include <string>

#include "twc-bus/protocol.hpp"

namespace twc_bus {

/// Word for byte 4 of a slave's heartbeat (TWC protocol notes, section 5): ready, charging, fault, plugged, waiting,
/// busy, starting, adjusting, unknown.
const char* state_word(std::uint8_t state);

/// A message in one line, for people: "7744 -> 7777: charging, works to 16.00 A, draws 15.87 A".
std::string describe(const Message& message);

}  // namespace twc_bus
