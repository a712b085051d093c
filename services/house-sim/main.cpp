#include "house-sim/config.hpp"
#include "house-sim/house_sim.hpp"
#include "house-sim/servers.hpp"
#include "service/run_service.hpp"

namespace {

struct Running {
    Running(const house_sim::Config& config, service::Process& process)
        : house(config, process.environment), servers(house, process.event_loop) {}

    house_sim::HouseSim house;
    house_sim::Servers servers;
};

}  // namespace

int main(int argc, char** argv) {
    return service::run(
        {.name = "house-sim", .summary = "a simulated house with Wall Connectors, cars, sun and meters"}, argc, argv,
        [](const config::Section& root) -> service::Start {
            return [config = house_sim::read_config(root)](service::Process& process) {
                return std::make_shared<Running>(config, process);
            };
        });
}
