#include "bus_under_test.hpp"

#include <algorithm>
#include <csignal>
#include <stdexcept>

#include <fmt/format.h>

namespace bench {

namespace {

using namespace std::chrono_literals;

constexpr UnitNumber first_unit = 0x7744;
constexpr int lease_s = 600;

std::string configuration(int broker_port, const std::filesystem::path& device, const std::filesystem::path& state) {
    return fmt::format(
        "bus: {{port: {}, listen_s: 0}}\n"
        "limits: {{wiring_max_a: {}, charger_max_a: {}, charger_min_a: {}, failsafe_a: {}}}\n"
        "state_file: {}\n"
        "mqtt: {{host: 127.0.0.1, port: {}}}\n",
        device.string(), wiring_a, charger_max_a, charger_min_a, charger_min_a, state.string(), broker_port);
}

}  // namespace

BusUnderTest::BusUnderTest(std::vector<Unit> units, AnswerDelay delay)
    : probe_(broker_.port()), line_(folder_ / "adapter"), units_(units.size()) {
    folder_.write("twc-bus.yaml", configuration(broker_.port(), line_.device(), folder_ / "twc-bus.json"));
    line_.set_units(std::move(units));
    line_.set_answer_delay(delay);
    line_.plug_adapter();
}

Instant BusUnderTest::start() {
    const Instant begun = std::chrono::steady_clock::now();
    process_ = std::make_unique<support::Process>(
        std::vector<std::string>{BINARY_DIR "/twc-bus", "--config", folder_ / "twc-bus.yaml"}, folder_ / "twc-bus.log");
    return begun;
}

void BusUnderTest::stop() {
    process_->send_signal(SIGTERM);
    if (process_->wait_for_exit() != 0) {
        fail("twc-bus does not end cleanly");
    }
}

Instant BusUnderTest::kill() {
    const Instant killed = std::chrono::steady_clock::now();
    process_->kill();
    process_->wait_for_exit();
    return killed;
}

void BusUnderTest::forget_state() const { std::filesystem::remove(folder_ / "twc-bus.json"); }

void BusUnderTest::start_and_link() {
    line_.forget();
    const auto mark = probe_.mark();
    start();
    if (!probe_.wait_for("twc/service/twc-bus/status", "online", 15s, mark)) {
        fail("twc-bus does not come online");
    }
    if (!line_.wait_for([this](const auto& record) { return units_acknowledging(record) == units_; }, 30s)) {
        fail("not every unit is linked");
    }
}

Instant BusUnderTest::publish_limits(const std::map<UnitNumber, int>& limits_a) {
    auto chargers = nlohmann::json::object();
    for (const auto& [unit, amps] : limits_a) {
        chargers[fmt::format("{:04x}", unit)] = amps;
    }
    const nlohmann::json message{{"ttl_s", lease_s}, {"seq", ++sequence_}, {"chargers", chargers}};
    const Instant asked = std::chrono::steady_clock::now();
    if (!probe_.publish("twc/bus/limit/set", message.dump())) {
        fail("the broker does not take the limits");
    }
    return asked;
}

void BusUnderTest::plug_cars_in() {
    line_.for_each_unit([](Unit& unit, Instant /*now*/) { unit.slave.plug_in(); });
}

void BusUnderTest::wait_until_drawn(const std::map<UnitNumber, int>& limits_a) {
    int sum_ca = 0;
    for (const auto& [unit, amps] : limits_a) {
        sum_ca += amps * 100;
    }
    const auto is_drawn = [sum_ca](const LineRecord& record) {
        return !record.levels.empty() && record.levels.back().drawn_ca == sum_ca &&
               record.levels.back().told_ca == sum_ca;
    };
    if (!line_.wait_for(is_drawn, 60s)) {
        fail(fmt::format("the cars do not draw {} A", sum_ca / 100));
    }
}

nlohmann::json BusUnderTest::next_metrics() const {
    const auto any = [](const std::string& /*payload*/) { return true; };
    const auto message = probe_.wait_for("twc/service/twc-bus/metrics", any, 15s, probe_.mark());
    if (!message) {
        fail("twc-bus publishes no metrics");
    }
    return nlohmann::json::parse(message->payload);
}

int BusUnderTest::events(const std::string& type) const {
    return static_cast<int>(std::ranges::count_if(
        probe_.messages_on("twc/service/twc-bus/event"),
        [&](const auto& message) { return nlohmann::json::parse(message.payload).at("event_type") == type; }));
}

void BusUnderTest::fail(const std::string& what) const {
    throw std::runtime_error(what + ":\n" + (process_ ? process_->output() : ""));
}

std::vector<Unit> some_units(std::size_t count) {
    std::vector<Unit> units(count);
    for (std::size_t i = 0; i < count; ++i) {
        units[i].slave.id = static_cast<UnitNumber>(first_unit + i);
        units[i].slave.vin = "LRW3E7EK0NC00077" + std::to_string(i);
    }
    return units;
}

std::map<UnitNumber, int> limits_for(const std::vector<int>& amps) {
    std::map<UnitNumber, int> limits;
    for (std::size_t i = 0; i < amps.size(); ++i) {
        limits[static_cast<UnitNumber>(first_unit + i)] = amps[i];
    }
    return limits;
}

}  // namespace bench
