#include "support/line_tap.hpp"

#include <numeric>

namespace support {

namespace {

using namespace std::chrono_literals;

bool is_heartbeat(const WireFrame& frame) {
    return frame.bytes.size() >= 13 && frame.bytes[0] == 0xfb && frame.bytes[1] == 0xe0;
}

// Empty when an escape is broken.
std::vector<unsigned> unescaped(const std::string& segment) {
    std::vector<unsigned> bytes;
    for (std::size_t i = 0; i < segment.size(); ++i) {
        unsigned byte = static_cast<unsigned char>(segment[i]);
        if (byte == 0xdb) {
            const unsigned next = i + 1 < segment.size() ? static_cast<unsigned char>(segment[++i]) : 0;
            if (next != 0xdc && next != 0xdd) {
                return {};
            }
            byte = next == 0xdc ? 0xc0 : 0xdb;
        }
        bytes.push_back(byte);
    }
    return bytes;
}

}  // namespace

void LineTap::run() {
    while (!stopping_) {
        const auto master = listener_.accept(10ms);
        if (!master.open()) {
            continue;
        }
        const auto line = Socket::connect(target_port_);
        if (line.open()) {
            relay(master, line);
        }
    }
}

void LineTap::relay(const Socket& master, const Socket& line) {
    while (!stopping_) {
        const auto down = master.receive(1ms);
        if (!down || (!down->empty() && !line.send(*down))) {
            return;
        }
        hear(*down);
        auto up = line.receive(1ms);
        if (!up) {
            return;
        }
        disturb(*up);
        if (!up->empty() && !master.send(*up)) {
            return;
        }
    }
}

void LineTap::disturb(std::string& bytes) {
    const unsigned every = corrupt_every_;
    for (auto& byte : bytes) {
        ++passed_;
        if (every != 0 && passed_ % every == 0) {
            byte = static_cast<char>(static_cast<unsigned char>(byte) ^ 0x04U);
        }
    }
}

void LineTap::hear(const std::string& bytes) {
    const std::scoped_lock lock(mutex_);
    for (const char c : bytes) {
        if (static_cast<unsigned char>(c) == 0xc0) {
            end_frame();
        } else {
            segment_ += c;
        }
    }
}

void LineTap::end_frame() {
    auto bytes = unescaped(std::exchange(segment_, ""));
    if (bytes.size() < 3) {
        return;
    }
    const unsigned expected = bytes.back();
    bytes.pop_back();
    if ((std::accumulate(bytes.begin() + 1, bytes.end(), 0U) & 0xffU) == expected) {
        frames_.push_back({.at = std::chrono::steady_clock::now(), .bytes = std::move(bytes)});
    }
}

std::vector<WireFrame> LineTap::from_master() const {
    const std::scoped_lock lock(mutex_);
    return frames_;
}

std::vector<WireLimit> LineTap::limits() const {
    std::vector<WireLimit> result;
    for (const auto& frame : from_master()) {
        if (is_heartbeat(frame) && (frame.bytes[6] == 0x05 || frame.bytes[6] == 0x09)) {
            result.push_back({.at = frame.at,
                              .charger = frame.bytes[4] << 8U | frame.bytes[5],
                              .amps = (frame.bytes[7] << 8U | frame.bytes[8]) / 100.0});
        }
    }
    return result;
}

std::optional<WireLimit> LineTap::last_limit() const {
    const auto all = limits();
    return all.empty() ? std::nullopt : std::optional(all.back());
}

std::optional<std::chrono::steady_clock::time_point> LineTap::last_heartbeat() const {
    std::optional<std::chrono::steady_clock::time_point> last;
    for (const auto& frame : from_master()) {
        if (is_heartbeat(frame)) {
            last = frame.at;
        }
    }
    return last;
}

}  // namespace support
