#include <csignal>

#include <doctest/doctest.h>
#include <fmt/format.h>

#include "certificates.hpp"
#include "integration/echo_process.hpp"
#include "support/eventually.hpp"
#include "support/shipped_broker.hpp"

using namespace std::chrono_literals;
using support::ShippedBroker;

namespace {

// A shipped broker with a TLS listener.
struct TlsBroker {
    explicit TlsBroker(const Certificates& certificates)
        : port(support::free_port()),
          broker({.anonymous = false,
                  .more_users = {},
                  .more_acl = "",
                  .more_configuration = "\n" + certificates.listener(port)}) {}

    /// Keys of the mqtt section of a service that logs in as twc-bus.
    std::string login(const std::filesystem::path& authority) const {
        return fmt::format("  username: twc-bus\n  password_file: {}\n  tls: {{ca_file: {}}}\n",
                           (broker.folder() / "secrets/twc-bus/password").string(), authority.string());
    }

    /// What openssl says about the certificate that is served.
    std::string served() const {
        const support::TemporaryFolder folder;
        support::Process client({"sh", "-c",
                                 fmt::format("openssl s_client -connect 127.0.0.1:{} </dev/null 2>/dev/null | "
                                             "openssl x509 -noout -serial",
                                             port)},
                                folder / "output");
        client.wait_for_exit();
        return client.output();
    }

    int port;
    ShippedBroker broker;
};

unsigned mode_of(const std::filesystem::path& file) {
    return static_cast<unsigned>(std::filesystem::status(file).permissions());
}

// In a masked websocket frame with a zero mask: a stranger's CONNECT.
std::string connect_in_websocket() {
    namespace mqtt = support::mqtt;
    constexpr unsigned final_binary = 0x82;
    constexpr unsigned masked = 0x80;
    constexpr char clean_start = 2;
    std::string body = mqtt::text("MQTT");
    body += {'\x05', clean_start, '\0', '\0', '\0'};
    body += mqtt::text("stranger");
    const auto packet = mqtt::encode({.type = mqtt::PacketType::connect, .body = body});
    std::string frame;
    frame += {static_cast<char>(final_binary), static_cast<char>(masked | packet.size()), '\0', '\0', '\0', '\0'};
    return frame.append(packet);
}

bool receives(const support::Socket& socket, const std::string& expected) {
    std::string bytes;
    return support::eventually([&] {
        bytes += socket.receive(100ms).value_or("");
        return bytes.find(expected) != std::string::npos;
    });
}

}  // namespace

TEST_CASE("broker TLS: a service with the authority's certificate connects, by name and by address") {
    const Certificates certificates({"localhost", "127.0.0.1"});
    const TlsBroker tls(certificates);
    for (const std::string host : {"127.0.0.1", "localhost"}) {
        CAPTURE(host);
        EchoProcess echo(tls.port, tls.login(certificates.authority()));
        echo->kill();
        support::Process again(echo.command({"--set", "mqtt.host=" + host}), echo.folder() / "again.log");
        CHECK(again.wait_for_output(fmt::format("connected to {}:{}", host, tls.port)));
    }
    // The same users and rules hold.
    CHECK(support::run_command({"mosquitto_sub", "-h", "127.0.0.1", "-p", std::to_string(tls.port), "--cafile",
                                certificates.authority(), "-u", "healthcheck", "-P",
                                tls.broker.login("healthcheck").password, "-t", "$SYS/broker/uptime", "-C", "1", "-W",
                                "5"})
              .find("seconds") != std::string::npos);
}

TEST_CASE("broker TLS: a service refuses a broker of another authority or another name, and plain MQTT is no way in") {
    const Certificates certificates({"127.0.0.1"});
    const Certificates other({"127.0.0.1"});
    const Certificates elsewhere({"elsewhere.example"});
    const TlsBroker tls(certificates);
    const TlsBroker misnamed(elsewhere);

    EchoProcess wrong_authority(tls.port, tls.login(other.authority()));
    EchoProcess wrong_name(misnamed.port, misnamed.login(elsewhere.authority()));
    EchoProcess plain(tls.port, fmt::format("  username: twc-bus\n  password_file: {}\n",
                                            (tls.broker.folder() / "secrets/twc-bus/password").string()));
    for (auto* echo : {&wrong_authority, &wrong_name, &plain}) {
        CHECK((*echo)->wait_for_output("does not let user"));
        CHECK((*echo)->output().find("connected to") == std::string::npos);
    }
}

TEST_CASE("broker TLS: the script keeps what is good, renews for other names, and a running broker takes it") {
    const Certificates certificates({"127.0.0.1"});
    CHECK(certificates.said().find("made an authority") != std::string::npos);
    CHECK(mode_of(certificates.folder() / "server.key") == 0640);
    CHECK(mode_of(certificates.folder() / "ca.key") == 0600);
    const TlsBroker tls(certificates);
    const auto first = tls.served();
    REQUIRE(first.find("serial=") != std::string::npos);

    CHECK(certificates.make().find("is good") != std::string::npos);
    ::kill(tls.broker.pid(), SIGHUP);
    CHECK(tls.served() == first);

    std::filesystem::remove(certificates.folder() / "server.names");
    CHECK(certificates.make().find("made a certificate for IP:127.0.0.1") != std::string::npos);
    ::kill(tls.broker.pid(), SIGHUP);
    CHECK(support::eventually([&] { return tls.served() != first; }));
    EchoProcess echo(tls.port, tls.login(certificates.authority()));
    CHECK(echo->wait_for_output("connected to"));
}

TEST_CASE("broker websockets: the shipped option is a listener with the same rules") {
    const int port = support::free_port();
    auto option = support::project_file("config/broker/websockets.conf");
    Certificates::replace(option, "listener 9001", fmt::format("listener {} 127.0.0.1", port));
    const ShippedBroker broker({.anonymous = false, .more_users = {}, .more_acl = "", .more_configuration = option});

    // It opens after the listener that the broker was waited for.
    support::Socket socket;
    REQUIRE(support::eventually([&] {
        socket = support::Socket::connect(port);
        return socket.open();
    }));
    REQUIRE(
        socket.send("GET /mqtt HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: mqtt\r\n"
                    "Sec-WebSocket-Version: 13\r\n\r\n"));
    REQUIRE(receives(socket, "\r\n\r\n"));
    REQUIRE(socket.send(connect_in_websocket()));
    CHECK(receives(socket, "\x87"));  // the reason of the CONNACK: not authorized
}
