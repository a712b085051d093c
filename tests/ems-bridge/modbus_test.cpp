#include <arpa/inet.h>
#include <atomic>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <thread>
#include <unistd.h>

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <modbus.h>

#include "ems-bridge/sources/solaredge.hpp"
#include "support.hpp"

using namespace ems_bridge;
using namespace std::chrono_literals;

namespace {

// A Modbus TCP device on a free port of 127.0.0.1, one client at a time as inverters have it.
class Device {
public:
    Device() {
        listener_ = socket(AF_INET, SOCK_STREAM, 0);
        bind_to_free_port();
        context_ = modbus_new_tcp("127.0.0.1", port_);
        modbus_set_response_timeout(context_, 0, 100000);
        mapping_ = modbus_mapping_new_start_address(0, 0, 0, 0, 0, 300, 0, 100);
        for (int i = 0; i < 300; ++i) {
            mapping_->tab_registers[i] = static_cast<std::uint16_t>(i * 2);
        }
        for (int i = 0; i < 100; ++i) {
            mapping_->tab_input_registers[i] = static_cast<std::uint16_t>(1000 + i);
        }
        thread_ = std::thread([this] { serve(); });
    }
    Device(const Device&) = delete;
    Device& operator=(const Device&) = delete;
    ~Device() {
        stopping_ = true;
        shutdown(listener_, SHUT_RDWR);
        thread_.join();
        close(listener_);
        modbus_mapping_free(mapping_);
        modbus_free(context_);
    }

    ModbusEndpoint endpoint() const {
        return {.host = "localhost", .port = port_, .timeout = 300ms, .reconnect_delay = 0ms};
    }
    int port() const { return port_; }

    std::atomic<bool> silent = false;
    std::atomic<bool> drop_next = false;
    std::atomic<int> connections = 0;
    std::atomic<int> requests = 0;

private:
    void bind_to_free_port() {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t length = sizeof(address);
        REQUIRE(bind(listener_, reinterpret_cast<sockaddr*>(&address), length) == 0);
        REQUIRE(listen(listener_, 4) == 0);
        REQUIRE(getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &length) == 0);
        port_ = ntohs(address.sin_port);
    }

    void serve() {
        while (!stopping_) {
            const int client = accept(listener_, nullptr, nullptr);
            if (client < 0) {
                continue;
            }
            ++connections;
            // A quiet client must not keep the device from ending.
            const timeval patience{.tv_sec = 0, .tv_usec = 50000};
            setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
            modbus_set_socket(context_, client);
            talk(client);
            close(client);
        }
    }

    void talk(int client) {
        std::array<std::uint8_t, MODBUS_TCP_MAX_ADU_LENGTH> query{};
        while (!stopping_) {
            char byte = 0;
            const auto peeked = recv(client, &byte, 1, MSG_PEEK);
            if (peeked < 0 && errno == EAGAIN) {
                continue;
            }
            const int length = modbus_receive(context_, query.data());
            if (length < 0) {
                return;
            }
            ++requests;
            if (drop_next.exchange(false)) {
                return;
            }
            if (!silent) {
                modbus_reply(context_, query.data(), length, mapping_);
            }
        }
    }

    int listener_ = -1;
    int port_ = 0;
    modbus_t* context_ = nullptr;
    modbus_mapping_t* mapping_ = nullptr;
    std::atomic<bool> stopping_ = false;
    std::thread thread_;
};

int closed_port() {
    const Device device;
    return device.port();
}

}  // namespace

TEST_CASE("modbus: holding and input registers over a real connection") {
    Device device;
    TcpModbusClientFactory factory;
    const auto client = factory.make_client(device.endpoint());

    CHECK(client->read_holding(1, 10, 3) == std::vector<std::uint16_t>{20, 22, 24});
    CHECK(client->read_input(1, 5, 2) == std::vector<std::uint16_t>{1005, 1006});
    CHECK(device.connections == 1);
}

TEST_CASE("modbus: an exception of the device is named in full and leaves the connection alone") {
    Device device;
    TcpModbusClientFactory factory;
    const auto client = factory.make_client(device.endpoint());

    try {
        client->read_holding(7, 299, 5);
        FAIL("no exception");
    } catch (const ModbusException& error) {
        CHECK(error.code() == illegal_data_address);
        CHECK(std::string(error.what()) == fmt::format("Modbus localhost:{} unit 7: Illegal data address of 5 holding "
                                                       "registers from 299",
                                                       device.port()));
    }
    CHECK(client->read_holding(1, 1, 1).at(0) == 2);
    CHECK(device.connections == 1);
}

TEST_CASE("modbus: after silence the connection is renewed and the late answer never read") {
    Device device;
    TcpModbusClientFactory factory;
    const auto client = factory.make_client(device.endpoint());
    device.silent = true;
    CHECK_THROWS_AS(client->read_holding(1, 10, 1), SourceError);

    device.silent = false;
    CHECK(client->read_holding(1, 20, 1).at(0) == 40);
    CHECK(device.connections == 2);
}

TEST_CASE("modbus: a dropped connection is one failed read") {
    Device device;
    TcpModbusClientFactory factory;
    const auto client = factory.make_client(device.endpoint());
    device.drop_next = true;
    CHECK_THROWS_AS(client->read_holding(1, 10, 1), SourceError);

    CHECK(client->read_holding(1, 20, 1).at(0) == 40);
}

TEST_CASE("modbus: nobody there and an unknown host are named") {
    TcpModbusClientFactory factory;
    const int port = closed_port();

    CHECK_THROWS_WITH_AS(
        factory.make_client({.host = "127.0.0.1", .port = port, .timeout = 300ms})->read_holding(1, 0, 1),
        doctest::Contains("no connection: Connection refused"), SourceError);
    CHECK_THROWS_AS(factory.make_client({.host = "no-such-host.invalid", .port = port})->read_holding(1, 0, 1),
                    SourceError);
}

TEST_CASE("modbus: clients of one device share its one connection, also from several threads") {
    Device device;
    TcpModbusClientFactory factory;
    std::atomic<int> wrong = 0;
    const auto work = [&](int unit) {
        const auto client = factory.make_client(device.endpoint());
        for (int i = 0; i < 50; ++i) {
            wrong += client->read_holding(unit, i, 1).at(0) == i * 2 ? 0 : 1;
        }
    };
    std::thread first(work, 1);
    std::thread second(work, 2);
    first.join();
    second.join();

    CHECK(wrong == 0);
    CHECK(device.requests == 100);
    CHECK(device.connections == 1);
}
