#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "messaging/message_bus.hpp"
#include "scheduling/scheduler.hpp"

namespace service {

/// What systemd, or whoever else understands its notification protocol, wants to hear (sd_notify(3)).
struct SupervisorSettings {
    /// A datagram socket: a path from the root, or "@name" in the abstract name space. Empty: nobody listens.
    std::string socket;
    /// It kills the process when it hears no sign of life for so long. None: it does not.
    std::optional<scheduling::Duration> watchdog;
};

/// From NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID. Call before any thread is started.
SupervisorSettings supervisor_settings_from_environment();

/// Tells the supervisor of this process how it is: ready, alive, ending. All of it comes from the loop, so a loop that
/// hangs falls silent. Without a socket it does nothing.
class Supervisor {
public:
    /// Ready is said at the first connection to the broker, or without it after ten seconds: twc-bus keeps its chargers
    /// safe without a broker too, and whoever starts a service must not wait for ever.
    Supervisor(scheduling::Scheduler& loop, messaging::MessageBus& bus, SupervisorSettings settings);
    Supervisor(const Supervisor&) = delete;
    Supervisor& operator=(const Supervisor&) = delete;
    ~Supervisor();

    /// The end has begun.
    void say_stopping();

private:
    void say_ready();
    bool say(std::string_view state);

    SupervisorSettings settings_;
    int fd_ = -1;
    bool connected_ = false;
    bool ready_ = false;
    bool complained_ = false;
    scheduling::TaskScope scope_;
    scheduling::Timer ready_deadline_;
};

}  // namespace service
