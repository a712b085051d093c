#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "support/process.hpp"
#include "support/temporary_folder.hpp"

/// The echo service as a process, with a folder and a configuration of its own.
class EchoProcess {
public:
    /// `mqtt`: keys of the mqtt section besides host and port, one a line with two spaces before it.
    explicit EchoProcess(int port, const std::string& mqtt = "", const support::Process::Environment& environment = {})
        : config_(folder_.write("echo.yaml", fmt::format("health_file: {}\nmqtt:\n  host: 127.0.0.1\n  port: {}\n{}",
                                                         (folder_ / "health").string(), port, mqtt))),
          process_(command({}), folder_ / "log", environment) {}

    static std::string binary() { return BINARY_DIR "/echo-service"; }
    std::vector<std::string> command(const std::vector<std::string>& more) const {
        std::vector<std::string> result{binary(), "--config", config_.string()};
        result.insert(result.end(), more.begin(), more.end());
        return result;
    }

    support::Process* operator->() { return &process_; }
    const support::TemporaryFolder& folder() const { return folder_; }
    const std::filesystem::path& config() const { return config_; }

private:
    support::TemporaryFolder folder_;
    std::filesystem::path config_;
    support::Process process_;
};
