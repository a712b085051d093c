#pragma once

#include <chrono>
#include <cstdlib>
#include <fcntl.h>
#include <span>
#include <string>
#include <unistd.h>
#include <utility>
#include <vector>

#include <asio/io_context.hpp>
#include <doctest/doctest.h>

#include "scheduling/event_loop.hpp"
#include "twc-bus/byte_link.hpp"

/// What tests of a link need: someone who listens, and a serial line.
namespace link_rig {

/// Records what a link reports and runs the loop until something is true.
struct Listener {
    explicit Listener(scheduling::EventLoop& event_loop) : loop(event_loop) {}

    twc_bus::ByteLink::Handlers handlers() {
        return {
            .bytes =
                [this](std::span<const std::uint8_t> bytes) { heard.insert(heard.end(), bytes.begin(), bytes.end()); },
            .up = [this] { ++ups; },
            .down = [this](const std::string& why) { reasons.push_back(why); }};
    }

    template <class Condition>
    bool wait_for(Condition condition) {
        for (const auto end = loop.now() + std::chrono::seconds(5); loop.now() < end;) {
            if (condition()) {
                return true;
            }
            loop.io().run_one_for(std::chrono::milliseconds(10));
        }
        return condition();
    }

    scheduling::EventLoop& loop;
    twc_bus::Bytes heard;
    int ups = 0;
    std::vector<std::string> reasons;
};

/// The far end of a pseudo-terminal.
struct Terminal {
    Terminal() : master(posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK)) {
        REQUIRE(grantpt(master) == 0);
        REQUIRE(unlockpt(master) == 0);
        char buffer[128];
        REQUIRE(ptsname_r(master, buffer, sizeof buffer) == 0);
        name = buffer;
    }
    Terminal(const Terminal&) = delete;
    Terminal& operator=(const Terminal&) = delete;
    ~Terminal() { hang_up(); }
    void hang_up() {
        if (master >= 0) {
            close(std::exchange(master, -1));
        }
    }
    twc_bus::Bytes read_all() const {
        twc_bus::Bytes bytes(256);
        const auto size = read(master, bytes.data(), bytes.size());
        bytes.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
        return bytes;
    }
    int master;
    std::string name;
};

inline const twc_bus::Bytes all_bytes = [] {
    twc_bus::Bytes bytes;
    for (int i = 0; i < 256; ++i) {
        bytes.push_back(static_cast<std::uint8_t>(i));
    }
    return bytes;
}();

}  // namespace link_rig
