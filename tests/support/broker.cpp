#include "support/broker.hpp"

#include <csignal>
#include <stdexcept>

#include <fmt/format.h>

#include "support/eventually.hpp"
#include "support/socket.hpp"

namespace support {

Broker::Broker(BrokerOptions options) : options_(std::move(options)) {
    if (options_.tls) {
        run_command({"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                     "-keyout", folder_ / "broker.key", "-out", certificate(), "-days", "2", "-subj", "/CN=localhost",
                     "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"});
    }
    folder_.write("passwords", "");
    for (const auto& [name, password] : options_.users) {
        run_command({"mosquitto_passwd", "-b", folder_ / "passwords", name, password});
    }
    // Another test may take the port between our look and Mosquitto's.
    constexpr int attempts = 5;
    for (int i = 0; i < attempts; ++i) {
        port_ = free_port();
        tls_port_ = options_.tls ? free_port() : 0;
        write_configuration();
        if (try_to_start()) {
            return;
        }
    }
    throw std::runtime_error("mosquitto does not start:\n" + log());
}

void Broker::write_configuration() const {
    std::string text = fmt::format(
        "user root\nlog_dest stderr\nlog_type all\nset_tcp_nodelay true\n"
        "allow_anonymous {}\nlistener {} 127.0.0.1\n",
        options_.users.empty(), port_);
    if (options_.tls) {
        text += fmt::format("listener {} 127.0.0.1\ncertfile {}\nkeyfile {}\n", tls_port_, certificate().string(),
                            (folder_ / "broker.key").string());
    }
    if (!options_.users.empty()) {
        text += fmt::format("password_file {}\n", (folder_ / "passwords").string());
    }
    if (!options_.acl.empty()) {
        text += fmt::format("acl_file {}\n", folder_.write("acl", options_.acl).string());
    }
    if (options_.persistence) {
        text += fmt::format("persistence true\npersistence_location {}/\n", folder_.path().string());
    }
    folder_.write("mosquitto.conf", text);
}

bool Broker::try_to_start() {
    process_ = std::make_unique<Process>(std::vector<std::string>{"mosquitto", "-c", folder_ / "mosquitto.conf"},
                                         folder_ / "mosquitto.log",
                                         Process::Environment{{"PATH", "/usr/sbin:/usr/bin:/sbin:/bin"}});
    return eventually([this] { return Socket::connect(port_).open() || !process_->running(); }) && process_->running();
}

void Broker::stop() {
    if (process_) {
        process_->send_signal(SIGTERM);
        process_->wait_for_exit();
        process_.reset();
    }
}

void Broker::kill() {
    if (process_) {
        process_->kill();
        process_->wait_for_exit();
        process_.reset();
    }
}

void Broker::start() {
    if (!process_ && !try_to_start()) {
        throw std::runtime_error("mosquitto does not start again:\n" + log());
    }
}

}  // namespace support
