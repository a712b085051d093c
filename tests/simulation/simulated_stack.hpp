#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include <nlohmann/json.hpp>

#include "ems-bridge/ems_bridge.hpp"
#include "house-sim/house_sim.hpp"
#include "messaging/in_memory_broker.hpp"
#include "policy-engine/policy_engine.hpp"
#include "scheduling/simulated_loop.hpp"
#include "service/environment.hpp"
#include "tesla-bridge/tesla_bridge.hpp"
#include "twc-bus/twc_bus.hpp"

/// The four services and the simulated house in one process and in virtual time: the same seed gives the same
/// messages, byte for byte. The services meet the house where they would meet hardware: bytes of the RS-485 line,
/// Modbus frames, HTTP requests.
class SimulatedStack {
public:
    struct Options {
        std::uint64_t seed = 1;
        std::string sky = "clear";  ///< clear, broken, overcast
        int units = 1;              ///< 1 to 3, each with a car that is plugged in from the start
        int protocol = 2;
        int wiring_max_a = 32;
        service::HomeAssistantSettings home_assistant{};
        std::string script;  ///< Further lines of the house's script, each ", {…}".
    };

    explicit SimulatedStack(const Options& options);
    SimulatedStack(const SimulatedStack&) = delete;
    SimulatedStack& operator=(const SimulatedStack&) = delete;
    ~SimulatedStack();

    void run_for(scheduling::Duration duration) { loop_.run_for(duration); }
    /// Counted from the start.
    void run_until(scheduling::Duration since_start) { loop_.run_until(scheduling::Instant(since_start)); }

    /// Ends a service as SIGKILL would: no goodbye, the broker sends its will. What is on disk stays.
    void kill(const std::string& service);
    void start(const std::string& service);
    /// For services that are started from now on.
    void set_home_assistant(service::HomeAssistantSettings settings) { options_.home_assistant = std::move(settings); }

    /// What anyone who subscribes now is told; null: nothing.
    nlohmann::json state(const std::string& topic) const;
    std::string retained(const std::string& topic) const;
    void publish(const std::string& topic, const std::string& payload);

    house_sim::Site& site() { return house_->site(); }
    messaging::InMemoryBroker& broker() { return broker_; }

    /// A digest of every message sent so far, in order.
    std::uint64_t digest() const { return digest_; }

private:
    class HouseHttp;
    class HouseModbus;
    class HouseLine;
    struct Client;
    struct Bus;
    struct Ems;
    struct Tesla;
    struct Policy;

    std::string folder_;
    std::string house_yaml_;
    Options options_;
    scheduling::SimulatedLoop loop_;
    scheduling::SimulatedWorkerFactory workers_{loop_};
    messaging::InMemoryBroker broker_{loop_};
    std::uint64_t digest_ = 14695981039346656037ULL;
    std::unique_ptr<Client> observer_;
    std::unique_ptr<Client> house_client_;
    std::unique_ptr<house_sim::HouseSim> house_;
    std::unique_ptr<Bus> bus_;
    std::unique_ptr<Ems> ems_;
    std::unique_ptr<Tesla> tesla_;
    std::unique_ptr<Policy> policy_;
};
