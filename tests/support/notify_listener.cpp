#include "support/notify_listener.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <stdexcept>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace support {

NotifyListener::NotifyListener(const std::string& address)
    : fd_(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    std::copy(address.begin(), address.end(), std::begin(name.sun_path));
    if (address.front() == '@') {
        name.sun_path[0] = '\0';
    }
    const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + address.size());
    const auto* const to = reinterpret_cast<const sockaddr*>(&name);  // NOLINT(*-reinterpret-cast): sockets
    if (bind(fd_, to, length) != 0) {
        close(fd_);
        throw std::runtime_error("cannot listen on " + address);
    }
}

NotifyListener::~NotifyListener() { close(fd_); }

std::vector<std::string> NotifyListener::heard() {
    std::vector<std::string> messages;
    std::array<char, 4096> buffer{};
    for (ssize_t size = 0; (size = recv(fd_, buffer.data(), buffer.size(), 0)) >= 0;) {
        messages.emplace_back(buffer.data(), static_cast<std::size_t>(size));
    }
    return messages;
}

}  // namespace support
