#include "house-sim/servers.hpp"

#include <array>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <poll.h>
#include <termios.h>
#include <thread>
#include <unistd.h>

#include <doctest/doctest.h>
#include <modbus.h>
#include <nlohmann/json.hpp>

#include "bytes.hpp"
#include "messaging/in_memory_broker.hpp"
#include "scheduling/event_loop.hpp"

namespace house_sim {

namespace {

using namespace std::chrono_literals;
using nlohmann::json;

// The house with all its sockets on a real loop, on a thread of its own; the test is the client.
class RealHouse {
public:
    explicit RealHouse(const std::string& fault = "") {
        std::string name = (std::filesystem::temp_directory_path() / "house-sim-test-XXXXXX").string();
        REQUIRE(mkdtemp(name.data()) != nullptr);
        folder_ = name;
        Config config;
        config.site.house.sky = Sky::clear;
        config.site.units = {{.answer_delay_min_s = 0.01, .answer_delay_max_s = 0.02}};
        config.site.cars = {{.vin = "LRW3E7EK0NC000777"}};
        config.line = {.pty = (folder_ / "twc").string(), .tcp_port = 0};
        config.ports = {.modbus = 0, .powerwall = 0, .tesla = 0, .truth = 0};
        config.ready_file = (folder_ / "ready.json").string();
        if (const auto wanted = parse_fault(fault)) {
            config.site.script = {{.second_of_day = std::nullopt, .after_real_s = 0, .action = *wanted}};
        }
        house_ = std::make_unique<HouseSim>(config, environment_);
        servers_ = std::make_unique<Servers>(*house_, loop_);
        std::ifstream file(config.ready_file);
        ready = json::parse(file);
        thread_ = std::thread([this] { loop_.run(); });
    }
    RealHouse(const RealHouse&) = delete;
    RealHouse& operator=(const RealHouse&) = delete;
    ~RealHouse() {
        loop_.stop();
        thread_.join();
        servers_.reset();
        std::filesystem::remove_all(folder_);
    }

    std::string path(const char* name) const { return (folder_ / name).string(); }
    std::string url(const char* scheme, const char* port) const {
        return std::string(scheme) + "://127.0.0.1:" + std::to_string(ready[port].get<int>());
    }
    int port(const char* name) const { return ready[name].get<int>(); }
    /// Ends the servers, as the end of the process does.
    void end() {
        loop_.stop();
        thread_.join();
        servers_.reset();
        thread_ = std::thread([] {});
    }

    json ready;

private:
    std::filesystem::path folder_;
    scheduling::EventLoop loop_;
    scheduling::ThreadWorkerFactory workers_;
    messaging::InMemoryBroker broker_{loop_};
    std::unique_ptr<messaging::InMemoryClient> bus_ = broker_.connect("house-sim");
    service::Environment environment_{loop_, workers_, *bus_, contract::Topics("twc"), "house-sim"};
    std::unique_ptr<HouseSim> house_;
    std::unique_ptr<Servers> servers_;
    std::thread thread_;
};

// A libmodbus client, as ems-bridge uses.
class ModbusClient {
public:
    explicit ModbusClient(int port)
        : context_(modbus_new_tcp_pi("127.0.0.1", std::to_string(port).c_str()), &modbus_free) {
        modbus_set_slave(context_.get(), 1);
        modbus_set_response_timeout(context_.get(), 1, 0);
        REQUIRE(modbus_connect(context_.get()) == 0);
    }
    ModbusClient(const ModbusClient&) = delete;
    ModbusClient& operator=(const ModbusClient&) = delete;
    ~ModbusClient() { modbus_close(context_.get()); }

    int read(int address, int count) { return modbus_read_registers(context_.get(), address, count, values.data()); }

    std::array<std::uint16_t, 125> values{};

private:
    std::unique_ptr<modbus_t, decltype(&modbus_free)> context_;
};

// Reads from a file descriptor until a whole message is there, at most for `patience`.
std::optional<Bytes> read_message(int fd, std::chrono::milliseconds patience) {
    SegmentReader reader;
    const auto until = std::chrono::steady_clock::now() + patience;
    while (std::chrono::steady_clock::now() < until) {
        pollfd state{.fd = fd, .events = POLLIN, .revents = 0};
        if (poll(&state, 1, 50) != 1) {
            continue;
        }
        std::array<std::uint8_t, 64> chunk{};
        const auto size = ::read(fd, chunk.data(), chunk.size());
        for (ssize_t i = 0; i < size; ++i) {
            if (auto message = reader.add(chunk.at(static_cast<std::size_t>(i)))) {
                return message;
            }
        }
    }
    return std::nullopt;
}

}  // namespace

TEST_CASE("servers: libmodbus reads the inverter and the meter, two clients at a time") {
    RealHouse house;
    ModbusClient first(house.port("modbus_port"));
    ModbusClient second(house.port("modbus_port"));

    REQUIRE(first.read(40069, 52) == 52);
    REQUIRE(second.read(40188, 107) == 107);
    CHECK(first.values[0] == 101);
    CHECK(second.values[0] == 201);
    CHECK(first.read(1, 1) == -1);
    CHECK(errno == EMBXILADD);
    CHECK(second.read(40000, 2) == 2);
}

TEST_CASE("servers: the powerwall speaks https with its own certificate, which can be pinned") {
    RealHouse house;
    http::CurlHttpClientFactory factory;
    const auto pin = house.ready["powerwall_pin"].get<std::string>();
    auto pinned = factory.make_client({.mode = http::TlsTrust::Mode::pinned, .pin = pin});
    auto strict = factory.make_client({});
    const std::string base = house.url("https", "powerwall_port");

    CHECK_THROWS_AS(strict->send({.url = base + "/api/status"}), http::TransportError);
    CHECK(pinned->send({.url = base + "/api/status"}).status == 200);
    CHECK(pinned->send({.url = base + "/api/meters/aggregates"}).status == 401);
    const auto login =
        pinned->send({.method = "POST",
                      .url = base + "/api/login/Basic",
                      .headers = {{"Content-Type", "application/json"}},
                      .body = R"({"username":"customer","password":"sim12","email":"a@b","force_sm_off":false})"});
    REQUIRE(login.status == 200);
    const auto token = json::parse(login.body)["token"].get<std::string>();
    const auto meters =
        pinned->send({.url = base + "/api/meters/aggregates", .headers = {{"Authorization", "Bearer " + token}}});
    CHECK(json::parse(meters.body)["solar"]["instant_power"].get<double>() > 1000);
}

TEST_CASE("servers: the vehicle cloud and the truth answer over http") {
    RealHouse house;
    http::CurlHttpClientFactory factory;
    auto client = factory.make_client({});

    const auto refused = client->send({.url = house.url("http", "tesla_port") + "/api/1/vehicles"});
    CHECK(refused.status == 401);
    const auto truth = client->send({.url = house.url("http", "truth_port") + "/house.json"});
    CHECK(json::parse(truth.body)["pv_w"].get<double>() > 1000);
}

TEST_CASE("servers: a silent device lets the client time out and does not hold up the end") {
    RealHouse house("powerwall silence");
    http::CurlHttpClientFactory factory;
    auto client = factory.make_client({.mode = http::TlsTrust::Mode::accept_any});
    // The script acts at the first step, so the fault may need a moment to be there.
    const auto until = std::chrono::steady_clock::now() + 3s;
    bool timed_out = false;
    while (!timed_out && std::chrono::steady_clock::now() < until) {
        try {
            client->send({.url = house.url("https", "powerwall_port") + "/api/status", .timeout = 300ms});
        } catch (const http::TransportError&) {
            timed_out = true;
        }
    }
    CHECK(timed_out);

    const auto began = std::chrono::steady_clock::now();
    house.end();
    CHECK(std::chrono::steady_clock::now() - began < 1s);
}

TEST_CASE("servers: the units are on a raw pseudo terminal behind the symlink") {
    RealHouse house;
    const int fd = open(house.path("twc").c_str(), O_RDWR | O_NOCTTY | O_CLOEXEC);
    REQUIRE(fd >= 0);
    termios settings{};
    REQUIRE(tcgetattr(fd, &settings) == 0);
    cfmakeraw(&settings);
    REQUIRE(tcsetattr(fd, TCSANOW, &settings) == 0);

    const Bytes question = to_wire(bytes("FB E0 77 77 77 44 09 12 C0 00 00 00 00 00 00"));
    REQUIRE(write(fd, question.data(), question.size()) == static_cast<ssize_t>(question.size()));
    std::optional<Bytes> answer;
    while ((answer = read_message(fd, 3s)) && (*answer)[1] != 0xE0) {
    }
    close(fd);

    REQUIRE(answer);
    CHECK(*answer == bytes("FD E0 77 44 77 77 00 12 C0 00 00 00 00 00 00"));
}

TEST_CASE("servers: the ready file and the symlink vanish with the house") {
    RealHouse house;
    CHECK(std::filesystem::exists(house.path("ready.json")));
    CHECK(std::filesystem::is_symlink(house.path("twc")));
    CHECK(house.ready["pty"] == house.path("twc"));

    house.end();

    CHECK_FALSE(std::filesystem::exists(house.path("ready.json")));
    CHECK_FALSE(std::filesystem::is_symlink(house.path("twc")));
}

}  // namespace house_sim
