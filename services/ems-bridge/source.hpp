#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>

#include "ems-bridge/modbus.hpp"
#include "ems-bridge/reading.hpp"
#include "ems-bridge/source_error.hpp"
#include "http/http_client.hpp"

namespace ems_bridge {

/// One inverter, meter or gateway that is asked. Lives on a worker of its own, so it may block.
class Source {
public:
    Source() = default;
    Source(const Source&) = delete;
    Source& operator=(const Source&) = delete;
    virtual ~Source() = default;

    /// Throws on any failure. The poller then destroys this object and makes a new one for the next try, so that no
    /// half-broken session survives. What must survive (a login token, its cool-down) is shared by the maker.
    virtual Reading read() = 0;
};

/// How sources reach the world: real in a process, the simulated house in a test. Outlives every source.
struct Io {
    http::HttpClientFactory& http;
    ModbusClientFactory& modbus;
};

/// Runs on the source's worker.
using MakeSource = std::function<std::unique_ptr<Source>(Io&)>;

}  // namespace ems_bridge
