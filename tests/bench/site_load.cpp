// Many sites on one broker, each with base topic sites/<site>/twc, a Home Assistant prefix sites/<site>/homeassistant
// and a policy-engine process of its own:
//
//   build/bin/site-load [sites, default 200] [seconds, default 60]
//
// The broker runs with the shipped configuration. Line, meter and charger of each site are played: once a second their
// states, retained, and eight of the scalars beside them. Every ten seconds the sun of a site halves or comes back;
// measured is how long a state takes through the broker, and how long a site's engine takes to lower its limit.

#include <iostream>
#include <thread>

#include <fmt/format.h>

#include "contract/messages.hpp"
#include "contract/topics.hpp"
#include "figures.hpp"
#include "support/eventually.hpp"
#include "support/mqtt_probe.hpp"
#include "support/shipped_broker.hpp"

namespace {

using namespace std::chrono_literals;
using support::Mqtt5Client;
using support::MqttProbe;
using Clock = std::chrono::steady_clock;

constexpr double volts = 230;
const std::string user = "sites";

double milliseconds(Clock::duration duration) { return std::chrono::duration<double, std::milli>(duration).count(); }

// The line, the meter and the charger of one site.
class Site {
public:
    Site(int number, const support::ShippedBroker& broker)
        : name_(fmt::format("s{:03}", number)),
          topics_("sites/" + name_ + "/twc"),
          client_(broker.port(), broker.login(user)) {
        for (const char* service : {"twc-bus", "ems-bridge"}) {
            send(topics_.service_status(service), "online");
        }
        send(topics_.charger_availability("7744"), "online");
    }

    const std::string& name() const { return name_; }
    const contract::Topics& topics() const { return topics_; }

    void play_second(int second) {
        const double sun_w = (second / 10) % 2 == 0 ? 5000 : 2500;
        const bool darker = sun_w < sun_w_;
        sun_w_ = sun_w;
        drawn_a_ = limit_a_;
        const auto now = std::chrono::time_point_cast<contract::WallTime::duration>(std::chrono::system_clock::now());
        send(topics_.bus_state(), bus_state(now));
        send(topics_.charger_state("7744"), charger_state(now));
        send_scalars();
        sent_at_.push_back(Clock::now());
        if (darker) {
            darker_at_ = sent_at_.back();
            limit_when_darker_a_ = limit_a_;
        }
        send(topics_.ems_state(), site_power(now));
    }

    /// Returns how long the engine took, if this is the lower limit that the loss of sun calls for.
    std::optional<Clock::duration> told(const MqttProbe::Message& message) {
        const auto limit = contract::from_text<contract::LimitSet>(message.payload);
        const auto amps = limit.chargers.find("7744");
        limit_a_ = amps == limit.chargers.end() ? 0 : amps->second;
        if (!darker_at_ || limit_a_ >= limit_when_darker_a_) {
            return std::nullopt;
        }
        return message.at - *std::exchange(darker_at_, std::nullopt);
    }

    /// Of the n-th meter state that came out of the broker.
    std::optional<Clock::duration> delivered(const MqttProbe::Message& message) {
        if (message.retained || next_delivery_ >= sent_at_.size()) {
            return std::nullopt;
        }
        return message.at - sent_at_[next_delivery_++];
    }

private:
    void send(const std::string& topic, const std::string& payload) {
        client_.post(topic, payload, {.retained = true, .qos = 0});
    }

    void send_scalars() {
        const std::string charger = topics_.base() + "/charger/7744/";
        send(charger + "current_a", fmt::format("{:.1f}", drawn_a_));
        send(charger + "power_w", fmt::format("{:.0f}", drawn_a_ * volts));
        send(charger + "granted_a", fmt::format("{:.1f}", limit_a_));
        send(charger + "status", "charging");
        send(topics_.base() + "/bus/granted_a", fmt::format("{:.1f}", limit_a_));
        send(topics_.base() + "/bus/drawn_a", fmt::format("{:.1f}", drawn_a_));
        send(topics_.base() + "/ems/pv_w", fmt::format("{:.0f}", sun_w_));
        send(topics_.base() + "/ems/grid_w", fmt::format("{:.0f}", grid_w()));
    }

    double grid_w() const { return 300 + drawn_a_ * volts - sun_w_; }

    std::string bus_state(contract::WallTime now) const {
        contract::BusState state;
        state.ts = now;
        state.link = "ok";
        state.chargers = {"7744"};
        state.granted_a = limit_a_;
        state.drawn_a = drawn_a_;
        state.limit_a = 32;
        state.charger_min_a = 6;
        state.charger_max_a = 32;
        return contract::to_text(contract::to_json(state));
    }

    std::string charger_state(contract::WallTime now) const {
        contract::ChargerState state;
        state.ts = now;
        state.state = "charging";
        state.plugged = true;
        state.charging = drawn_a_ > 1;
        state.limit_a = limit_a_;
        state.granted_a = limit_a_;
        state.current_a = drawn_a_;
        state.voltage_l1_v = volts;
        state.phases = 1;
        state.protocol = 2;
        state.max_a = 32;
        return contract::to_text(contract::to_json(state));
    }

    std::string site_power(contract::WallTime now) const {
        contract::SitePower power;
        power.ts = now;
        power.grid_w = grid_w();
        power.pv_w = sun_w_;
        power.house_w = 300 + drawn_a_ * volts;
        power.quality = "ok";
        power.age_s = 0;
        return contract::to_text(contract::to_json(power));
    }

    std::string name_;
    contract::Topics topics_;
    Mqtt5Client client_;
    double sun_w_ = 0;
    double limit_a_ = 6;
    double drawn_a_ = 6;
    double limit_when_darker_a_ = 0;
    std::optional<Clock::time_point> darker_at_;
    std::vector<Clock::time_point> sent_at_;
    std::size_t next_delivery_ = 0;
};

std::unique_ptr<support::Process> start_engine(const Site& site, const support::ShippedBroker& broker,
                                               const support::TemporaryFolder& folder) {
    const auto file = folder.write(
        site.name() + ".yaml",
        fmt::format("mqtt: {{host: 127.0.0.1, port: {}, username: {}, password_file: {}, site: {}, base_topic: {}}}\n"
                    "health_file: {}\nstate_file: {}\npolicy: {{mode: min_solar, raise_hold_s: 0}}\n"
                    "home_assistant: {{prefix: sites/{}/homeassistant}}\n",
                    broker.port(), user, (folder / "password").string(), site.name(), site.topics().base(),
                    (folder / (site.name() + ".health")).string(), (folder / (site.name() + ".json")).string(),
                    site.name()));
    return std::make_unique<support::Process>(std::vector<std::string>{BINARY_DIR "/policy-engine", "--config", file},
                                              folder / (site.name() + ".log"));
}

// Everything that runs: the broker, the sites, their engines, and who watches.
class Load {
public:
    explicit Load(int sites)
        : broker_({.anonymous = false,
                   .more_users = {user},
                   .more_acl = "\nuser sites\ntopic readwrite #\ntopic read $SYS/#\n",
                   .more_configuration = ""}),
          login_{broker_.login(user).user, broker_.login(user).password},
          limits_(broker_.port(), login_, "sites/+/twc/bus/limit/set"),
          meters_(broker_.port(), login_, "sites/+/twc/ems/state"),
          counters_(broker_.port(), login_, "$SYS/broker/messages/#") {
        folder_.write("password", login_.password);
        for (int i = 0; i < sites; ++i) {
            sites_.push_back(std::make_unique<Site>(i, broker_));
            numbers_[sites_.back()->name()] = sites_.size() - 1;
            engines_.push_back(start_engine(*sites_.back(), broker_, folder_));
        }
        const MqttProbe statuses(broker_.port(), login_, "sites/+/twc/service/policy-engine/status");
        const bool all = support::eventually(
            [&] {
                const auto messages = statuses.messages();
                return std::ranges::count_if(messages, [](const auto& m) { return m.payload == "online"; }) >= sites;
            },
            std::chrono::seconds(30 + sites));
        if (!all) {
            throw std::runtime_error("not all engines come online");
        }
    }

    void run(int first_second, int seconds) {
        const auto begin = Clock::now();
        for (int second = 0; second < seconds; ++second) {
            for (std::size_t i = 0; i < sites_.size(); ++i) {
                std::this_thread::sleep_until(begin + std::chrono::seconds(second) + 1000ms * i / sites_.size());
                listen();
                // Not all under the same cloud.
                sites_[i]->play_second(first_second + second + static_cast<int>(i % 20));
            }
        }
        listen();
    }

    void forget() {
        delivery_ms_.clear();
        reaction_ms_.clear();
        broker_before_ = bench::cost_of(broker_.pid());
        engines_before_s_ = engines_cpu_s();
        counters_before_ = counters_.mark();
    }

    void report(int seconds) {
        const auto broker = bench::cost_of(broker_.pid());
        double resident_mib = 0;
        for (const auto& engine : engines_) {
            resident_mib += bench::cost_of(engine->pid()).resident_mib;
        }
        const auto per_cent = [&](double cpu_s) { return 100 * cpu_s / seconds; };
        std::cout << fmt::format("{} sites for {} s\n", sites_.size(), seconds)
                  << fmt::format("broker: {:.0f} packets/s in, {:.0f} out, {:.1f} % of a core, {:.1f} MiB\n",
                                 rate("received"), rate("sent"), per_cent(broker.cpu_s - broker_before_.cpu_s),
                                 broker.resident_mib)
                  << fmt::format("a state through the broker: n {}, median {:.2f} ms, p99 {:.1f} ms, max {:.1f} ms\n",
                                 delivery_ms_.size(), bench::percentile(delivery_ms_, 0.5),
                                 bench::percentile(delivery_ms_, 0.99), bench::percentile(delivery_ms_, 1))
                  << fmt::format("meter state to lower limit: n {}, median {:.1f} ms, p99 {:.1f} ms, max {:.1f} ms\n",
                                 reaction_ms_.size(), bench::percentile(reaction_ms_, 0.5),
                                 bench::percentile(reaction_ms_, 0.99), bench::percentile(reaction_ms_, 1))
                  << fmt::format("engines: {:.1f} MiB resident each, {:.2f} % of a core each\n",
                                 resident_mib / static_cast<double>(engines_.size()),
                                 per_cent(engines_cpu_s() - engines_before_s_) / static_cast<double>(engines_.size()));
        report_newcomer();
    }

private:
    void listen() {
        for (const auto& message : limits_.messages_since(limits_heard_)) {
            ++limits_heard_;
            if (const auto took = site_of(message).told(message)) {
                reaction_ms_.push_back(milliseconds(*took));
            }
        }
        for (const auto& message : meters_.messages_since(meters_heard_)) {
            ++meters_heard_;
            if (const auto took = site_of(message).delivered(message)) {
                delivery_ms_.push_back(milliseconds(*took));
            }
        }
    }

    Site& site_of(const MqttProbe::Message& message) {
        return *sites_[numbers_.at(contract::Topics::wildcard_level("sites/+/#", message.topic).value_or(""))];
    }

    double engines_cpu_s() const {
        double sum = 0;
        for (const auto& engine : engines_) {
            sum += bench::cost_of(engine->pid()).cpu_s;
        }
        return sum;
    }

    // A second, from what the broker says every ten.
    double rate(const std::string& name) const {
        auto values = counters_.messages_since(counters_before_);
        std::erase_if(values, [&](const auto& value) { return value.topic != "$SYS/broker/messages/" + name; });
        if (values.size() < 2) {
            throw std::runtime_error("too short a run for the broker's own figures: take 30 s or more");
        }
        const auto& first = values.front();
        const auto& last = values.back();
        return (std::stod(last.payload) - std::stod(first.payload)) /
               std::chrono::duration<double>(last.at - first.at).count();
    }

    // Someone who comes late and wants to know everything.
    void report_newcomer() const {
        const auto begin = Clock::now();
        const MqttProbe newcomer(broker_.port(), login_, "sites/#");
        const auto& last = sites_.back()->topics();
        newcomer.wait_for(
            last.ems_state(), [](const std::string& text) { return !text.empty(); }, 10s);
        const auto messages = newcomer.messages();
        const auto kept = std::ranges::count_if(messages, [](const auto& message) { return message.retained; });
        std::cout << fmt::format("a newcomer gets {} retained messages within {:.0f} ms\n", kept,
                                 milliseconds(Clock::now() - begin));
    }

    support::ShippedBroker broker_;
    MqttProbe::Login login_;
    support::TemporaryFolder folder_;
    MqttProbe limits_;
    MqttProbe meters_;
    MqttProbe counters_;
    std::vector<std::unique_ptr<Site>> sites_;
    std::map<std::string, std::size_t> numbers_;
    std::vector<std::unique_ptr<support::Process>> engines_;
    std::size_t limits_heard_ = 0;
    std::size_t meters_heard_ = 0;
    std::vector<double> delivery_ms_;
    std::vector<double> reaction_ms_;
    bench::Cost broker_before_;
    double engines_before_s_ = 0;
    std::size_t counters_before_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
    std::cout << std::unitbuf;
    try {
        constexpr int warm_up_s = 20;
        const int seconds = argc > 2 ? std::stoi(argv[2]) : 60;
        Load load(argc > 1 ? std::stoi(argv[1]) : 200);
        load.run(0, warm_up_s);
        load.forget();
        load.run(warm_up_s, seconds);
        load.report(seconds);
        return 0;
    } catch (const std::exception& error) {
        std::cerr << error.what() << "\n";
        return 1;
    }
}
