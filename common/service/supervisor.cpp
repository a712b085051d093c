#include "service/supervisor.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <cstdlib>
#include <sys/socket.h>
#include <sys/un.h>
#include <system_error>
#include <unistd.h>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

namespace service {

namespace {

using namespace std::chrono_literals;

constexpr auto longest_unready = 10s;
constexpr auto repeat_ready_after = 1s;
constexpr int signs_of_life_per_watchdog = 3;

std::string from_environment(const char* name) {
    const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): no thread yet
    return value != nullptr ? value : "";
}

std::optional<std::int64_t> to_number(const std::string& text) {
    std::int64_t number = 0;
    const auto* const end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data(), end, number);
    return error == std::errc{} && rest == end && number > 0 ? std::optional(number) : std::nullopt;
}

}  // namespace

SupervisorSettings supervisor_settings_from_environment() {
    SupervisorSettings settings{.socket = from_environment("NOTIFY_SOCKET"), .watchdog = {}};
    const auto watchdog_us = to_number(from_environment("WATCHDOG_USEC"));
    const auto for_process = from_environment("WATCHDOG_PID");
    if (watchdog_us && (for_process.empty() || to_number(for_process) == getpid())) {
        settings.watchdog = std::chrono::microseconds(*watchdog_us);
    }
    return settings;
}

Supervisor::Supervisor(scheduling::Scheduler& loop, messaging::MessageBus& bus, SupervisorSettings settings)
    : settings_(std::move(settings)), scope_(loop), ready_deadline_(loop) {
    if (settings_.socket.empty()) {
        return;
    }
    fd_ = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bus.on_connection_change(scope_, [this](bool connected) {
        connected_ = connected;
        if (ready_) {
            say(connected ? "STATUS=connected to the broker" : "STATUS=the broker is away");
        } else if (connected) {
            say_ready();
        }
    });
    ready_deadline_.set_after(longest_unready, [this] { say_ready(); });
    if (settings_.watchdog) {
        const scheduling::Duration period = *settings_.watchdog / signs_of_life_per_watchdog;
        scope_.call_every(std::max<scheduling::Duration>(period, 1ms), [this] { say("WATCHDOG=1"); });
    }
}

Supervisor::~Supervisor() {
    if (fd_ >= 0) {
        close(fd_);
    }
}

void Supervisor::say_stopping() { say("STOPPING=1\nSTATUS=ending"); }

void Supervisor::say_ready() {
    ready_ = say(connected_ ? "READY=1\nSTATUS=connected to the broker" : "READY=1\nSTATUS=the broker is away");
    if (ready_) {
        ready_deadline_.cancel();
    } else {
        ready_deadline_.set_after(repeat_ready_after, [this] { say_ready(); });
    }
}

// Never waits: a sign of life that finds the supervisor's queue full is one of three.
bool Supervisor::say(std::string_view state) {
    if (settings_.socket.empty()) {
        return true;
    }
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const auto& name = settings_.socket;
    const bool is_abstract = name.front() == '@';
    bool sent = false;
    errno = EINVAL;
    if ((is_abstract || name.front() == '/') && name.size() < sizeof address.sun_path) {
        std::copy(name.begin(), name.end(), std::begin(address.sun_path));
        if (is_abstract) {
            address.sun_path[0] = '\0';
        }
        const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
        const auto* const to = reinterpret_cast<const sockaddr*>(&address);  // NOLINT(*-reinterpret-cast): sockets
        sent = sendto(fd_, state.data(), state.size(), MSG_NOSIGNAL, to, length) == static_cast<ssize_t>(state.size());
    }
    if (!sent && !complained_) {
        complained_ = true;
        spdlog::warn("the supervisor cannot be told \"{}\" at {}: {}", state.substr(0, state.find('\n')), name,
                     std::generic_category().message(errno));
    }
    return sent;
}

}  // namespace service
