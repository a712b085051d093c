#include "house-sim/servers.hpp"

#include <filesystem>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <spdlog/spdlog.h>

#include "house-sim/certificate.hpp"
#include "house-sim/http_server.hpp"
#include "house-sim/line_port.hpp"
#include "house-sim/modbus_server.hpp"
#include "scheduling/event_loop.hpp"
#include "storage/atomic_file.hpp"

namespace house_sim {

struct Servers::Impl {
    std::unique_ptr<LinePort> line;
    std::unique_ptr<ModbusServer> modbus;
    std::unique_ptr<Certificate> certificate;
    std::vector<std::unique_ptr<HttpServer>> http;
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
    if (config.ports.powerwall) {
        impl_->certificate = std::make_unique<Certificate>();
        ready["powerwall_pin"] = impl_->certificate->pin();
    }
    const auto offer = [&](const char* key, std::optional<int> port, const Certificate* certificate,
                           HttpServer::Answer answer) {
        if (port) {
            const HttpServer::Options options{.host = config.ports.host, .port = *port, .certificate = certificate};
            ready[key] =
                impl_->http.emplace_back(std::make_unique<HttpServer>(loop, options, std::move(answer)))->port();
        }
    };
    offer("powerwall_port", config.ports.powerwall, impl_->certificate.get(),
          [&house](const http::Request& request) { return house.powerwall(request); });
    offer("tesla_port", config.ports.tesla, nullptr,
          [&house](const http::Request& request) { return house.tesla(request); });
    offer("truth_port", config.ports.truth, nullptr,
          [&house](const http::Request& request) { return std::optional(house.truth(request)); });
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
