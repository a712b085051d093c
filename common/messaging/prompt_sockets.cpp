#include "messaging/prompt_sockets.hpp"

#include <charconv>
#include <filesystem>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string>
#include <sys/socket.h>

namespace messaging {

namespace {

// 0 for anything that is not a connection over IPv4 or IPv6.
int remote_port(int fd) {
    sockaddr_storage peer{};
    socklen_t size = sizeof peer;
    if (getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &size) != 0) {
        return 0;
    }
    if (peer.ss_family == AF_INET) {
        return ntohs(reinterpret_cast<const sockaddr_in&>(peer).sin_port);
    }
    return peer.ss_family == AF_INET6 ? ntohs(reinterpret_cast<const sockaddr_in6&>(peer).sin6_port) : 0;
}

}  // namespace

int send_at_once_to(int port) {
    int connections = 0;
    std::error_code unreadable;  // without /proc nothing is lost but time
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd", unreadable)) {
        const std::string name = entry.path().filename();
        int fd = -1;
        std::from_chars(name.data(), name.data() + name.size(), fd);
        constexpr int on = 1;
        if (remote_port(fd) == port && setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0) {
            ++connections;
        }
    }
    return connections;
}

}  // namespace messaging
