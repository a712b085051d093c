#pragma once

#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "contract/messages.hpp"
#include "messaging/in_memory_broker.hpp"
#include "scheduling/simulated_loop.hpp"
#include "slave_model.hpp"
#include "support/temporary_folder.hpp"
#include "twc-bus/twc_bus.hpp"

namespace service_rig {

using namespace std::chrono_literals;
using nlohmann::json;
using slave_model::Line;

/// The service with its broker and its wires, in virtual time.
struct World {
    explicit World(double wiring_a = 32) {
        config.lines = {{.name = "", .port = "/dev/test", .role = {}, .listen = 0ms}};
        config.limits = {.wiring_ca = static_cast<int>(wiring_a * 100),
                         .charger_max_ca = 3200,
                         .charger_min_ca = 600,
                         .failsafe_ca = 600};
        config.state_file = folder / "state.json";
        broker.tap([this](const std::string& sender, const messaging::Publication& publication) {
            if (sender == "twc-bus") {
                published.push_back(publication);
            }
        });
    }

    void start() {
        client = broker.connect("twc-bus");
        environment.emplace(
            service::Environment{loop, workers, *client, contract::Topics("twc"), "twc-bus", /*flat_topics=*/true});
        bus.emplace(config, *environment, links);
    }
    void stop() {
        bus.reset();
        environment.reset();
        client.reset();
    }
    void send(const std::string& topic, const std::string& payload, bool retained = false) {
        policy->publish({.topic = topic, .payload = payload, .retained = retained, .qos = 1});
        loop.run_for(1ms);
    }
    void lease(const json& chargers, double ttl_s = 30) {
        json message{{"ttl_s", ttl_s}, {"seq", ++seq}, {"chargers", chargers}};
        if (max_a) {
            message["max_a"] = *max_a;
        }
        send("twc/bus/limit/set", message.dump());
    }
    /// Renews the lease every 5 s while time passes.
    void run_with_lease(const json& chargers, std::chrono::seconds duration) {
        for (auto passed = 0s; passed < duration; passed += 5s) {
            lease(chargers);
            loop.run_for(5s);
        }
    }
    contract::BusState state() { return contract::from_text<contract::BusState>(*broker.retained("twc/bus/state")); }
    contract::ChargerState charger(const std::string& id) {
        return contract::from_text<contract::ChargerState>(*broker.retained("twc/charger/" + id + "/state"));
    }
    std::vector<json> events(const std::string& topic, const std::string& type) {
        std::vector<json> found;
        for (const auto& publication : published) {
            if (publication.topic == topic) {
                auto event = json::parse(publication.payload);
                if (event["event_type"] == type) {
                    found.push_back(std::move(event));
                }
            }
        }
        return found;
    }
    std::vector<json> rejections() { return events("twc/service/twc-bus/event", "command_rejected"); }

    support::TemporaryFolder folder;
    std::vector<messaging::Publication> published;
    scheduling::SimulatedLoop loop{scheduling::WallTime{std::chrono::seconds(1'790'000'000)}};
    scheduling::SimulatedWorkerFactory workers{loop};
    messaging::InMemoryBroker broker{loop};
    std::unique_ptr<messaging::InMemoryClient> policy = broker.connect("policy-engine");
    std::unique_ptr<messaging::InMemoryClient> client;
    std::optional<service::Environment> environment;
    Line line{loop};
    std::vector<twc_bus::ByteLink*> links{&line};
    twc_bus::Config config;
    std::optional<twc_bus::TwcBus> bus;
    std::int64_t seq = 0;
    std::optional<double> max_a;  ///< Sent with every lease.
};

}  // namespace service_rig
