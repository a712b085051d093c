#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "scheduling/scheduler.hpp"

namespace service {

/// Touched by the loop every few seconds, so that `--healthcheck` can tell a live loop from a stuck one without
/// credentials or a connection of its own.
class HealthFile {
public:
    /// A file that cannot be written is logged once; the service runs on.
    HealthFile(scheduling::Scheduler& loop, std::filesystem::path file, std::function<bool()> is_connected);
    HealthFile(const HealthFile&) = delete;
    HealthFile& operator=(const HealthFile&) = delete;
    ~HealthFile();

private:
    void write();

    std::filesystem::path file_;
    std::function<bool()> is_connected_;
    bool complained_ = false;
    scheduling::TaskScope scope_;
};

struct HealthVerdict {
    bool healthy = false;
    std::string words;
};

/// Healthy: written less than 15 s before `now` by a process that was connected to the broker. The age is kept on the
/// monotonic clock, which all processes of one boot share: a jump of the civil clock changes nothing.
HealthVerdict check_health_file(const std::filesystem::path& file,
                                scheduling::Instant now = std::chrono::steady_clock::now());

/// In $XDG_RUNTIME_DIR or /tmp, one per service and site.
std::string default_health_file(const std::string& service, const std::string& site);

}  // namespace service
