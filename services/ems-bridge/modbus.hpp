#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "ems-bridge/source_error.hpp"

namespace ems_bridge {

inline constexpr int max_registers_per_read = 125;  ///< Modbus application protocol: one answer holds no more.

/// Where a Modbus TCP server is and how it wants to be treated.
struct ModbusEndpoint {
    std::string host;
    int port = 502;
    std::chrono::milliseconds timeout{3000};          ///< For the connection and for each answer.
    std::chrono::milliseconds min_gap{0};             ///< Between an answer and the next request.
    std::chrono::milliseconds connect_delay{0};       ///< Between connecting and the first request.
    std::chrono::milliseconds reconnect_delay{1000};  ///< Between losing a connection and making the next.
};

/// The device answered with a Modbus exception; the connection is still good.
class ModbusException : public SourceError {
public:
    ModbusException(const std::string& what, int code) : SourceError(ErrorKind::device, what), code_(code) {}
    /// As on the wire: 1 illegal function, 2 illegal data address, 3 illegal data value, 4 device failure,
    /// 10 gateway path unavailable, 11 gateway target did not answer.
    int code() const { return code_; }

private:
    int code_;
};

inline constexpr int illegal_data_address = 2;

/// One device behind a server. Addresses are those on the wire (from 0), `count` is at most 125. Blocks; throws
/// ModbusException, or SourceError after which the connection is gone.
class ModbusClient {
public:
    ModbusClient() = default;
    ModbusClient(const ModbusClient&) = delete;
    ModbusClient& operator=(const ModbusClient&) = delete;
    virtual ~ModbusClient() = default;

    virtual std::vector<std::uint16_t> read_holding(int unit, int address, int count) = 0;
    virtual std::vector<std::uint16_t> read_input(int unit, int address, int count) = 0;
};

class ModbusClientFactory {
public:
    ModbusClientFactory() = default;
    ModbusClientFactory(const ModbusClientFactory&) = delete;
    ModbusClientFactory& operator=(const ModbusClientFactory&) = delete;
    virtual ~ModbusClientFactory() = default;
    virtual std::unique_ptr<ModbusClient> make_client(const ModbusEndpoint& endpoint) = 0;
};

/// libmodbus. Clients of the same host and port share one connection and take turns on it: many inverters accept
/// exactly one. Thread-safe.
class TcpModbusClientFactory final : public ModbusClientFactory {
public:
    TcpModbusClientFactory();
    std::unique_ptr<ModbusClient> make_client(const ModbusEndpoint& endpoint) override;

private:
    struct Connections;
    std::shared_ptr<Connections> connections_;
};

}  // namespace ems_bridge
