#include <filesystem>
#include <fstream>
#include <termios.h>
#include <unistd.h>

#include <asio/ip/tcp.hpp>
#include <asio/read.hpp>
#include <asio/write.hpp>
#include <doctest/doctest.h>

#include "link_rig.hpp"
#include "twc-bus/config.hpp"
#include "twc-bus/serial_link.hpp"
#include "twc-bus/tcp_link.hpp"

using namespace std::chrono_literals;
using asio::ip::tcp;
using namespace link_rig;
using twc_bus::Bytes;

namespace {

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
