#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "config/section.hpp"
#include "scheduling/event_loop.hpp"
#include "twc-bus/allocator.hpp"
#include "twc-bus/byte_link.hpp"
#include "twc-bus/charger_view.hpp"
#include "twc-bus/fleet.hpp"
#include "twc-bus/role.hpp"

namespace twc_bus {

/// One RS-485 line.
struct LineConfig {
    std::string name;  ///< Empty when there is only one.
    std::string port;  ///< A serial device, tcp://host:port or rfc2217://host:port.
    RoleSettings role;
    UnitId master_id = 0x7777;
    std::chrono::milliseconds listen{30'000};  ///< MasterSettings::listen
    bool raw_send = false;                     ///< Frames may be typed in, for debugging.
};

struct Config {
    std::vector<LineConfig> lines;
    Limits limits;
    Care care;
    std::optional<int> house_fuse_ca;  ///< Guarded with the phase currents of `ems/state`.
    Mains mains;
    std::filesystem::path state_file;
};

/// Chargers that are stopped by FC B2.
std::set<UnitId> contactor_chargers(const Care& care);

/// Problems are reported through the section.
Config read_config(const config::Section& root);

/// The link that `port` names.
std::unique_ptr<ByteLink> make_link(const std::string& port, scheduling::EventLoop& loop);

}  // namespace twc_bus
