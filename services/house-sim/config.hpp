#pragma once

#include <optional>
#include <string>

#include "config/section.hpp"
#include "house-sim/modbus_image.hpp"
#include "house-sim/site.hpp"

namespace house_sim {

/// Where the RS-485 line can be reached: a pseudo terminal, a TCP port, or both.
struct LineConfig {
    std::string pty;              ///< Path of the symlink; empty: none.
    std::optional<int> tcp_port;  ///< 0: a free one.
};

struct PowerwallConfig {
    std::string password = "sim12";
    double cookie_lasts_s = 3600;
};

struct TeslaConfig {
    std::string client_id = "house-sim-client";
    double token_lasts_s = 28800;
    std::string reason_prefix;  ///< "car could not execute command: " as tesla-http-proxy has it.
};

/// What is listened on, all on one host address. Absent: not offered. Port 0: a free one.
struct PortsConfig {
    std::string host = "127.0.0.1";
    std::optional<int> modbus;
    std::optional<int> powerwall;
    std::optional<int> tesla;
    std::optional<int> truth;  ///< Plain HTTP, GET /house.json.
};

/// Topics the house publishes as other programs would.
struct PublishConfig {
    std::optional<std::string> teslamate;                 ///< Topic prefix, such as "teslamate".
    std::optional<std::chrono::milliseconds> push_every;  ///< Meter values to ems/input/….
};

struct Config {
    SiteConfig site;
    LineConfig line;
    PortsConfig ports;
    ModbusConfig modbus;
    PowerwallConfig powerwall;
    TeslaConfig tesla;
    PublishConfig publish;
    std::string ready_file;  ///< Written once everything listens; empty: none.
};

Config read_config(const config::Section& root);

/// A recorded day: CSV with the header t_s,pv_w,load_w. Throws std::invalid_argument naming file, line and problem.
std::vector<TracePoint> read_trace(const std::string& file);

}  // namespace house_sim
