#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "config/section.hpp"
#include "service/environment.hpp"

namespace scheduling {
class EventLoop;
}

namespace service {

/// Exit codes of every service.
enum class ExitCode : int { stopped = 0, failed = 1, misconfigured = 2 };

/// What a service needs beside its environment when it runs as a process.
struct Process {
    Environment& environment;
    scheduling::EventLoop& event_loop;
    std::function<void(std::string)> fail;  ///< Ends the process with an error, cleanly.
};

/// Makes the running service; it lives until the process ends.
using Start = std::function<std::shared_ptr<void>(Process&)>;
/// Reads the service's own keys (the shared ones are read already) and returns what starts it. Problems are
/// reported through the section; throws nothing.
using Prepare = std::function<Start(const config::Section& root)>;

struct Description {
    std::string name;     ///< "twc-bus"
    std::string summary;  ///< One line for --help.
};

/// The whole main() of a service: arguments, config, logging, signals, loop, MQTT, health file, exit code.
///
///     NAME [--config FILE] [--set path.to.key=value]... [--check-config | --healthcheck | --version | --help]
///
/// SIGTERM and SIGINT end it within a second, offline published first; SIGHUP reads `log.level` again.
int run(const Description& description, int argc, const char* const* argv, const Prepare& prepare);

}  // namespace service
