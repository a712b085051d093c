#include "service/health_file.hpp"

#include <cstdlib>
#include <fstream>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

namespace service {

namespace {

using namespace std::chrono_literals;

constexpr auto write_period = 5s;
constexpr auto oldest_healthy = 15s;

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

void HealthFile::write() {
    std::ofstream stream(file_, std::ios::trunc);
    stream << (is_connected_() ? "connected" : "disconnected") << "\n";
    stream.flush();
    if (!stream && !complained_) {
        complained_ = true;
        spdlog::warn("health file {} cannot be written: --healthcheck will fail", file_.string());
    }
}

HealthVerdict check_health_file(const std::filesystem::path& file) {
    std::ifstream stream(file);
    std::string state;
    if (!std::getline(stream, state)) {
        return {false, fmt::format("{}: not there; the service is not running", file.string())};
    }
    std::error_code error;
    const auto written = std::filesystem::last_write_time(file, error);
    const auto age =
        std::chrono::duration_cast<std::chrono::seconds>(std::filesystem::file_time_type::clock::now() - written);
    if (error || age > oldest_healthy) {
        return {false, fmt::format("last sign of life {} s ago", age.count())};
    }
    return {state == "connected", state == "connected" ? "healthy" : "alive, but not connected to the broker"};
}

std::string default_health_file(const std::string& service, const std::string& site) {
    const char* folder = std::getenv("XDG_RUNTIME_DIR");  // NOLINT(concurrency-mt-unsafe)
    return fmt::format("{}/twc-mqtt-{}-{}.health", folder != nullptr && *folder != '\0' ? folder : "/tmp", service,
                       site);
}

}  // namespace service
