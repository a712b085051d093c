#include "stack.hpp"

#include <csignal>
#include <fstream>
#include <iterator>
#include <stdexcept>

#include <fmt/format.h>

#include "support/socket.hpp"

namespace {

using namespace std::chrono_literals;

std::string password_of(const std::string& name) { return name + "-password"; }

support::BrokerOptions shipped_broker() {
    support::BrokerOptions options;
    for (const char* name : {"twc-bus", "ems-bridge", "tesla-bridge", "policy-engine", "house-sim", "cli", "probe"}) {
        options.users.emplace_back(name, password_of(name));
    }
    std::ifstream acl(SOURCE_DIR "/config/acl");
    options.acl = {std::istreambuf_iterator<char>(acl), {}};
    options.acl += "\nuser probe\ntopic readwrite #\n";
    return options;
}

}  // namespace

Stack::Stack()
    : broker(shipped_broker()),
      probe(broker.port(), {"probe", password_of("probe")}),
      line_port_(support::free_port()),
      modbus_port_(support::free_port()),
      tesla_port_(support::free_port()),
      truth_port_(support::free_port()),
      tap(line_port_) {
    write_house();
    write_services();
    start("house-sim");
    if (!support::eventually([this] { return std::filesystem::exists(folder / "ready.json"); }, 15s)) {
        throw std::runtime_error("house-sim does not get ready:\n" + logs());
    }
    for (const auto& name : services) {
        start(name);
    }
    for (const auto& name : services) {
        if (!support::eventually([&] { return is_online(name); }, 15s)) {
            throw std::runtime_error(name + " does not come online:\n" + logs());
        }
    }
}

std::string Stack::shared(const std::string& name) const {
    const auto secret = folder.write(name + ".password", password_of(name));
    return fmt::format(
        "mqtt: {{host: 127.0.0.1, port: {}, username: {}, password_file: {}}}\nhealth_file: {}\nlog: {{level: "
        "debug}}\n",
        broker.port(), name, secret.string(), (folder / (name + ".health")).string());
}

void Stack::write_house() {
    folder.write("house-sim.yaml", shared("house-sim") + fmt::format(R"(
ready_file: {0}
time: {{start: "12:30", speed: 10, seed: 7}}
house: {{phases: 1, voltage_v: 230, base_load_w: 300, appliances: false}}
pv: {{peak_w: 5000, sky: clear, sunrise: "05:30", sunset: "20:30"}}
line: {{tcp_port: {1}}}
units:
  - {{id: "7744", protocol: 2, firmware: 4.5.3, rating_a: 32, answer_delay_max_s: 0.03}}
cars:
  - {{name: kestrel, vin: LRW3E7EK0NC000777, battery_kwh: 75, max_current_a: 32, start_delay_min_s: 0, start_delay_max_s: 1}}
script:
  - {{after_s: 1, plug_in: kestrel, unit: "7744", soc: 40}}
ports: {{host: 127.0.0.1, modbus: {2}, tesla: {3}, truth: {4}}}
)",
                                                                     (folder / "ready.json").string(), line_port_,
                                                                     modbus_port_, tesla_port_, truth_port_));
}

void Stack::write_services() {
    folder.write("twc-bus.yaml", shared("twc-bus") + fmt::format(R"(
bus: {{port: "tcp://127.0.0.1:{}", listen_s: 0}}
limits: {{wiring_max_a: {}, charger_max_a: {}, charger_min_a: 6, failsafe_a: {}}}
state_file: {}
)",
                                                                 tap.port(), wiring_a, wiring_a, failsafe_a,
                                                                 (folder / "twc-bus.json").string()));
    folder.write("ems-bridge.yaml", shared("ems-bridge") + fmt::format(R"(
sources:
  - {{name: roof, type: solaredge, host: 127.0.0.1, port: {}, interval_s: 0.5, stale_after_s: 4, retry_max_s: 1}}
  - {{name: push, type: push, roles: [battery], stale_after_s: 60}}
)",
                                                                       modbus_port_));
    folder.write("tesla-bridge.yaml",
                 shared("tesla-bridge") + fmt::format(R"(
account:
  backend: tesla_http_proxy
  base_url: http://127.0.0.1:{0}
  token_url: http://127.0.0.1:{0}/oauth2/v3/token
  token_file: {1}
  client_id: house-sim-client
vehicles:
  - {{alias: kestrel, vin: LRW3E7EK0NC000777}}
pacing: {{amps_gap_s: 1, start_stop_gap_s: 1, limit_gap_s: 1, wake_gap_s: 20}}
poll: {{charging_s: 10, idle_s: 10, asleep_s: 10}}
)",
                                                      tesla_port_, (folder / "tokens.json").string()));
    const auto tokens = folder.write("tokens.json", R"({"refresh_token":"sim-refresh-0"})");
    std::filesystem::permissions(tokens, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
    folder.write("policy-engine.yaml", shared("policy-engine") + fmt::format(R"(
policy: {{mode: min_solar, raise_hold_s: 0, lease_s: 15, stop_by_vehicle: false, stale: {{hold_after_s: 3, minimum_after_s: 6}}}}
state_file: {}
)",
                                                                             (folder / "policy-engine.json").string()));
}

void Stack::start(const std::string& name) {
    processes_[name] = std::make_unique<support::Process>(
        std::vector<std::string>{BINARY_DIR "/" + name, "--config", folder / (name + ".yaml")},
        folder / (name + ".log"));
}

void Stack::kill(const std::string& name) {
    process(name).kill();
    process(name).wait_for_exit();
}

void Stack::stop(const std::string& name) {
    process(name).send_signal(SIGTERM);
    process(name).wait_for_exit();
}

std::string Stack::last(const std::string& topic) const {
    const auto message = probe.latest(topic);
    return message ? message->payload : "";
}

nlohmann::json Stack::last_json(const std::string& topic) const {
    const std::string text = last(topic);
    return text.empty() ? nlohmann::json::object() : nlohmann::json::parse(text);
}

nlohmann::json Stack::field(const std::string& topic, const std::string& name) const {
    return last_json(topic).value(name, nlohmann::json());
}

double Stack::drawn_a() const {
    const auto current = field("twc/charger/7744/state", "current_a");
    return current.is_number() ? current.get<double>() : 0;
}

double Stack::wire_a() const {
    const auto limit = tap.last_limit();
    return limit ? limit->amps : 0;
}

double Stack::highest_wire_a(std::chrono::steady_clock::time_point since) const {
    double highest = 0;
    for (const auto& limit : tap.limits()) {
        highest = limit.at >= since ? std::max(highest, limit.amps) : highest;
    }
    return highest;
}

bool Stack::charges(std::chrono::milliseconds timeout) const {
    return support::eventually([this] { return drawn_a() >= 5.5 && drawn_a() <= wire_a() + 0.5; }, timeout);
}

std::optional<nlohmann::json> Stack::event(const std::string& service, const std::string& type, std::size_t mark,
                                           std::chrono::milliseconds timeout) const {
    const auto message = probe.wait_for(
        "twc/service/" + service + "/event",
        [&](const std::string& payload) { return nlohmann::json::parse(payload)["event_type"] == type; }, timeout,
        mark);
    return message ? std::optional(nlohmann::json::parse(message->payload)) : std::nullopt;
}

std::string Stack::logs() const {
    std::string text;
    for (const auto& [name, process] : processes_) {
        text += "---- " + name + "\n" + process->output();
    }
    return text;
}
