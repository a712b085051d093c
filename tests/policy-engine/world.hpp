#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "contract/messages.hpp"
#include "contract/topics.hpp"
#include "messaging/in_memory_broker.hpp"
#include "policy-engine/policy_engine.hpp"
#include "scheduling/simulated_loop.hpp"
#include "support/temporary_folder.hpp"

/// A broker in virtual time, the service, and a pen for everyone else.
struct World {
    explicit World(policy_engine::ServiceConfig service_config = {}, policy_engine::MakeHttpClient http = {})
        : config(std::move(service_config)), make_http_client(std::move(http)) {
        if (config.state_file.empty()) {
            config.state_file = folder / "state.json";
        }
        broker.tap([this](const std::string& client, const messaging::Publication& publication) {
            if (client == "policy-engine") {
                published.push_back(publication);
            }
        });
        others = broker.connect("others");
        start();
    }

    void start() {
        bus = broker.connect("policy-engine",
                             messaging::Publication{topics.service_status("policy-engine"), "offline", true, 1});
        environment = std::make_unique<service::Environment>(
            service::Environment{loop, workers, *bus, topics, "policy-engine", true});
        engine = std::make_unique<policy_engine::PolicyEngine>(config, *environment, make_http_client);
        loop.run_for(std::chrono::milliseconds(10));
    }

    void stop() {
        engine.reset();
        environment.reset();
        bus.reset();
    }

    void send(const std::string& topic, const std::string& payload, bool retained = false) {
        others->publish({.topic = topic, .payload = payload, .retained = retained, .qos = 1});
        loop.run_for(std::chrono::milliseconds(1));
    }

    template <contract::Described Message>
    void send(const std::string& topic, const Message& message) {
        send(topic, contract::to_json(message).dump(), true);
    }

    void grid(double watts) {
        send(topics.ems_state(),
             contract::SitePower{.ts = loop.wall_now(), .grid_w = watts, .quality = "ok", .age_s = 0.2});
    }

    void charger(const std::string& id, double current_a, contract::ChargerState state = {.plugged = true}) {
        state.ts = loop.wall_now();
        state.current_a = current_a;
        state.phases = state.phases.value_or(1);
        send(topics.charger_state(id), state);
    }

    /// The grid at `grid_w` and chargers at their currents, once a second.
    void hold(double grid_w, const std::map<std::string, double>& currents, int seconds) {
        for (int i = 0; i < seconds; ++i) {
            grid(grid_w);
            for (const auto& [id, current] : currents) {
                charger(id, current);
            }
            loop.run_for(std::chrono::milliseconds(999 - static_cast<int>(currents.size())));
        }
    }

    /// A house with this surplus and a car that follows its offer, once a second.
    void live(double surplus_w, int seconds, const std::string& id = "7744") {
        for (int i = 0; i < seconds; ++i) {
            const double offer = std::max(limit(id), 0.0);
            double& drawn = drawn_a[id];
            drawn = offer < 6 ? std::max(0.0, drawn - 3) : std::clamp(offer, drawn - 3, drawn + 1);
            double total_a = 0;
            for (const auto& [other, current] : drawn_a) {
                total_a += current;
            }
            charger(id, drawn);
            loop.run_for(std::chrono::milliseconds(400));
            grid(total_a * 230 - surplus_w);
            loop.run_for(std::chrono::milliseconds(598));
        }
    }

    std::vector<messaging::Publication> sent_to(const std::string& topic) const {
        std::vector<messaging::Publication> found;
        for (const auto& publication : published) {
            if (publication.topic == topic) {
                found.push_back(publication);
            }
        }
        return found;
    }

    /// The newest limit sent for the charger; -1: none yet.
    double limit(const std::string& id = "7744") const {
        const auto sent = sent_to(topics.bus_limit_set());
        if (sent.empty()) {
            return -1;
        }
        const auto message = contract::from_text<contract::LimitSet>(sent.back().payload);
        const auto found = message.chargers.find(id);
        return found == message.chargers.end() ? -1 : found->second;
    }

    nlohmann::json retained(const std::string& topic) const {
        return nlohmann::json::parse(broker.retained(topic).value_or("null"));
    }

    std::string reason_code(const std::string& id = "7744") const {
        return retained(topics.policy_charger_state(id)).value("reason_code", "");
    }

    /// The newest event of this type; null: none.
    nlohmann::json event(const std::string& type) const {
        nlohmann::json newest;
        for (const auto& publication : sent_to(topics.service_event("policy-engine"))) {
            auto event = nlohmann::json::parse(publication.payload);
            if (event.at("event_type") == type) {
                newest = std::move(event);
            }
        }
        return newest;
    }

    std::map<std::string, double> drawn_a;  ///< Of the cars of `live`.
    support::TemporaryFolder folder;
    policy_engine::ServiceConfig config;
    policy_engine::MakeHttpClient make_http_client;
    scheduling::SimulatedLoop loop{std::chrono::sys_days(std::chrono::year(2026) / 6 / 1) + std::chrono::hours(9)};
    scheduling::SimulatedWorkerFactory workers{loop};
    messaging::InMemoryBroker broker{loop};
    contract::Topics topics{"twc"};
    std::vector<messaging::Publication> published;
    std::unique_ptr<messaging::InMemoryClient> others;
    std::unique_ptr<messaging::InMemoryClient> bus;
    std::unique_ptr<service::Environment> environment;
    std::unique_ptr<policy_engine::PolicyEngine> engine;
};
