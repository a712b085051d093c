#include <string_view>

#include "service/run_service.hpp"
#include "twc-bus/monitor.hpp"
#include "twc-bus/twc_bus.hpp"

namespace {

struct Running {
    Running(const twc_bus::Config& config, service::Process& process) {
        std::vector<twc_bus::ByteLink*> ends;
        for (const auto& line : config.lines) {
            links.push_back(twc_bus::make_link(line.port, process.event_loop));
            ends.push_back(links.back().get());
        }
        bus.emplace(config, process.environment, ends);
    }

    std::vector<std::unique_ptr<twc_bus::ByteLink>> links;
    std::optional<twc_bus::TwcBus> bus;
};

}  // namespace

int main(int argc, char** argv) {
    if (argc > 1 && std::string_view(argv[1]) == "monitor") {
        return twc_bus::run_monitor(argc - 2, argv + 2);
    }
    const service::Description about{.name = "twc-bus",
                                     .summary =
                                         "Master of the RS-485 bus of Tesla Gen 2 Wall Connectors; keeps the current "
                                         "limits. \"twc-bus monitor\" only looks at a line."};
    return service::run(about, argc, argv, [](const config::Section& root) -> service::Start {
        return [config = twc_bus::read_config(root)](service::Process& process) -> std::shared_ptr<void> {
            return std::make_shared<Running>(config, process);
        };
    });
}
