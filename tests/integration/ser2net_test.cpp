// The RFC 2217 link against the server that people use, on a pseudo-terminal.

#include <termios.h>

#include <asio/io_context.hpp>
#include <doctest/doctest.h>
#include <fmt/format.h>

#include "support/process.hpp"
#include "support/socket.hpp"
#include "support/temporary_folder.hpp"
#include "twc-bus/link_rig.hpp"
#include "twc-bus/rfc2217_link.hpp"

using namespace std::chrono_literals;
using namespace link_rig;
using twc_bus::Bytes;

namespace {

/// ser2net with one port, which it opens at another baud rate than the bus has.
class Ser2net {
public:
    explicit Ser2net(const std::string& device) {
        folder_.write("ser2net.yaml", fmt::format(R"(%YAML 1.1
---
connection: &line
  accepter: telnet(rfc2217),tcp,127.0.0.1,{}
  connector: serialdev,{},115200e71,local
)",
                                                  port_, device));
        start();
    }

    std::string port() const { return std::to_string(port_); }
    void start() {
        process_.reset();
        process_.emplace(std::vector<std::string>{"/usr/sbin/ser2net", "-n", "-u", "-c", folder_ / "ser2net.yaml"},
                         folder_ / "ser2net.log");
    }
    void kill() { process_->kill(); }
    std::string log() const { return process_->output(); }

private:
    support::TemporaryFolder folder_;
    int port_ = support::free_port();
    std::optional<support::Process> process_;
};

Bytes read_until(Listener& listener, const Terminal& terminal, std::size_t size) {
    Bytes got;
    listener.wait_for([&] {
        const auto more = terminal.read_all();
        got.insert(got.end(), more.begin(), more.end());
        return got.size() >= size;
    });
    return got;
}

}  // namespace

TEST_CASE("rfc2217: ser2net is set to 9600 8N1, carries every byte both ways and is found again after a restart") {
    const Terminal terminal;
    Ser2net server(terminal.name);
    scheduling::EventLoop loop;
    Listener listener(loop);
    twc_bus::Rfc2217Link link(loop, "127.0.0.1", server.port());
    link.open(listener.handlers());
    REQUIRE_MESSAGE(listener.wait_for([&] { return listener.ups == 1; }), server.log());

    termios settings{};
    REQUIRE(tcgetattr(terminal.master, &settings) == 0);
    CHECK(cfgetospeed(&settings) == B9600);
    CHECK((settings.c_cflag & (CSIZE | PARENB | CSTOPB)) == CS8);

    for (const auto& bytes : {all_bytes, Bytes{0xFF, 0xC0, 0xDB, 0xFF, 0xFF, 0x0D, 0x00, 0xC0, 0xFF}}) {
        listener.heard.clear();
        REQUIRE(write(terminal.master, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
        CHECK(listener.wait_for([&] { return listener.heard.size() >= bytes.size(); }));
        CHECK(listener.heard == bytes);
        link.write(bytes);
        CHECK(read_until(listener, terminal, bytes.size()) == bytes);
    }

    server.kill();
    REQUIRE(listener.wait_for([&] { return !listener.reasons.empty(); }));
    server.start();
    REQUIRE_MESSAGE(listener.wait_for([&] { return listener.ups == 2; }), server.log());
    link.write(all_bytes);
    CHECK(read_until(listener, terminal, all_bytes.size()) == all_bytes);
    link.close();
}

TEST_CASE("rfc2217: a port of ser2net that another client holds is told in words and taken once it is free") {
    const Terminal terminal;
    Ser2net server(terminal.name);
    scheduling::EventLoop loop;
    Listener holder(loop);
    Listener listener(loop);
    twc_bus::Rfc2217Link first(loop, "127.0.0.1", server.port());
    first.open(holder.handlers());
    REQUIRE_MESSAGE(holder.wait_for([&] { return holder.ups == 1; }), server.log());

    twc_bus::Rfc2217Link second(loop, "127.0.0.1", server.port());
    second.open(listener.handlers());
    REQUIRE(listener.wait_for([&] { return !listener.reasons.empty(); }));
    CHECK(listener.reasons[0].find("is another program connected to it?") != std::string::npos);
    CHECK(listener.ups == 0);
    first.close();
    CHECK(listener.wait_for([&] { return listener.ups == 1; }));
    second.close();
}
