#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "support/socket.hpp"

namespace support {

/// A frame of the charger bus, taken apart here once more so that it does not share a mistake with the program:
/// bytes between two C0, DB DC and DB DD unescaped, the last one the sum of all others but the first.
struct WireFrame {
    std::chrono::steady_clock::time_point at;
    std::vector<unsigned> bytes;  ///< Without the checksum, which is right.
};

/// A limit that the master sent to a charger in a heartbeat (FB E0, command 05 or 09).
struct WireLimit {
    std::chrono::steady_clock::time_point at;
    unsigned charger = 0;
    double amps = 0;
};

/// Stands between a TCP client (the bus master) and a server (the line) and hears every byte.
class LineTap {
public:
    explicit LineTap(int target_port) : target_port_(target_port), thread_([this] { run(); }) {}
    LineTap(const LineTap&) = delete;
    LineTap& operator=(const LineTap&) = delete;
    ~LineTap() {
        stopping_ = true;
        thread_.join();
    }

    int port() const { return listener_.port(); }

    /// Every so many bytes from the chargers, one bit is flipped; 0: none.
    void corrupt_every(unsigned bytes) { corrupt_every_ = bytes; }

    std::vector<WireFrame> from_master() const;
    std::vector<WireLimit> limits() const;
    std::optional<WireLimit> last_limit() const;
    /// When the master was last heard sending a heartbeat.
    std::optional<std::chrono::steady_clock::time_point> last_heartbeat() const;

private:
    void run();
    void relay(const Socket& master, const Socket& line);
    void hear(const std::string& bytes);
    void end_frame();
    void disturb(std::string& bytes);

    int target_port_;
    Listener listener_;
    std::atomic<unsigned> corrupt_every_{0};
    unsigned passed_ = 0;
    mutable std::mutex mutex_;
    std::string segment_;
    std::vector<WireFrame> frames_;
    std::atomic<bool> stopping_{false};
    std::thread thread_;
};

}  // namespace support
