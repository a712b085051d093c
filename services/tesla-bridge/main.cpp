#include "service/run_service.hpp"
#include "tesla-bridge/tesla_bridge.hpp"

namespace {

struct Running {
    Running(tesla_bridge::Config config, service::Environment& environment)
        : bridge(std::move(config), environment, http_clients) {}

    http::CurlHttpClientFactory http_clients;
    tesla_bridge::TeslaBridge bridge;
};

}  // namespace

int main(int argc, char** argv) {
    const service::Description description{.name = "tesla-bridge",
                                           .summary = "state and commands of Tesla vehicles over MQTT"};
    return service::run(description, argc, argv, [](const config::Section& root) -> service::Start {
        return [config = tesla_bridge::read_config(root)](service::Process& process) {
            return std::make_shared<Running>(config, process.environment);
        };
    });
}
