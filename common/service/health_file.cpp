#include "service/health_file.hpp"

#include <cstdint>
#include <cstdlib>
#include <fcntl.h>
#include <fstream>
#include <unistd.h>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

namespace service {

namespace {

using namespace std::chrono_literals;

constexpr auto write_period = 5s;
constexpr std::chrono::seconds oldest_healthy = 15s;

}  // namespace

HealthFile::HealthFile(scheduling::Scheduler& loop, std::filesystem::path file, std::function<bool()> is_connected)
    : file_(std::move(file)), is_connected_(std::move(is_connected)), scope_(loop) {
    scope_.call_after(1s, [this] { write(); });
    scope_.call_every(write_period, [this] { write(); });
}

HealthFile::~HealthFile() {
    std::error_code ignored;
    std::filesystem::remove(file_, ignored);
}

// In place and in one go, so that a reader never sees half of it; through no link that someone else put there.
void HealthFile::write() {
    const auto now = std::chrono::duration_cast<std::chrono::seconds>(scope_.loop().now().time_since_epoch());
    const std::string text =
        fmt::format("{:<12} {:>20}\n", is_connected_() ? "connected" : "disconnected", now.count());
    const int fd = open(file_.c_str(), O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);
    const bool written = fd >= 0 && pwrite(fd, text.data(), text.size(), 0) == static_cast<ssize_t>(text.size());
    if (fd >= 0) {
        close(fd);
    }
    if (!written && !complained_) {
        complained_ = true;
        spdlog::warn("health file {} cannot be written: --healthcheck will fail", file_.string());
    }
}

HealthVerdict check_health_file(const std::filesystem::path& file, scheduling::Instant now) {
    std::ifstream stream(file);
    std::string state;
    std::int64_t written_s = 0;
    if (!(stream >> state >> written_s)) {
        return {false, fmt::format("{}: not there; the service is not running", file.string())};
    }
    const auto age = std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count() - written_s;
    if (age < 0 || age > oldest_healthy.count()) {
        return {false, age < 0 ? "last sign of life before this boot" : fmt::format("last sign of life {} s ago", age)};
    }
    return {state == "connected", state == "connected" ? "healthy" : "alive, but not connected to the broker"};
}

std::string default_health_file(const std::string& service, const std::string& site) {
    const char* folder = std::getenv("XDG_RUNTIME_DIR");  // NOLINT(concurrency-mt-unsafe)
    return fmt::format("{}/twc-mqtt-{}-{}.health", folder != nullptr && *folder != '\0' ? folder : "/tmp", service,
                       site);
}

}  // namespace service
