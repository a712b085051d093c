#pragma once

#include <string>
#include <vector>

namespace support {

/// systemd's side of its notification protocol: a datagram socket that keeps what it is told.
class NotifyListener {
public:
    /// `address`: a path that does not exist yet, or "@name" in the abstract name space.
    explicit NotifyListener(const std::string& address);
    NotifyListener(const NotifyListener&) = delete;
    NotifyListener& operator=(const NotifyListener&) = delete;
    ~NotifyListener();

    /// The messages since the last call, without waiting.
    std::vector<std::string> heard();

private:
    int fd_;
};

}  // namespace support
