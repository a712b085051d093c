#include "ems-bridge/ems_bridge.hpp"
#include "ems-bridge/template.hpp"
#include "service/run_service.hpp"

namespace {

struct Running {
    http::CurlHttpClientFactory http;
    ems_bridge::TcpModbusClientFactory modbus;
    ems_bridge::Io io{http, modbus};
    ems_bridge::EmsBridge bridge;

    Running(ems_bridge::Config config, service::Environment& environment)
        : bridge(std::move(config), environment, io) {}
};

}  // namespace

int main(int argc, char** argv) {
    return service::run({.name = "ems-bridge", .summary = "meters, inverters and batteries to one picture over MQTT"},
                        argc, argv, [](const config::Section& root) -> service::Start {
                            return [config = ems_bridge::read_config(root, ems_bridge::shipped_templates())](
                                       service::Process& process) {
                                return std::make_shared<Running>(config, process.environment);
                            };
                        });
}
