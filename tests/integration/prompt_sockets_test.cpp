#include "messaging/prompt_sockets.hpp"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <doctest/doctest.h>

#include "messaging/mqtt_session.hpp"
#include "scheduling/event_loop.hpp"
#include "support/broker.hpp"
#include "support/socket.hpp"

using namespace std::chrono_literals;

namespace {

// A connection as the kernel makes it, to 127.0.0.1.
class PlainConnection {
public:
    explicit PlainConnection(int port) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(static_cast<std::uint16_t>(port));
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        REQUIRE(connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    }
    PlainConnection(const PlainConnection&) = delete;
    PlainConnection& operator=(const PlainConnection&) = delete;
    ~PlainConnection() { close(fd_); }

    int fd() const { return fd_; }

private:
    int fd_;
};

bool sends_at_once(int fd) {
    int on = 0;
    socklen_t size = sizeof on;
    REQUIRE(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, &size) == 0);
    return on != 0;
}

// Those of this process.
std::vector<int> connections_to(int port) {
    constexpr int more_than_a_test_opens = 256;
    std::vector<int> result;
    for (int fd = 0; fd < more_than_a_test_opens; ++fd) {
        sockaddr_in peer{};
        socklen_t size = sizeof peer;
        if (getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &size) == 0 && peer.sin_family == AF_INET &&
            ntohs(peer.sin_port) == port) {
            result.push_back(fd);
        }
    }
    return result;
}

}  // namespace

TEST_CASE("prompt sockets: the connections to one port, and no others") {
    const support::Listener broker;
    const support::Listener other;
    const PlainConnection first(broker.port());
    const PlainConnection second(broker.port());
    const PlainConnection elsewhere(other.port());

    CHECK(messaging::send_at_once_to(broker.port()) == 2);

    CHECK(sends_at_once(first.fd()));
    CHECK(sends_at_once(second.fd()));
    CHECK_FALSE(sends_at_once(elsewhere.fd()));
}

TEST_CASE("mqtt session: small packets are not held back") {
    const support::Broker broker;
    scheduling::EventLoop loop;
    messaging::MqttOptions options;
    options.host = "127.0.0.1";
    options.port = broker.port();
    options.client_id = "prompt";
    messaging::MqttSession session(options, loop, [](const std::string& reason) { FAIL(reason); });
    session.on_connection_change([&](bool /*connected*/) { loop.stop(); });
    loop.call_at(loop.now() + 20s, [&] { loop.stop(); });

    session.start();
    loop.run();

    REQUIRE(session.connected());
    const auto connections = connections_to(broker.port());
    REQUIRE(connections.size() == 1);
    CHECK(sends_at_once(connections.front()));
}
