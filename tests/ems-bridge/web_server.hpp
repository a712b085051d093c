#pragma once

#include <httplib.h>
#include <string>
#include <thread>

#include <fmt/format.h>

namespace ems_bridge::test {

/// A real web server on a free port of 127.0.0.1.
template <class Server = httplib::Server>
class Running {
public:
    template <class... Arguments>
    explicit Running(Arguments... arguments) : server(arguments...) {
        port_ = server.bind_to_any_port("127.0.0.1");
    }
    Running(const Running&) = delete;
    Running& operator=(const Running&) = delete;
    ~Running() {
        server.stop();
        if (thread_.joinable()) {
            thread_.join();
        }
    }

    void start() {
        thread_ = std::thread([this] { server.listen_after_bind(); });
        while (!server.is_running()) {
            std::this_thread::yield();
        }
    }
    std::string url(const std::string& scheme = "http") const {
        return fmt::format("{}://127.0.0.1:{}", scheme, port_);
    }

    Server server;

private:
    int port_ = 0;
    std::thread thread_;
};

}  // namespace ems_bridge::test
