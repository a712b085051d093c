#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <termios.h>
#include <unistd.h>
#include <utility>

#include <asio/ip/tcp.hpp>
#include <asio/read.hpp>
#include <asio/write.hpp>
#include <doctest/doctest.h>

#include "scheduling/event_loop.hpp"
#include "twc-bus/config.hpp"
#include "twc-bus/serial_link.hpp"
#include "twc-bus/tcp_link.hpp"

using namespace std::chrono_literals;
using asio::ip::tcp;
using twc_bus::ByteLink;
using twc_bus::Bytes;

namespace {

/// Records what a link reports and runs the loop until something is true.
struct Listener {
    explicit Listener(scheduling::EventLoop& event_loop) : loop(event_loop) {}

    ByteLink::Handlers handlers() {
        return {
            .bytes =
                [this](std::span<const std::uint8_t> bytes) { heard.insert(heard.end(), bytes.begin(), bytes.end()); },
            .up = [this] { ++ups; },
            .down = [this](const std::string& why) { reasons.push_back(why); }};
    }

    template <class Condition>
    bool wait_for(Condition condition) {
        for (const auto end = loop.now() + 5s; loop.now() < end;) {
            if (condition()) {
                return true;
            }
            loop.io().run_one_for(10ms);
        }
        return condition();
    }

    scheduling::EventLoop& loop;
    Bytes heard;
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
    Bytes read_all() const {
        Bytes bytes(256);
        const auto size = read(master, bytes.data(), bytes.size());
        bytes.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
        return bytes;
    }
    int master;
    std::string name;
};

const Bytes all_bytes = [] {
    Bytes bytes;
    for (int i = 0; i < 256; ++i) {
        bytes.push_back(static_cast<std::uint8_t>(i));
    }
    return bytes;
}();

std::filesystem::path private_folder() {
    const auto path = std::filesystem::temp_directory_path() / ("twc-links-test-" + std::to_string(getpid()));
    std::filesystem::create_directories(path);
    return path;
}

}  // namespace

TEST_CASE("serial link: carries every byte value both ways, unchanged") {
    scheduling::EventLoop loop;
    Listener listener(loop);
    Terminal terminal;
    twc_bus::SerialLink link(loop, terminal.name);
    link.open(listener.handlers());
    REQUIRE(listener.wait_for([&] { return listener.ups == 1; }));

    REQUIRE(write(terminal.master, all_bytes.data(), all_bytes.size()) == 256);
    CHECK(listener.wait_for([&] { return listener.heard.size() == 256; }));
    CHECK(listener.heard == all_bytes);

    link.write(all_bytes);
    Bytes got;
    listener.wait_for([&] {
        const auto more = terminal.read_all();
        got.insert(got.end(), more.begin(), more.end());
        return got.size() == 256;
    });
    CHECK(got == all_bytes);
    termios settings{};
    REQUIRE(tcgetattr(terminal.master, &settings) == 0);
    CHECK(cfgetospeed(&settings) == B9600);
    link.close();
}

TEST_CASE("serial link: a device in use is refused in words and taken once it is free") {
    scheduling::EventLoop loop;
    Listener first(loop);
    Listener second(loop);
    Terminal terminal;
    twc_bus::SerialLink owner(loop, terminal.name);
    owner.open(first.handlers());
    REQUIRE(first.wait_for([&] { return first.ups == 1; }));
    twc_bus::SerialLink other(loop, terminal.name);
    other.open(second.handlers());
    REQUIRE(second.wait_for([&] { return !second.reasons.empty(); }));
    CHECK(second.reasons.front() == terminal.name + ": in use by another program");

    owner.close();
    CHECK(second.wait_for([&] { return second.ups == 1; }));
    CHECK(second.reasons.size() == 1);
    other.close();
}

TEST_CASE("serial link: an adapter pulled out is reported and found again when it is back") {
    scheduling::EventLoop loop;
    Listener listener(loop);
    const auto path = private_folder() / "adapter";
    std::filesystem::remove(path);
    auto terminal = std::make_unique<Terminal>();
    std::filesystem::create_symlink(terminal->name, path);
    twc_bus::SerialLink link(loop, path.string());
    link.open(listener.handlers());
    REQUIRE(listener.wait_for([&] { return listener.ups == 1; }));

    std::filesystem::remove(path);
    terminal.reset();
    REQUIRE(listener.wait_for([&] { return listener.reasons.size() == 2; }));
    CHECK(listener.reasons[0].find("was the adapter unplugged?") != std::string::npos);
    CHECK(listener.reasons[1] == path.string() + ": not there; is the adapter plugged in?");

    terminal = std::make_unique<Terminal>();
    std::filesystem::create_symlink(terminal->name, path);
    const auto back = loop.now();
    CHECK(listener.wait_for([&] { return listener.ups == 2; }));
    CHECK(loop.now() - back < 2s);
    link.close();
    std::filesystem::remove_all(path.parent_path());
}

TEST_CASE("serial link: something that is no serial device is said to be none") {
    scheduling::EventLoop loop;
    Listener listener(loop);
    twc_bus::SerialLink link(loop, "/dev/null");
    link.open(listener.handlers());
    REQUIRE(listener.wait_for([&] { return !listener.reasons.empty(); }));
    CHECK(listener.reasons.front() == "/dev/null: not a serial device");
    link.close();
}

TEST_CASE("tcp link: carries bytes both ways and reconnects after the bridge restarted") {
    scheduling::EventLoop loop;
    Listener listener(loop);
    auto acceptor = std::make_unique<tcp::acceptor>(loop.io(), tcp::endpoint(asio::ip::address_v4::loopback(), 0));
    const auto endpoint = acceptor->local_endpoint();
    auto link = twc_bus::make_link("tcp://127.0.0.1:" + std::to_string(endpoint.port()), loop);
    link->open(listener.handlers());
    auto peer = std::make_unique<tcp::socket>(loop.io());
    acceptor->async_accept(*peer, [](const asio::error_code&) {});
    REQUIRE(listener.wait_for([&] { return listener.ups == 1 && peer->is_open(); }));

    asio::write(*peer, asio::buffer(all_bytes));
    CHECK(listener.wait_for([&] { return listener.heard == all_bytes; }));
    link->write(all_bytes);
    Bytes got(256);
    std::size_t size = 0;
    asio::async_read(*peer, asio::buffer(got), [&](const asio::error_code&, std::size_t count) { size = count; });
    CHECK(listener.wait_for([&] { return size == 256; }));
    CHECK(got == all_bytes);

    peer->close();
    acceptor.reset();
    REQUIRE(listener.wait_for([&] { return listener.reasons.size() == 2; }));
    CHECK(listener.reasons[0].find("lost") != std::string::npos);
    CHECK(listener.reasons[1].find("refused") != std::string::npos);
    acceptor = std::make_unique<tcp::acceptor>(loop.io(), endpoint);
    peer = std::make_unique<tcp::socket>(loop.io());
    acceptor->async_accept(*peer, [](const asio::error_code&) {});
    CHECK(listener.wait_for([&] { return listener.ups == 2; }));
    link->close();
}

TEST_CASE("tcp link: may be destroyed in every state without a handler being called") {
    scheduling::EventLoop loop;
    Listener listener(loop);
    {
        twc_bus::TcpLink link(loop, "127.0.0.1", "1");
        link.open(listener.handlers());
    }
    {
        twc_bus::TcpLink link(loop, "127.0.0.1", "1");
        link.open(listener.handlers());
        loop.io().run_one_for(50ms);
    }
    loop.io().run_for(300ms);
    CHECK(listener.ups == 0);
    CHECK(listener.reasons.empty());
}
