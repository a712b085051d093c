#include "policy-engine/config.hpp"
#include "policy-engine/policy_engine.hpp"
#include "service/run_service.hpp"

int main(int argc, char** argv) {
    return service::run({.name = "policy-engine", .summary = "decides how many amps each charger may offer, and why"},
                        argc, argv, [](const config::Section& root) -> service::Start {
                            return [config = policy_engine::read_config(root)](service::Process& process) {
                                return std::make_shared<policy_engine::PolicyEngine>(config, process.environment, [] {
                                    static http::CurlHttpClientFactory http;
                                    return http.make_client({});
                                });
                            };
                        });
}
