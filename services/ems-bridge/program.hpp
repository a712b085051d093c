#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "ems-bridge/mapping.hpp"
#include "ems-bridge/modbus.hpp"
#include "ems-bridge/role.hpp"
#include "http/http_client.hpp"

/// A source described by data: where to ask, and how to read the answer. Templates and the types `http` and `mqtt`
/// are made of these.
namespace ems_bridge {

struct HttpQuery {
    std::string document;
    http::Request request;
    bool is_json = true;
    std::vector<mapping::Match> ok_when;  ///< Otherwise the body is the device's error message.
    std::optional<nlohmann::json::json_pointer> error_text;
};

struct HttpProgram {
    http::TlsTrust trust;
    std::vector<HttpQuery> queries;
};

struct ModbusProgram {
    ModbusEndpoint endpoint;
    int unit = 1;
    bool input_registers = false;
    std::vector<mapping::RegisterRange> ranges;
    bool walks_sunspec = false;
    std::optional<int> sunspec_base;
};

struct MqttProgram {
    std::map<std::string, std::string> topics;  ///< Absolute topic by document name.
    bool accept_retained = false;               ///< A retained value of unknown age counts as just measured.
};

struct Program {
    mapping::Mapping mapping;
    std::variant<HttpProgram, ModbusProgram, MqttProgram> transport;
};

/// The roles a mapping can fill.
Roles roles_of(const mapping::Mapping& mapping);

/// `tls`: how an https server is trusted: `pin: sha256//…`, `ca_file: …` or `accept_any: true`; none: the system's
/// certificate authorities.
http::TlsTrust read_trust(const config::Section& section);

/// The keys of one transport, without `values`, which is read already.
HttpProgram read_http(const config::Section& section);
ModbusProgram read_modbus(const config::Section& section, const mapping::Mapping& mapping);
MqttProgram read_mqtt(const config::Section& section, const mapping::Mapping& mapping);

/// Where a Modbus TCP server is: host, port, timeout_s, min_gap_s, connect_delay_s, reconnect_delay_s.
ModbusEndpoint read_endpoint(const config::Section& section, int default_port, double default_reconnect_delay_s = 1);

/// Joins neighbouring ranges of the same importance, leaving out what `blocks` covers, which are read as given.
std::vector<mapping::RegisterRange> plan_reads(std::vector<mapping::RegisterRange> wanted,
                                               std::vector<mapping::RegisterRange> blocks);

}  // namespace ems_bridge
