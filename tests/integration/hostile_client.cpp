#include "hostile_client.hpp"

#include <algorithm>
#include <array>
#include <fstream>
#include <stdexcept>
#include <unistd.h>

#include <fmt/format.h>

#include "contract/topics.hpp"

namespace {

using namespace std::chrono_literals;

const support::MqttProbe::Login probe_login{"probe", "probe-password"};
const std::string events_filter = "twc/service/+/event";

// Where a checkpoint is sent, which its service refuses.
const std::map<std::string, std::string> checkpoint_topics{{"policy-engine", "twc/policy/mode/set"},
                                                           {"ems-bridge", "twc/ems/input/grid_power/set"},
                                                           {"twc-bus", "twc/bus/estop/set"}};

std::uint64_t number(const nlohmann::json& metrics, const char* key) { return metrics.at(key).get<std::uint64_t>(); }

}  // namespace

HostileClient::HostileClient(Stack& stack, unsigned seed)
    : stack_(stack),
      random_(seed),
      client_(stack.broker.port(), {"cli", "cli-password"}),
      events_(stack.broker.port(), probe_login, events_filter),
      metrics_(stack.broker.port(), probe_login, "twc/service/+/metrics") {
    add_policy_targets();
    for (const char* input : {"grid_power", "pv_power", "battery_power", "battery_soc", "house_power", "nonsense"}) {
        targets_.push_back({fmt::format("twc/ems/input/{}/set", input),
                            "ems-bridge",
                            {"-1840", R"({"value":900,"ts":"2026-06-21T12:00:00+00:00"})"}});
    }
    targets_.push_back({"twc/bus/estop/set", "twc-bus", {"stop", "release"}});
    targets_.push_back({"twc/rpc/policy-engine/history", "", {"{}"}});
    for (const auto& [service, topic] : checkpoint_topics) {
        first_metrics_[service] = latest_metrics(service);
    }
}

void HostileClient::add_setting(const std::string& path, std::vector<std::string> examples) {
    targets_.push_back({"twc/policy/" + path + "/set", "policy-engine", std::move(examples)});
}

void HostileClient::add_policy_targets() {
    const std::vector<std::string> numbers{"0", "5", "16", "80", "auto"};
    const std::vector<std::string> modes{"off", "solar", "min_solar", "fast", "scheduled", "rules"};
    // Every setting there is, by its own account.
    const auto settings = stack_.last_json("twc/policy/settings");
    for (const auto& [name, value] : settings.items()) {
        add_setting(name, numbers);
    }
    add_setting("mode", modes);
    add_setting("charger/7744/mode", modes);
    add_setting("schedule", {R"([{"days":["mon"],"start":"22:00","end":"06:00","amps":16}])", "[]"});
    add_setting("plan", {R"({"vehicle":"kestrel","soc_pct":80,"by":"07:00","days":["mon","tue"]})",
                         R"({"charger":"7744","energy_kwh":20,"by":"07:00","strategy":"co2"})",
                         R"({"vehicle":"kestrel","clear":true})"});
    add_setting("dim_w", {"4200 2h", "clear"});
    for (const char* charger : {"", "/7744", "/9999", "/\xc3\xa4"}) {
        add_setting(std::string("override") + charger,
                    {"16 30m", "off", "max", "clear", "24,3600", R"({"amps":16,"duration_s":1800})"});
    }
    for (const char* setting : {"max_a", "priority", "enabled", "nonsense"}) {
        for (const char* owner : {"charger/7744", "charger/9999", "vehicle/kestrel", "vehicle/nobody"}) {
            add_setting(fmt::format("{}/{}", owner, setting), {"10", "auto", "on", "off"});
        }
    }
    add_setting("vehicle/kestrel/min_soc_pct", numbers);
    add_setting("guests", {"on", "off"});
    add_setting("nonsense", numbers);
}

nlohmann::json HostileClient::latest_metrics(const std::string& service) const {
    const auto message =
        metrics_.wait_for("twc/service/" + service + "/metrics", [](const std::string& text) { return !text.empty(); });
    if (!message) {
        throw std::runtime_error("no metrics of " + service);
    }
    return nlohmann::json::parse(metrics_.latest("twc/service/" + service + "/metrics")->payload);
}

std::string HostileClient::random_bytes(std::size_t longest) {
    std::string bytes(below(longest), '\0');
    for (char& byte : bytes) {
        byte = static_cast<char>(below(256));
    }
    return bytes;
}

std::string HostileClient::mutated(std::string text) {
    for (auto changes = 1 + below(3); changes > 0 && !text.empty(); --changes) {
        const auto at = below(text.size());
        switch (below(4)) {
            case 0:
                text[at] = static_cast<char>(below(256));
                break;
            case 1:
                text.erase(at, 1 + below(3));
                break;
            case 2:
                text.insert(at, text.substr(below(text.size())));
                break;
            default:
                text.insert(at, std::to_string(below(100000)));
        }
    }
    return text;
}

std::string HostileClient::odd_value() {
    static const std::array<std::string, 22> values{"NaN",
                                                    "-inf",
                                                    "1e999",
                                                    "-1e308",
                                                    "655.35",
                                                    "99999999999999999999999",
                                                    "-0",
                                                    "0x10",
                                                    "16 99999999999h",
                                                    "16 until=99:99",
                                                    "true",
                                                    "null",
                                                    "[]",
                                                    "{}",
                                                    "\"\"",
                                                    R"({"amps":"16"})",
                                                    R"({"amps":1e300,"duration_s":-1})",
                                                    R"({"value":null,"ts":0})",
                                                    R"({"vehicle":[],"soc_pct":{},"by":7})",
                                                    R"([{"days":"mon","start":1}])",
                                                    "",
                                                    std::string("16\0 1h", 6)};
    return values.at(below(values.size()));
}

std::string HostileClient::payload_for(const Target& target) {
    constexpr std::size_t largest = 200'000;
    const auto& example = target.examples.at(below(target.examples.size()));
    switch (below(1000)) {
        case 0:
            return random_bytes(largest);
        case 1: {
            std::string nested(largest, '[');
            return nested;
        }
        case 2: {
            std::string list = "[0";
            while (list.size() < largest) {
                list += ",{\"days\":[\"mon\"],\"amps\":1e308}";
            }
            return list + "]";
        }
        case 3:
            return "{\"" + std::string(largest, 'x') + "\":1}";
        default:
            break;
    }
    switch (below(8)) {
        case 0:
            return random_bytes(300);
        case 1: {
            std::string nested(1 + below(2000), R"([{"0)"[below(4)]);
            return nested;
        }
        case 2:
        case 3:
            return odd_value();
        case 4:
            return example;
        default:
            return mutated(example);
    }
}

void HostileClient::attack(int count) {
    constexpr int batch = 100;
    while (count > 0) {
        std::vector<unsigned> sent;
        for (int i = 0; i < std::min(batch, count); ++i) {
            const Target& target = targets_.at(below(targets_.size()));
            // Replies would be sent in the name of whoever may write there.
            static const std::array<const char*, 5> replies{"", "", "twc/bus/limit/set", "twc/reply/cli/1",
                                                            "homeassistant/select/policy-engine/mode/config"};
            sent.push_back(
                client_.post(target.topic, payload_for(target), {.response_topic = replies.at(below(replies.size()))}));
            if (!target.service.empty()) {
                ++counts_[target.service].sent;
            }
        }
        count -= static_cast<int>(sent.size());
        for (const auto id : sent) {
            if (client_.await(id) == support::Mqtt5Client::not_authorized) {
                throw std::runtime_error("the broker does not let a front end write where it may");
            }
        }
        if (!await_answers(20s)) {
            throw std::runtime_error("a service no longer answers");
        }
    }
}

bool HostileClient::all_answer(std::chrono::seconds patience) {
    return support::eventually([&] { return await_answers(3s); }, patience);
}

bool HostileClient::await_answers(std::chrono::milliseconds patience) {
    const std::string words = fmt::format("checkpoint-{}", ++checkpoints_);
    for (const auto& [service, topic] : checkpoint_topics) {
        client_.publish(topic, words);
        ++counts_[service].sent;
    }
    bool all = true;
    for (const auto& [service, topic] : checkpoint_topics) {
        const auto is_ours = [&](const std::string& text) { return text.find(words + "\"") != std::string::npos; };
        all = events_.wait_for("twc/service/" + service + "/event", is_ours, patience, events_counted_) && all;
    }
    const auto events = events_.messages_since(events_counted_);
    for (const auto& event : events) {
        const auto service = contract::Topics::wildcard_level(events_filter, event.topic).value_or("");
        const bool rejected = event.payload.find("\"event_type\":\"command_rejected\"") != std::string::npos;
        counts_[service].rejected_events += rejected ? 1 : 0;
    }
    events_counted_ += events.size();
    return all;
}

void HostileClient::flood(std::chrono::milliseconds duration) {
    const auto end = std::chrono::steady_clock::now() + duration;
    while (std::chrono::steady_clock::now() < end) {
        const Target& target = targets_.at(below(targets_.size()));
        client_.post(target.topic, payload_for(target), {.qos = 0});
        ++flooded_;
    }
}

double resident_mib(pid_t pid) {
    std::ifstream file(fmt::format("/proc/{}/statm", pid));
    double total_pages = 0;
    double resident_pages = 0;
    file >> total_pages >> resident_pages;
    return resident_pages * static_cast<double>(sysconf(_SC_PAGESIZE)) / (1 << 20);
}

double longest_heartbeat_gap_s(const Stack& stack) {
    std::optional<std::chrono::steady_clock::time_point> last;
    double longest = 0;
    for (const auto& frame : stack.tap.from_master()) {
        const bool is_heartbeat = frame.bytes.size() > 2 && frame.bytes[0] == 0xfb && frame.bytes[1] == 0xe0;
        if (is_heartbeat && last) {
            longest = std::max(longest, std::chrono::duration<double>(frame.at - *last).count());
        }
        last = is_heartbeat ? frame.at : last;
    }
    return longest;
}

bool HostileClient::metrics_agree() {
    const auto agree = [&](const std::string& service) {
        const auto now = latest_metrics(service);
        auto& count = counts_[service];
        count.accepted = number(now, "commands_accepted") - number(first_metrics_[service], "commands_accepted");
        count.rejected = number(now, "commands_rejected") - number(first_metrics_[service], "commands_rejected");
        // twc-bus also obeys the limits that policy-engine sends it.
        const auto answered = count.accepted + count.rejected;
        const bool all = service == "twc-bus" ? answered >= count.sent : answered == count.sent;
        return all && count.rejected == count.rejected_events;
    };
    return support::eventually(
        [&] {
            bool all = true;
            for (const auto& [service, topic] : checkpoint_topics) {
                all = agree(service) && all;
            }
            return all;
        },
        25s);
}
