#pragma once

#include <memory>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "contract/schema.hpp"
#include "messaging/in_memory_broker.hpp"
#include "scheduling/simulated_loop.hpp"
#include "service/environment.hpp"

namespace support {

/// The world of one or more services in virtual time, from 2026-06-21 12:00 UTC on.
class SimulatedWorld {
public:
    struct Sent {
        std::string client;
        messaging::Publication publication;
        scheduling::Instant at;
    };

    SimulatedWorld() {
        broker.tap([this](const std::string& client, const messaging::Publication& publication) {
            sent.push_back({client, publication, loop.now()});
        });
    }

    scheduling::SimulatedLoop loop{std::chrono::sys_days(std::chrono::year(2026) / 6 / 21) + std::chrono::hours(12)};
    messaging::InMemoryBroker broker{loop};
    scheduling::SimulatedWorkerFactory workers{loop};
    std::vector<Sent> sent;  ///< Everything that was published, by anyone.

    std::vector<Sent> sent_on(const std::string& topic) const {
        std::vector<Sent> result;
        for (const auto& message : sent) {
            if (message.publication.topic == topic) {
                result.push_back(message);
            }
        }
        return result;
    }
    /// The last payload on a topic, as JSON; null when there was none.
    nlohmann::json last_json(const std::string& topic) const {
        const auto all = sent_on(topic);
        return all.empty() ? nlohmann::json() : contract::parse_json(all.back().publication.payload);
    }
};

/// What one service gets of the world. Destroy it with its service for a crash: the broker then sends its will.
class SimulatedService {
public:
    SimulatedService(SimulatedWorld& world, const std::string& name, const std::string& base_topic = "twc")
        : topics_(base_topic),
          client_(world.broker.connect(
              name,
              messaging::Publication{
                  .topic = topics_.service_status(name), .payload = "offline", .retained = true, .qos = 1})),
          environment{world.loop, world.workers, *client_, topics_, name} {}

    messaging::InMemoryClient& client() { return *client_; }

private:
    contract::Topics topics_;
    std::unique_ptr<messaging::InMemoryClient> client_;

public:
    service::Environment environment;  // after what it refers to
};

}  // namespace support
