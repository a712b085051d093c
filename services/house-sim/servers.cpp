#include "house-sim/servers.hpp"

#include <filesystem>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <spdlog/spdlog.h>

#include "house-sim/line_port.hpp"
#include "house-sim/modbus_server.hpp"
#include "scheduling/event_loop.hpp"
#include "storage/atomic_file.hpp"

namespace house_sim {

struct Servers::Impl {
    std::unique_ptr<LinePort> line;
    std::unique_ptr<ModbusServer> modbus;
    std::string ready_file;
};

Servers::Servers(HouseSim& house, scheduling::EventLoop& loop) : impl_(std::make_unique<Impl>()) {
    const auto& config = house.config();
    nlohmann::json ready{{"pid", getpid()}, {"host", config.ports.host}};
    impl_->line = std::make_unique<LinePort>(loop.io(), config.line, config.ports.host,
                                             [&house](std::span<const std::uint8_t> bytes) { house.transmit(bytes); });
    house.on_line_output([line = impl_->line.get()](std::span<const std::uint8_t> bytes) { line->write(bytes); });
    if (!config.line.pty.empty()) {
        ready["pty"] = config.line.pty;
    }
    if (const auto port = impl_->line->tcp_port()) {
        ready["line_port"] = *port;
    }
    if (config.ports.modbus) {
        impl_->modbus = std::make_unique<ModbusServer>(
            loop.io(), config.ports.host, *config.ports.modbus,
            [&house](std::span<const std::uint8_t> frame) { return house.modbus(frame); });
        ready["modbus_port"] = impl_->modbus->port();
    }
    spdlog::info("ready: {}", ready.dump());
    if (!config.ready_file.empty()) {
        storage::write_atomically(config.ready_file, ready.dump(2) + "\n");
        impl_->ready_file = config.ready_file;
    }
}

Servers::~Servers() {
    if (!impl_->ready_file.empty()) {
        std::error_code ignored;
        std::filesystem::remove(impl_->ready_file, ignored);
    }
}

}  // namespace house_sim
