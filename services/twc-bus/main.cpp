#include <string_view>

#include "service/run_service.hpp"
#include "twc-bus/monitor.hpp"
#include "twc-bus/observer.hpp"
#include "twc-bus/slave_bus.hpp"
#include "twc-bus/twc_bus.hpp"

namespace {

/// The links and the service that uses them.
template <class Service, class ServiceConfig>
struct Running {
    Running(const ServiceConfig& config, const std::vector<std::string>& ports, service::Process& process) {
        std::vector<twc_bus::ByteLink*> ends;
        for (const auto& port : ports) {
            links.push_back(twc_bus::make_link(port, process.event_loop));
            ends.push_back(links.back().get());
        }
        if constexpr (std::is_same_v<Service, twc_bus::TwcBus>) {
            service.emplace(config, process.environment, ends);
        } else {
            service.emplace(config, process.environment, *ends.front());
        }
    }

    std::vector<std::unique_ptr<twc_bus::ByteLink>> links;
    std::optional<Service> service;
};

std::shared_ptr<void> start(const twc_bus::Config& config, service::Process& process) {
    const auto& line = config.lines.front();
    const twc_bus::RoleConfig role_config{
        .port = line.port, .mains = config.mains, .state_file = config.state_file, .slave = line.role.slave};
    std::vector<std::string> ports;
    for (const auto& each : config.lines) {
        ports.push_back(each.port);
    }
    switch (line.role.role) {
        case twc_bus::Role::listen:
            return std::make_shared<Running<twc_bus::Observer, twc_bus::RoleConfig>>(role_config, ports, process);
        case twc_bus::Role::slave:
            return std::make_shared<Running<twc_bus::SlaveBus, twc_bus::RoleConfig>>(role_config, ports, process);
        case twc_bus::Role::master:
            break;
    }
    return std::make_shared<Running<twc_bus::TwcBus, twc_bus::Config>>(config, ports, process);
}

}  // namespace

int main(int argc, char** argv) {
    if (argc > 1 && std::string_view(argv[1]) == "monitor") {
        return twc_bus::run_monitor(argc - 2, argv + 2);
    }
    const service::Description about{.name = "twc-bus",
                                     .summary =
                                         "Master of the RS-485 bus of Tesla Gen 2 Wall Connectors; keeps the current "
                                         "limits. On the bus of another master it listens or is one of its units. "
                                         "\"twc-bus monitor\" only looks at a line."};
    return service::run(about, argc, argv, [](const config::Section& root) -> service::Start {
        return [config = twc_bus::read_config(root)](service::Process& process) { return start(config, process); };
    });
}
