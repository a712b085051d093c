#include "service/service_host.hpp"

#include <array>
#include <fstream>
#include <unistd.h>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "contract/messages.hpp"
#include "service/version.hpp"

namespace service {

namespace {

using namespace std::chrono_literals;

constexpr auto metrics_period = 10s;

std::string host_name() {
    std::array<char, 256> name{};
    return gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "unknown";
}

// Kilobytes of resident memory, from /proc; 0 where there is none.
std::int64_t resident_kib() {
    std::ifstream file("/proc/self/statm");
    std::int64_t total_pages = 0;
    std::int64_t resident_pages = 0;
    file >> total_pages >> resident_pages;
    return resident_pages * (sysconf(_SC_PAGESIZE) / 1024);
}

// What people see quoted back: short, and valid JSON whatever the bytes were.
std::string quoted_value(const std::string& payload) {
    constexpr std::size_t longest = 200;
    return nlohmann::json(payload.substr(0, longest)).dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
}

// A client gone mad shall not fill the disk: so many lines a minute, for the whole process, as the log is. Every
// refusal is counted and published all the same.
class RefusalLog {
public:
    void write(scheduling::Instant now, const std::string& line) {
        constexpr int most_lines = 20;
        if (now < began_ || now - began_ >= 60s) {
            if (refusals_ > most_lines) {
                spdlog::warn("{} more commands were refused until now", refusals_ - most_lines);
            }
            began_ = now;
            refusals_ = 0;
        }
        if (++refusals_ <= most_lines) {
            spdlog::warn("{}", line);
        }
    }

private:
    scheduling::Instant began_;
    int refusals_ = 0;
};

RefusalLog& refusal_log() {
    static RefusalLog log;
    return log;
}

}  // namespace

ServiceHost::ServiceHost(const Environment& environment, AddMetrics add_metrics)
    : environment_(environment),
      add_metrics_(std::move(add_metrics)),
      scope_(environment.loop),
      started_wall_(environment.loop.wall_now()),
      started_(environment.loop.now()) {
    publish_info();
    scope_.post([this] { publish_metrics(); });
    scope_.call_every(metrics_period, [this] { publish_metrics(); });
}

void ServiceHost::publish_info() {
    const contract::ServiceInfo info{.version = version, .started = started_wall_, .host = host_name()};
    environment_.bus.publish({.topic = environment_.topics.service_info(environment_.name),
                              .payload = contract::to_text(contract::to_json(info)),
                              .retained = true,
                              .qos = 1});
}

void ServiceHost::publish_metrics() {
    const auto bus = environment_.bus.statistics();
    nlohmann::json metrics{
        {"ts", contract::format_timestamp(environment_.loop.wall_now())},
        {"uptime_s", std::chrono::duration_cast<std::chrono::seconds>(environment_.loop.now() - started_).count()},
        {"resident_kib", resident_kib()},
        {"mqtt_connects", bus.connects},
        {"mqtt_connection_losses", bus.connection_losses},
        {"mqtt_published", bus.published},
        {"mqtt_dropped", bus.dropped},
        {"mqtt_refused", bus.refused},
        {"commands_accepted", commands_accepted_},
        {"commands_rejected", commands_rejected_},
    };
    add_metrics_(metrics);
    environment_.bus.publish({.topic = environment_.topics.service_metrics(environment_.name),
                              .payload = contract::to_text(metrics),
                              .retained = true});
}

void ServiceHost::event(const std::string& event_type, nlohmann::json details) {
    event_on(environment_.topics.service_event(environment_.name), event_type, std::move(details));
}

void ServiceHost::event_on(const std::string& topic, const std::string& event_type, nlohmann::json details) {
    details["event_type"] = event_type;
    details["ts"] = contract::format_timestamp(environment_.loop.wall_now());
    environment_.bus.publish({.topic = topic, .payload = contract::to_text(details), .qos = 1});
}

void ServiceHost::on_command(const std::string& filter, CommandHandler handler) {
    environment_.bus.subscribe(
        scope_, filter, 1,
        [this, handler = std::move(handler)](const messaging::Delivery& command) { handle(command, handler); });
}

void ServiceHost::handle(const messaging::Delivery& command, const CommandHandler& handler) {
    if (command.retained) {
        // Clearing a retained topic arrives as an empty retained message; that is housekeeping, not a command.
        if (!command.payload.empty()) {
            reject(command, "a retained command is not obeyed, because it would be obeyed again at every reconnect",
                   "the command without the retain flag");
        }
        return;
    }
    try {
        if (command.payload.empty()) {
            throw Rejected("empty payload", "a value; to clear something send clear or auto");
        }
        const nlohmann::json result = handler(command);
        ++commands_accepted_;
        reply(command, {{"ok", true}, {"result", result}});
    } catch (const Rejected& error) {
        reject(command, error.what(), error.expected());
    } catch (const contract::Invalid& error) {
        reject(command, error.what(), "a payload as the contract describes it");
    } catch (const std::exception& error) {
        // A full disk, or a handler that trusted the payload too much: no command may end the process.
        spdlog::error("{} failed: {}", command.topic, error.what());
        reject(command, error.what(), "the command to be carried out");
    }
}

void ServiceHost::reject(const messaging::Delivery& command, const std::string& reason, const std::string& expected) {
    ++commands_rejected_;
    refusal_log().write(environment_.loop.now(), fmt::format("refused {} = {}: {}; expected {}", command.topic,
                                                             quoted_value(command.payload), reason, expected));
    nlohmann::json details{{"topic", command.topic},
                           {"value", nlohmann::json::parse(quoted_value(command.payload))},
                           {"reason", reason},
                           {"expected", expected}};
    event("command_rejected", details);
    details["ok"] = false;
    reply(command, details);
}

void ServiceHost::reply(const messaging::Delivery& command, const nlohmann::json& body) {
    if (command.response_topic.empty() || !messaging::is_valid_topic(command.response_topic)) {
        return;
    }
    // We may write where the sender may not: a reply must not become a command, a discovery document or anything else
    // in our name.
    const std::string replies = environment_.topics.base() + "/reply/";
    if (!command.response_topic.starts_with(replies)) {
        spdlog::debug("no reply to {}: replies go to {} only", command.topic, replies);
        return;
    }
    environment_.bus.publish({.topic = command.response_topic,
                              .payload = contract::to_text(body),
                              .qos = 1,
                              .correlation_data = command.correlation_data});
}

}  // namespace service
