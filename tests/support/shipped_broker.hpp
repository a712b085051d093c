#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "support/mqtt5_client.hpp"
#include "support/process.hpp"
#include "support/temporary_folder.hpp"

namespace support {

struct ShippedBrokerOptions {
    bool anonymous = false;  ///< As deploy/demo.sh has it.
    /// Users beside the shipped ones, with password "password".
    std::vector<std::string> more_users;
    std::string more_acl;            ///< Rules for them.
    std::string more_configuration;  ///< Lines after the shipped ones.
};

/// A real Mosquitto with the shipped config/mosquitto.conf and config/acl and the users of deploy/mqtt-users.sh, set up
/// by deploy/local-broker.sh: only the places, the port and the address are its own.
class ShippedBroker {
public:
    explicit ShippedBroker(const ShippedBrokerOptions& options = {});

    int port() const { return port_; }
    /// Where deploy/local-broker.sh has put everything.
    const std::filesystem::path& folder() const { return folder_.path(); }
    Mqtt5Client::Login login(const std::string& user) const;
    std::string log() const { return process_->output(); }
    pid_t pid() const { return process_->pid(); }

    /// SIGTERM, and the same again; for a broker that goes away for a while.
    void stop() const;
    void start();

private:
    bool try_to_start();

    std::vector<std::string> more_users_;
    TemporaryFolder folder_;
    int port_ = 0;
    std::unique_ptr<Process> process_;
};

/// The contents of a file of this project, by its path in it.
std::string project_file(const std::string& path);

}  // namespace support
