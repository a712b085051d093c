#include "support/shipped_broker.hpp"

#include <algorithm>
#include <csignal>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <unistd.h>

#include "support/eventually.hpp"
#include "support/socket.hpp"

namespace support {

namespace {

std::string read(const std::filesystem::path& file) {
    std::ifstream stream(file, std::ios::binary);
    if (!stream) {
        throw std::runtime_error("cannot read " + file.string());
    }
    return {std::istreambuf_iterator<char>(stream), {}};
}

// Not by writing anew: owner and mode stay.
void append(const std::filesystem::path& file, const std::string& text) {
    std::ofstream stream(file, std::ios::app);
    stream << text;
}

}  // namespace

std::string project_file(const std::string& path) { return read(std::filesystem::path(SOURCE_DIR) / path); }

ShippedBroker::ShippedBroker(const ShippedBrokerOptions& options) : more_users_(options.more_users) {
    using std::filesystem::perms;
    // The user mosquitto passes through.
    std::filesystem::permissions(folder_.path(), perms::owner_all | perms::group_exec | perms::others_exec);
    // Another test may take the port between our look and Mosquitto's.
    constexpr int attempts = 5;
    for (int i = 0; i < attempts; ++i) {
        port_ = free_port();
        std::vector<std::string> command{SOURCE_DIR "/deploy/local-broker.sh", folder_.path(), std::to_string(port_)};
        if (options.anonymous) {
            command.insert(command.begin() + 1, "--anonymous");
        }
        run_command(command);
        for (const auto& user : more_users_) {
            run_command({"mosquitto_passwd", "-b", folder_ / "secrets/broker/passwd", user, "password"});
        }
        append(folder_ / "broker/acl", options.more_acl);
        append(folder_ / "broker/mosquitto.conf", options.more_configuration);
        if (try_to_start()) {
            return;
        }
    }
    throw std::runtime_error("mosquitto does not start:\n" + log());
}

Mqtt5Client::Login ShippedBroker::login(const std::string& user) const {
    if (user.empty()) {
        return {};
    }
    const bool ours = std::ranges::find(more_users_, user) != more_users_.end();
    return {user, ours ? "password" : read(folder_ / ("secrets/" + user + "/password"))};
}

bool ShippedBroker::try_to_start() {
    std::vector<std::string> command{"mosquitto", "-c", folder_ / "broker/mosquitto.conf"};
    if (geteuid() == 0) {
        // The kernel forgets who is to be told of our death when the user changes.
        command.insert(command.begin(), {"setpriv", "--reuid", "mosquitto", "--regid", "mosquitto", "--init-groups",
                                         "--pdeathsig", "KILL", "--"});
    }
    process_ = std::make_unique<Process>(command, folder_ / "broker.log",
                                         Process::Environment{{"PATH", "/usr/sbin:/usr/bin:/sbin:/bin"}});
    return eventually([this] { return Socket::connect(port_).open() || !process_->running(); }) && process_->running();
}

void ShippedBroker::stop() const {
    process_->send_signal(SIGTERM);
    process_->wait_for_exit();
}

void ShippedBroker::start() {
    if (!try_to_start()) {
        throw std::runtime_error("mosquitto does not start again:\n" + log());
    }
}

}  // namespace support
