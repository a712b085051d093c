#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "house-sim/line_code.hpp"

namespace asio {
class io_context;
}

namespace house_sim {

/// Modbus TCP on the loop, for any number of clients at once. Whole requests go to `answer`; none: no reply.
class ModbusServer {
public:
    using Answer = std::function<std::optional<Bytes>(std::span<const std::uint8_t>)>;

    /// Port 0: a free one. Throws std::system_error when it cannot be had.
    ModbusServer(asio::io_context& io, const std::string& host, int port, Answer answer);
    ModbusServer(const ModbusServer&) = delete;
    ModbusServer& operator=(const ModbusServer&) = delete;
    ~ModbusServer();

    int port() const;

private:
    struct Impl;
    class Connection;
    std::shared_ptr<Impl> impl_;
};

}  // namespace house_sim
