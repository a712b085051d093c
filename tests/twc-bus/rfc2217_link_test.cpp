#include "twc-bus/rfc2217_link.hpp"

#include <algorithm>

#include <asio/buffer.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/write.hpp>
#include <doctest/doctest.h>

#include "link_rig.hpp"
#include "twc-bus/config.hpp"

using namespace std::chrono_literals;
using namespace link_rig;
using asio::ip::tcp;
using twc_bus::Bytes;

namespace {

const Bytes options_agreed{0xFF, 0xFD, 0x00, 0xFF, 0xFB, 0x00, 0xFF, 0xFD, 0x03, 0xFF, 0xFB, 0x03};
const Bytes com_port_agreed{0xFF, 0xFD, 0x2C};
const Bytes com_port_refused{0xFF, 0xFE, 0x2C};
const Bytes com_port_offered{0xFF, 0xFB, 0x2C};
const Bytes set_baud_rate{0xFF, 0xFA, 0x2C, 0x01, 0x00, 0x00, 0x25, 0x80, 0xFF, 0xF0};

Bytes baud_rate_answer(std::uint8_t high, std::uint8_t low) {
    return {0xFF, 0xFA, 0x2C, 0x65, 0x00, 0x00, high, low, 0xFF, 0xF0};
}

Bytes doubled(const Bytes& bytes) {
    Bytes out;
    for (const auto byte : bytes) {
        out.insert(out.end(), byte == 0xFF ? 2 : 1, byte);
    }
    return out;
}

/// A Telnet server on a free port of 127.0.0.1 for one client at a time, which answers as it is told to.
class Server {
public:
    explicit Server(scheduling::EventLoop& loop)
        : acceptor_(loop.io(), tcp::endpoint(asio::ip::address_v4::loopback(), 0)), peer_(loop.io()) {
        accept();
    }
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;
    ~Server() = default;

    std::string port() const { return std::to_string(acceptor_.local_endpoint().port()); }
    void say(const Bytes& bytes) {
        asio::error_code ignored;  // the client may just have left
        asio::write(peer_, asio::buffer(bytes), ignored);
    }
    void hang_up() { peer_.close(); }

    Bytes to_offer = options_agreed;  ///< Said when it is offered COM-PORT, before its answer to that.
    Bytes to_com_port = com_port_agreed;
    Bytes to_baud_rate = baud_rate_answer(0x25, 0x80);
    bool hangs_up_at_once = false;

    Bytes heard;  ///< From this client, as it was on the wire.
    int clients = 0;

private:
    void accept() {
        acceptor_.async_accept(peer_, [this](const asio::error_code& error) {
            if (error) {
                return;
            }
            ++clients;
            heard.clear();
            offered_ = asked_ = false;
            if (hangs_up_at_once) {
                hang_up();
                accept();
            } else {
                read();
            }
        });
    }

    void read() {
        peer_.async_read_some(asio::buffer(input_), [this](const asio::error_code& error, std::size_t size) {
            if (error) {
                asio::error_code ignored;
                peer_.close(ignored);
                accept();
                return;
            }
            heard.insert(heard.end(), input_.begin(), input_.begin() + static_cast<std::ptrdiff_t>(size));
            answer_once(offered_, com_port_offered, to_offer, to_com_port);
            answer_once(asked_, set_baud_rate, to_baud_rate, {});
            read();
        });
    }

    void answer_once(bool& answered, const Bytes& question, const Bytes& first, const Bytes& second) {
        if (!answered && std::search(heard.begin(), heard.end(), question.begin(), question.end()) != heard.end()) {
            answered = true;
            say(first);
            say(second);
        }
    }

    tcp::acceptor acceptor_;
    tcp::socket peer_;
    std::array<std::uint8_t, 512> input_{};
    bool offered_ = false;
    bool asked_ = false;
};

struct Rig {
    Rig() { link.open(listener.handlers()); }
    Rig(const Rig&) = delete;
    Rig& operator=(const Rig&) = delete;
    ~Rig() { link.close(); }

    std::string name() const { return "rfc2217://127.0.0.1:" + server.port(); }

    scheduling::EventLoop loop;
    Listener listener{loop};
    Server server{loop};
    twc_bus::Rfc2217Link link{loop, "127.0.0.1", server.port()};
};

}  // namespace

TEST_CASE("rfc2217 link: sets the line, carries every byte value both ways and returns after the server hung up") {
    scheduling::EventLoop loop;
    Listener listener(loop);
    Server server(loop);
    const auto link = twc_bus::make_link("rfc2217://127.0.0.1:" + server.port(), loop);
    link->open(listener.handlers());
    REQUIRE(listener.wait_for([&] { return listener.ups == 1; }));

    server.say(doubled(all_bytes));
    CHECK(listener.wait_for([&] { return listener.heard.size() >= 256; }));
    CHECK(listener.heard == all_bytes);
    const auto before = server.heard.size();
    link->write(all_bytes);
    CHECK(listener.wait_for([&] { return server.heard.size() >= before + 257; }));
    CHECK(Bytes(server.heard.begin() + static_cast<std::ptrdiff_t>(before), server.heard.end()) == doubled(all_bytes));

    server.hang_up();
    REQUIRE(listener.wait_for([&] { return listener.ups == 2; }));
    REQUIRE(listener.reasons.size() == 1);
    CHECK(listener.reasons[0].find("rfc2217://127.0.0.1:" + server.port() + ": lost") == 0);
    CHECK(server.clients == 2);
    link->close();
}

TEST_CASE("rfc2217 link: a server without COM-PORT is told once, asked again, and used when it has learnt") {
    Rig rig;
    rig.server.to_com_port = com_port_refused;
    REQUIRE(rig.listener.wait_for([&] { return rig.server.clients == 2; }));
    REQUIRE(rig.listener.wait_for([&] { return !rig.server.heard.empty(); }));
    REQUIRE(rig.listener.reasons.size() == 1);
    CHECK(rig.listener.reasons[0].find(rig.name() + ": refuses COM-PORT-OPTION") == 0);
    CHECK(rig.listener.ups == 0);

    rig.server.to_com_port = com_port_agreed;
    CHECK(rig.listener.wait_for([&] { return rig.listener.ups == 1; }));
    CHECK(rig.listener.reasons.size() == 1);
}

TEST_CASE("rfc2217 link: another baud rate keeps the line down") {
    Rig rig;
    rig.server.to_baud_rate = baud_rate_answer(0x4B, 0x00);
    REQUIRE(rig.listener.wait_for([&] { return !rig.listener.reasons.empty(); }));
    CHECK(rig.listener.reasons[0].find(rig.name() + ": answers with 19200 baud, expected 9600") == 0);
    CHECK(rig.listener.ups == 0);
    rig.link.write({1, 2, 3});
    CHECK(rig.listener.wait_for([&] { return rig.server.clients == 2; }));
}

TEST_CASE("rfc2217 link: a server that changes its baud rate later takes the line down and is set again") {
    Rig rig;
    REQUIRE(rig.listener.wait_for([&] { return rig.listener.ups == 1; }));
    rig.server.say(baud_rate_answer(0x4B, 0x00));
    REQUIRE(rig.listener.wait_for([&] { return rig.listener.ups == 2; }));
    REQUIRE(rig.listener.reasons.size() == 1);
    CHECK(rig.listener.reasons[0].find("19200 baud") != std::string::npos);
}

TEST_CASE("rfc2217 link: a server that agrees and confirms nothing is used after 3 s") {
    Rig rig;
    rig.server.to_baud_rate.clear();
    const auto begin = rig.loop.now();
    REQUIRE(rig.listener.wait_for([&] { return rig.listener.ups == 1; }));
    CHECK(rig.loop.now() - begin >= 3s);
    CHECK(rig.listener.reasons.empty());
}

TEST_CASE("rfc2217 link: a server that says nothing is no server") {
    Rig rig;
    rig.server.to_offer.clear();
    rig.server.to_com_port.clear();
    REQUIRE(rig.listener.wait_for([&] { return !rig.listener.reasons.empty(); }));
    CHECK(rig.listener.reasons[0].find(rig.name() + ": does not answer the negotiation") == 0);
}

TEST_CASE("rfc2217 link: a server that hangs up at once is told in words and not called without a pause") {
    const auto begin = std::chrono::steady_clock::now();
    Rig rig;
    rig.server.hangs_up_at_once = true;
    REQUIRE(rig.listener.wait_for([&] { return rig.server.clients == 2; }));
    REQUIRE(rig.listener.reasons.size() == 1);
    CHECK(rig.listener.reasons[0].find("is another program connected to it?") != std::string::npos);
    CHECK(std::chrono::steady_clock::now() - begin >= 1s);
}

TEST_CASE("rfc2217 link: a server that is not there is reported by its own name") {
    scheduling::EventLoop loop;
    Listener listener(loop);
    std::string port;
    {
        const Server gone(loop);
        port = gone.port();
    }
    twc_bus::Rfc2217Link link(loop, "127.0.0.1", port);
    link.open(listener.handlers());
    REQUIRE(listener.wait_for([&] { return !listener.reasons.empty(); }));
    CHECK(listener.reasons[0] == "rfc2217://127.0.0.1:" + port + ": Connection refused");
    link.close();
}

TEST_CASE("rfc2217 link: may be closed, opened again and destroyed in every state") {
    scheduling::EventLoop loop;
    Listener listener(loop);
    Server server(loop);
    std::optional<twc_bus::Rfc2217Link> link(std::in_place, loop, "127.0.0.1", server.port());
    link->open(listener.handlers());
    REQUIRE(listener.wait_for([&] { return server.clients == 1; }));
    link->close();
    loop.io().run_for(100ms);
    CHECK(listener.ups == 0);
    CHECK(listener.reasons.empty());

    link->open(listener.handlers());
    REQUIRE(listener.wait_for([&] { return listener.ups == 1; }));
    link.reset();
    link.emplace(loop, "127.0.0.1", server.port());
    server.to_com_port = com_port_refused;
    link->open(listener.handlers());
    REQUIRE(listener.wait_for([&] { return !listener.reasons.empty(); }));
    link.reset();
    loop.io().run_for(100ms);
    CHECK(listener.ups == 1);
    CHECK(listener.reasons.size() == 1);
}
