#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "support/process.hpp"
#include "support/temporary_folder.hpp"

namespace support {

struct BrokerOptions {
    /// "name:password" lines; empty: everyone may do everything.
    std::vector<std::pair<std::string, std::string>> users;
    std::string acl;           ///< The text of the ACL file; empty: none.
    bool tls = false;          ///< A second listener with a certificate for localhost and 127.0.0.1.
    bool persistence = false;  ///< Retained messages survive `stop` and `start`.
};

/// A real Mosquitto on a private port of 127.0.0.1.
class Broker {
public:
    explicit Broker(BrokerOptions options = {});

    int port() const { return port_; }
    int tls_port() const { return tls_port_; }
    /// Signs the broker's certificate: it is its own authority.
    std::filesystem::path certificate() const { return folder_ / "broker.crt"; }

    /// Cleanly; with persistence, the state is kept. It is running after construction.
    void stop();
    void start();
    /// SIGKILL: what was not saved is lost.
    void kill();
    void freeze() const { process_->freeze(); }
    void thaw() const { process_->thaw(); }

    std::string log() const { return process_ ? process_->output() : ""; }

private:
    void write_configuration() const;
    bool try_to_start();

    BrokerOptions options_;
    TemporaryFolder folder_;
    int port_ = 0;
    int tls_port_ = 0;
    std::unique_ptr<Process> process_;
};

}  // namespace support
