#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace support {

/// A TCP port of 127.0.0.1 that nobody listens on at this moment.
int free_port();

/// A connected TCP socket with blocking calls, for the hand-made peers of tests.
class Socket {
public:
    explicit Socket(int fd = -1) : fd_(fd) {}
    Socket(Socket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    Socket& operator=(Socket&& other) noexcept {
        std::swap(fd_, other.fd_);
        return *this;
    }
    Socket(const Socket&) = delete;
    Socket& operator=(const Socket&) = delete;
    ~Socket();

    /// Not open when nobody listens there.
    static Socket connect(int port);

    bool open() const { return fd_ >= 0; }
    /// False when the peer is gone.
    bool send(std::string_view bytes) const;
    /// What is there, waiting for at most `timeout`; empty after the time; none when the peer is gone.
    std::optional<std::string> receive(std::chrono::milliseconds timeout) const;
    /// Ends the connection for both directions; a blocked `receive` returns.
    void shut_down() const;

private:
    int fd_;
};

/// A listening socket on a free port of 127.0.0.1.
class Listener {
public:
    Listener();
    Listener(const Listener&) = delete;
    Listener& operator=(const Listener&) = delete;
    ~Listener();

    int port() const { return port_; }
    /// Not open when nobody came in time.
    Socket accept(std::chrono::milliseconds timeout) const;

private:
    int fd_;
    int port_ = 0;
};

}  // namespace support
