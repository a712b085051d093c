#pragma once

#include <string>

#include "contract/topics.hpp"
#include "messaging/message_bus.hpp"
#include "scheduling/scheduler.hpp"
#include "scheduling/worker.hpp"

namespace service {

/// How a service announces its devices to Home Assistant (`home_assistant.*` of its configuration).
struct HomeAssistantSettings {
    enum class Form {
        off,     ///< Nothing is announced, and what was announced before is withdrawn.
        entity,  ///< One document for each entity: every Home Assistant, openHAB and Domoticz read it.
        device,  ///< One document for each device: Home Assistant 2024.11 or newer.
    };
    Form form = Form::off;
    std::string prefix = "homeassistant";  ///< Its discovery prefix.
};

/// All a service may touch of the world. Real in a process, simulated in a test; outlives the service.
struct Environment {
    scheduling::Scheduler& loop;
    scheduling::WorkerFactory& workers;
    messaging::MessageBus& bus;
    contract::Topics topics;
    std::string name;           ///< "twc-bus", also the folder, the client id and the status topic
    bool flat_topics = true;    ///< Publish `…/power_w` beside `…/state`.
    std::string site = "home";  ///< Part of every id that must differ from site to site.
    HomeAssistantSettings home_assistant{};
};

}  // namespace service
