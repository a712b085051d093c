#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "house-sim/config.hpp"

namespace asio {
class io_context;
}

namespace house_sim {

/// The RS-485 line as seen from outside: a pseudo terminal behind a symlink, and a TCP port. Whoever opens one of
/// them is the adapter of the bus master. Loop thread only.
class LinePort {
public:
    using OnBytes = std::function<void(std::span<const std::uint8_t>)>;

    /// Throws std::runtime_error when the terminal or the port cannot be had.
    LinePort(asio::io_context& io, const LineConfig& config, const std::string& host, OnBytes on_bytes);
    LinePort(const LinePort&) = delete;
    LinePort& operator=(const LinePort&) = delete;
    /// Removes the symlink.
    ~LinePort();

    /// To everyone who listens. Nobody there: lost, as on a wire.
    void write(std::span<const std::uint8_t> bytes);

    std::optional<int> tcp_port() const;

private:
    struct Impl;
    std::shared_ptr<Impl> impl_;
};

}  // namespace house_sim
