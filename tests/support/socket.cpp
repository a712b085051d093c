#include "support/socket.hpp"

#include <arpa/inet.h>
#include <array>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdexcept>
#include <sys/socket.h>
#include <unistd.h>

namespace support {

namespace {

sockaddr_in loopback(int port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

const sockaddr* generic(const sockaddr_in& address) {
    return reinterpret_cast<const sockaddr*>(&address);  // what the socket API asks for
}

bool readable_within(int fd, std::chrono::milliseconds timeout) {
    pollfd waiting{.fd = fd, .events = POLLIN, .revents = 0};
    return poll(&waiting, 1, static_cast<int>(timeout.count())) > 0;
}

}  // namespace

Socket::~Socket() {
    if (fd_ >= 0) {
        close(fd_);
    }
}

Socket Socket::connect(int port) {
    Socket socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const auto address = loopback(port);
    if (::connect(socket.fd_, generic(address), sizeof address) != 0) {
        return Socket();
    }
    const int on = 1;
    setsockopt(socket.fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return socket;
}

bool Socket::send(std::string_view bytes) const {
    while (!bytes.empty()) {
        const auto count = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (count <= 0) {
            return false;
        }
        bytes.remove_prefix(static_cast<std::size_t>(count));
    }
    return true;
}

std::optional<std::string> Socket::receive(std::chrono::milliseconds timeout) const {
    if (!readable_within(fd_, timeout)) {
        return "";
    }
    std::array<char, 65536> buffer{};
    const auto count = recv(fd_, buffer.data(), buffer.size(), 0);
    return count > 0 ? std::optional(std::string(buffer.data(), static_cast<std::size_t>(count))) : std::nullopt;
}

void Socket::shut_down() const { shutdown(fd_, SHUT_RDWR); }

Listener::Listener() : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    auto address = loopback(0);
    socklen_t size = sizeof address;
    if (bind(fd_, generic(address), size) != 0 || listen(fd_, 16) != 0 ||
        getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
        throw std::runtime_error("cannot listen on 127.0.0.1");
    }
    port_ = ntohs(address.sin_port);
}

Listener::~Listener() { close(fd_); }

Socket Listener::accept(std::chrono::milliseconds timeout) const {
    return readable_within(fd_, timeout) ? Socket(accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC)) : Socket();
}

int free_port() { return Listener().port(); }

}  // namespace support
