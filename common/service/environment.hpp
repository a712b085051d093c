#pragma once

#include <string>

#include "contract/topics.hpp"
#include "messaging/message_bus.hpp"
#include "scheduling/scheduler.hpp"
#include "scheduling/worker.hpp"

namespace service {

/// All a service may touch of the world. Real in a process, simulated in a test; outlives the service.
struct Environment {
    scheduling::Scheduler& loop;
    scheduling::WorkerFactory& workers;
    messaging::MessageBus& bus;
    contract::Topics topics;
    std::string name;         ///< "twc-bus", also the folder, the client id and the status topic
    bool flat_topics = true;  ///< Publish `…/power_w` beside `…/state`.
};

}  // namespace service
