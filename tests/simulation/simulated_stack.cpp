#include "simulation/simulated_stack.hpp"

#include <filesystem>
#include <stdexcept>
#include <unistd.h>

#include <fmt/format.h>

#include "config/section.hpp"
#include "ems-bridge/template.hpp"
#include "storage/atomic_file.hpp"

namespace {

// A midsummer noon.
constexpr auto start_of_day = std::chrono::sys_days(std::chrono::year(2026) / 6 / 21) + std::chrono::hours(10);

template <class Config>
Config read(const std::string& yaml, const std::function<Config(const config::Section&)>& read_config) {
    const config::Document document(yaml, "simulation.yaml");
    Config config = read_config(document.root());
    document.finish();
    return config;
}

std::string cars_yaml(int count) {
    std::string yaml;
    for (int i = 0; i < count; ++i) {
        yaml += fmt::format("  - {{name: car{0}, vin: LRW3E7EK0NC00077{0}, battery_kwh: 75, max_current_a: 32}}\n", i);
    }
    return yaml;
}

std::string units_yaml(int count, int protocol) {
    std::string yaml;
    for (int i = 0; i < count; ++i) {
        yaml += fmt::format("  - {{id: \"774{}\", protocol: {}, firmware: {}}}\n", 4 + i, protocol,
                            protocol == 2 ? "4.5.3" : "p1");
    }
    return yaml;
}

std::string script_yaml(int cars, const std::string& more) {
    std::string yaml;
    for (int i = 0; i < cars; ++i) {
        yaml += fmt::format("  - {{after_s: {}, plug_in: car{}, unit: \"774{}\", soc: 40}}\n", 5 + 20 * i, i, 4 + i);
    }
    return yaml + more;
}

std::string vehicles_yaml(int count) {
    std::string yaml;
    for (int i = 0; i < count; ++i) {
        yaml += fmt::format("  - {{alias: car{0}, vin: LRW3E7EK0NC00077{0}}}\n", i);
    }
    return yaml;
}

}  // namespace

struct SimulatedStack::Client {
    Client(SimulatedStack& stack, const std::string& name)
        : topics("twc"),
          connection(stack.broker_.connect(
              name,
              messaging::Publication{
                  .topic = topics.service_status(name), .payload = "offline", .retained = true, .qos = 1})),
          environment{.loop = stack.loop_,
                      .workers = stack.workers_,
                      .bus = *connection,
                      .topics = topics,
                      .name = name,
                      .home_assistant = stack.options_.home_assistant} {
        connection->publish({.topic = topics.service_status(name), .payload = "online", .retained = true, .qos = 1});
    }

    contract::Topics topics;
    std::unique_ptr<messaging::InMemoryClient> connection;
    service::Environment environment;
};

class SimulatedStack::HouseHttp final : public http::HttpClientFactory {
public:
    explicit HouseHttp(house_sim::HouseSim& house) : house_(house) {}

    std::unique_ptr<http::HttpClient> make_client(const http::TlsTrust& /*trust*/) override {
        return std::make_unique<Connection>(house_);
    }

private:
    class Connection final : public http::HttpClient {
    public:
        explicit Connection(house_sim::HouseSim& house) : house_(house) {}
        http::Response send(const http::Request& request) override {
            const bool to_powerwall = request.url.starts_with("https://powerwall");
            auto response = to_powerwall ? house_.powerwall(request) : house_.tesla(request);
            if (!response) {
                throw http::TransportError("house: no answer");
            }
            return *std::move(response);
        }

    private:
        house_sim::HouseSim& house_;
    };

    house_sim::HouseSim& house_;
};

class SimulatedStack::HouseModbus final : public ems_bridge::ModbusClientFactory {
public:
    explicit HouseModbus(house_sim::HouseSim& house) : house_(house) {}

    std::unique_ptr<ems_bridge::ModbusClient> make_client(const ems_bridge::ModbusEndpoint& /*endpoint*/) override {
        return std::make_unique<Connection>(house_);
    }

private:
    class Connection final : public ems_bridge::ModbusClient {
    public:
        explicit Connection(house_sim::HouseSim& house) : house_(house) {}
        std::vector<std::uint16_t> read_holding(int unit, int address, int count) override {
            return read(unit, 3, address, count);
        }
        std::vector<std::uint16_t> read_input(int unit, int address, int count) override {
            return read(unit, 4, address, count);
        }

    private:
        std::vector<std::uint16_t> read(int unit, int function, int address, int count) {
            const auto byte = [](int value) { return static_cast<std::uint8_t>(value & 0xFF); };
            const std::vector<std::uint8_t> request{0,
                                                    1,
                                                    0,
                                                    0,
                                                    0,
                                                    6,
                                                    byte(unit),
                                                    byte(function),
                                                    byte(address >> 8),
                                                    byte(address),
                                                    byte(count >> 8),
                                                    byte(count)};
            const auto answer = house_.modbus(request);
            constexpr std::size_t header = 9;
            if (!answer || answer->size() < header) {
                throw ems_bridge::SourceError(ems_bridge::ErrorKind::transport, "house: no answer");
            }
            if (((*answer)[7] & 0x80) != 0) {
                throw ems_bridge::ModbusException("house: exception", (*answer)[8]);
            }
            std::vector<std::uint16_t> registers;
            for (std::size_t i = header; i + 1 < answer->size(); i += 2) {
                registers.push_back(static_cast<std::uint16_t>((*answer)[i] << 8 | (*answer)[i + 1]));
            }
            return registers;
        }

        house_sim::HouseSim& house_;
    };

    house_sim::HouseSim& house_;
};

class SimulatedStack::HouseLine final : public twc_bus::ByteLink {
public:
    HouseLine(house_sim::HouseSim& house, scheduling::Scheduler& loop) : house_(house), scope_(loop) {}
    ~HouseLine() override { HouseLine::close(); }
    HouseLine(const HouseLine&) = delete;
    HouseLine& operator=(const HouseLine&) = delete;

    void open(Handlers handlers) override {
        handlers_ = std::move(handlers);
        house_.on_line_output([this](std::span<const std::uint8_t> bytes) { handlers_.bytes(bytes); });
        scope_.post([this] { handlers_.up(); });
    }
    void close() override {
        house_.on_line_output([](std::span<const std::uint8_t>) {});
    }
    void write(twc_bus::Bytes bytes) override { house_.transmit(bytes); }

private:
    house_sim::HouseSim& house_;
    Handlers handlers_;
    scheduling::TaskScope scope_;
};

struct SimulatedStack::Bus {
    explicit Bus(SimulatedStack& stack)
        : client(stack, "twc-bus"),
          line(*stack.house_, stack.loop_),
          service(read<twc_bus::Config>(fmt::format("bus: {{port: /dev/simulated, listen_s: 2}}\n"
                                                    "limits: {{wiring_max_a: {}, charger_max_a: 32}}\n"
                                                    "state_file: {}/twc-bus.json\n",
                                                    stack.options_.wiring_max_a, stack.folder_),
                                        twc_bus::read_config),
                  client.environment, {&line}) {}

    Client client;
    HouseLine line;
    twc_bus::TwcBus service;
};

struct SimulatedStack::Ems {
    explicit Ems(SimulatedStack& stack)
        : client(stack, "ems-bridge"),
          http(*stack.house_),
          modbus(*stack.house_),
          io{http, modbus},
          service(read<ems_bridge::Config>("sources:\n"
                                           "  - {name: inverter, type: solaredge, host: house, interval_s: 1}\n",
                                           [](const config::Section& root) {
                                               return ems_bridge::read_config(root, ems_bridge::shipped_templates());
                                           }),
                  client.environment, io) {}

    Client client;
    HouseHttp http;
    HouseModbus modbus;
    ems_bridge::Io io;
    ems_bridge::EmsBridge service;
};

struct SimulatedStack::Tesla {
    explicit Tesla(SimulatedStack& stack)
        : client(stack, "tesla-bridge"),
          http(*stack.house_),
          service(read<tesla_bridge::Config>(
                      fmt::format("account:\n"
                                  "  backend: tesla_http_proxy\n"
                                  "  base_url: http://tesla\n"
                                  "  token_url: http://tesla/oauth2/v3/token\n"
                                  "  token_file: {}/tokens.json\n"
                                  "  client_id: house-sim-client\n"
                                  "vehicles:\n{}"
                                  "pacing: {{amps_gap_s: 10, start_stop_gap_s: 20, wake_gap_s: 60}}\n"
                                  "poll: {{charging_s: 15, idle_s: 30, asleep_s: 30}}\n",
                                  stack.folder_, vehicles_yaml(stack.options_.units)),
                      tesla_bridge::read_config),
                  client.environment, http) {}

    Client client;
    HouseHttp http;
    tesla_bridge::TeslaBridge service;
};

struct SimulatedStack::Policy {
    explicit Policy(SimulatedStack& stack)
        : client(stack, "policy-engine"),
          service(read<policy_engine::ServiceConfig>(fmt::format("policy: {{mode: solar}}\nvehicles:\n{}"
                                                                 "state_file: {}/policy-engine.json\n",
                                                                 named_vehicles(stack.options_.units), stack.folder_),
                                                     policy_engine::read_config),
                  client.environment, {}) {}

    static std::string named_vehicles(int count) {
        std::string yaml;
        for (int i = 0; i < count; ++i) {
            yaml += fmt::format("  car{0}: {{vin: LRW3E7EK0NC00077{0}}}\n", i);
        }
        return yaml;
    }

    Client client;
    policy_engine::PolicyEngine service;
};

SimulatedStack::SimulatedStack(const Options& options) : options_(options), loop_(start_of_day) {
    std::string pattern = (std::filesystem::temp_directory_path() / "twc-simulation-XXXXXX").string();
    if (mkdtemp(pattern.data()) == nullptr) {
        throw std::runtime_error("no temporary folder");
    }
    folder_ = pattern;
    storage::write_atomically(folder_ + "/tokens.json", R"({"refresh_token":"sim-refresh-0"})", 0600);
    // FNV-1a, so that two runs can be compared without keeping every message.
    broker_.tap([this](const std::string& client, const messaging::Publication& publication) {
        // Memory use is the one thing that is told about the process itself.
        if (publication.topic.ends_with("/metrics")) {
            return;
        }
        for (const std::string* text : {&client, &publication.topic, &publication.payload}) {
            for (const char c : *text) {
                digest_ = (digest_ ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
            }
        }
    });
    observer_ = std::make_unique<Client>(*this, "observer");
    house_client_ = std::make_unique<Client>(*this, "house-sim");
    house_yaml_ = fmt::format(
        "time: {{start: \"12:00\", seed: {}}}\n"
        "pv: {{peak_w: 9000, sky: {}}}\n"
        "battery: {{capacity_kwh: 0}}\n"
        "units:\n{}cars:\n{}script:\n{}"
        "tesla: {{client_id: house-sim-client}}\n",
        options.seed, options.sky, units_yaml(options.units, options.protocol), cars_yaml(options.units),
        script_yaml(options.units, options.script));
    house_ = std::make_unique<house_sim::HouseSim>(read<house_sim::Config>(house_yaml_, house_sim::read_config),
                                                   house_client_->environment);
    for (const char* service : {"twc-bus", "ems-bridge", "tesla-bridge", "policy-engine"}) {
        start(service);
    }
}

SimulatedStack::~SimulatedStack() {
    for (const char* service : {"policy-engine", "tesla-bridge", "ems-bridge", "twc-bus"}) {
        kill(service);
    }
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
}

void SimulatedStack::kill(const std::string& service) {
    if (service == "twc-bus") {
        bus_.reset();
    } else if (service == "ems-bridge") {
        ems_.reset();
    } else if (service == "tesla-bridge") {
        tesla_.reset();
    } else if (service == "policy-engine") {
        policy_.reset();
    } else {
        throw std::invalid_argument("no service " + service);
    }
}

void SimulatedStack::start(const std::string& service) {
    if (service == "twc-bus") {
        bus_ = std::make_unique<Bus>(*this);
    } else if (service == "ems-bridge") {
        ems_ = std::make_unique<Ems>(*this);
    } else if (service == "tesla-bridge") {
        tesla_ = std::make_unique<Tesla>(*this);
    } else if (service == "policy-engine") {
        policy_ = std::make_unique<Policy>(*this);
    } else {
        throw std::invalid_argument("no service " + service);
    }
}

std::string SimulatedStack::retained(const std::string& topic) const {
    return broker_.retained("twc/" + topic).value_or("");
}

nlohmann::json SimulatedStack::state(const std::string& topic) const {
    const auto text = retained(topic);
    return text.empty() ? nlohmann::json() : contract::parse_json(text);
}

void SimulatedStack::publish(const std::string& topic, const std::string& payload) {
    observer_->connection->publish({.topic = "twc/" + topic, .payload = payload, .qos = 1});
}
