#pragma once

#include <filesystem>
#include <string>
#include <unistd.h>
#include <vector>

#include <fmt/format.h>

#include "support/process.hpp"
#include "support/shipped_broker.hpp"
#include "support/temporary_folder.hpp"

/// What deploy/broker-tls.sh makes, readable by a broker that does not run as root.
class Certificates {
public:
    explicit Certificates(std::vector<std::string> names) : names_(std::move(names)) {
        using std::filesystem::perms;
        std::filesystem::permissions(folder_.path(), perms::owner_all | perms::group_exec | perms::others_exec);
        said_ = make();
    }

    /// Runs the script again; returns what it says.
    std::string make() const {
        std::vector<std::string> command{SOURCE_DIR "/deploy/broker-tls.sh"};
        if (geteuid() == 0) {
            command.insert(command.end(), {"--owner", "mosquitto"});
        }
        command.emplace_back(folder());
        command.insert(command.end(), names_.begin(), names_.end());
        return support::run_command(command);
    }

    const std::string& said() const { return said_; }
    std::filesystem::path folder() const { return folder_ / "tls"; }
    std::filesystem::path authority() const { return folder() / "ca.crt"; }

    /// The shipped config/broker/tls.conf with a port and the places of these files.
    std::string listener(int port) const {
        auto text = support::project_file("config/broker/tls.conf");
        replace(text, "listener 8883", fmt::format("listener {} 127.0.0.1", port));
        replace(text, "certfile /mosquitto/secrets/tls", "certfile " + folder().string());
        replace(text, "keyfile /mosquitto/secrets/tls", "keyfile " + folder().string());
        return text;
    }

    /// Throws std::out_of_range when the text no longer has it.
    static void replace(std::string& text, const std::string& old, const std::string& replacement) {
        text.replace(text.find(old), old.size(), replacement);
    }

private:
    std::vector<std::string> names_;
    support::TemporaryFolder folder_;
    std::string said_;
};
