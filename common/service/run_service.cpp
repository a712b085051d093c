#include "service/run_service.hpp"

#include <csignal>
#include <cstdlib>
#include <iostream>
#include <malloc.h>
#include <optional>
#include <sys/time.h>
#include <unistd.h>

#include <asio/signal_set.hpp>
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "messaging/mqtt_session.hpp"
#include "scheduling/event_loop.hpp"
#include "service/health_file.hpp"
#include "service/logging.hpp"
#include "service/supervisor.hpp"
#include "service/version.hpp"

namespace service {

namespace {

using namespace std::chrono_literals;

struct Arguments {
    std::string config_file;
    std::vector<std::string> overrides;
    bool check_config = false;
    bool healthcheck = false;
};

// The keys every service has.
struct SharedSettings {
    messaging::MqttOptions mqtt;
    std::string base_topic;
    bool flat_topics = true;
    std::string site;
    HomeAssistantSettings home_assistant;
    LogSettings log;
    std::string health_file;
};

struct Settings {
    SharedSettings shared;
    Start start;
    SupervisorSettings supervisor = supervisor_settings_from_environment();
};

const std::vector<std::string> log_levels{"trace", "debug", "info", "warn", "error"};

int exit_with(ExitCode code) { return static_cast<int>(code); }

void print_help(const Description& about) {
    std::cout << fmt::format(
        "{0}: {1}\n\n"
        "usage: {0} [--config FILE] [--set path.to.key=value]...\n"
        "  --config FILE     YAML configuration (default /etc/twc-mqtt/{0}.yaml)\n"
        "  --set KEY=VALUE   replace one key of the file, such as mqtt.port=1884\n"
        "  --check-config    read and check the configuration, then end\n"
        "  --healthcheck     succeed if the running service is alive and connected\n"
        "  --version         print the version\n"
        "  --help            print this\n\n"
        "Signals: TERM and INT end it cleanly, HUP reads log.level again.\n"
        "Exit codes: 0 ended cleanly, 1 failed, 2 wrong configuration or arguments.\n",
        about.name, about.summary);
}

// Returns nothing when the caller should end with `code`.
std::optional<Arguments> parse_arguments(const Description& about, int argc, const char* const* argv, ExitCode& code) {
    Arguments arguments{.config_file = "/etc/twc-mqtt/" + about.name + ".yaml", .overrides = {}};
    code = ExitCode::stopped;
    for (int i = 1; i < argc; ++i) {
        const std::string_view argument = argv[i];
        const bool has_value = i + 1 < argc;
        if (argument == "--help" || argument == "-h") {
            print_help(about);
            return std::nullopt;
        }
        if (argument == "--version") {
            std::cout << about.name << " " << version << "\n";
            return std::nullopt;
        }
        if (argument == "--check-config") {
            arguments.check_config = true;
        } else if (argument == "--healthcheck") {
            arguments.healthcheck = true;
        } else if (argument == "--config" && has_value) {
            arguments.config_file = argv[++i];
        } else if (argument == "--set" && has_value) {
            arguments.overrides.emplace_back(argv[++i]);
        } else {
            std::cerr << fmt::format("{}: unknown or incomplete argument \"{}\", see --help\n", about.name, argument);
            code = ExitCode::misconfigured;
            return std::nullopt;
        }
    }
    return arguments;
}

std::optional<messaging::MqttTls> read_tls(const config::Section& mqtt) {
    if (!mqtt.has("tls")) {
        return std::nullopt;
    }
    const auto tls = mqtt.section("tls");
    messaging::MqttTls result{.ca_file = tls.text_or("ca_file", ""),
                              .certificate_file = tls.text_or("cert_file", ""),
                              .key_file = tls.text_or("key_file", ""),
                              .verify = !tls.flag_or("insecure", false)};
    for (const char* key : {"ca_file", "cert_file", "key_file"}) {
        if (tls.has(key) && access(tls.text(key).c_str(), R_OK) != 0) {
            tls.report(key, fmt::format("\"{}\" cannot be read", tls.text(key)));
        }
    }
    if (result.certificate_file.empty() != result.key_file.empty()) {
        tls.report("cert_file", "cert_file and key_file go together");
    }
    tls.reject_unknown_keys();
    return result;
}

bool is_base_topic(const std::string& topic) {
    return !topic.empty() && topic.front() != '/' && topic.back() != '/' && topic.find("//") == std::string::npos &&
           topic.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-/") ==
               std::string::npos;
}

messaging::MqttProtocol to_protocol(const std::string& name) {
    if (name == "5") {
        return messaging::MqttProtocol::v5;
    }
    return name == "3.1.1" ? messaging::MqttProtocol::v311 : messaging::MqttProtocol::automatic;
}

HomeAssistantSettings read_home_assistant(const config::Section& root, const std::string& base_topic) {
    const auto section = root.section("home_assistant");
    const auto form = section.choice_or("discovery", "entity", {"entity", "device", "off"});
    HomeAssistantSettings settings{.form = HomeAssistantSettings::Form::entity,
                                   .prefix = section.text_or("prefix", "homeassistant")};
    if (form != "entity") {
        settings.form = form == "device" ? HomeAssistantSettings::Form::device : HomeAssistantSettings::Form::off;
    }
    if (!is_base_topic(settings.prefix)) {
        section.report("prefix", fmt::format("\"{}\" is not levels of letters, digits, _ and -", settings.prefix));
    } else if ((settings.prefix + "/").starts_with(base_topic + "/")) {
        section.report("prefix", fmt::format(R"("{}" lies inside mqtt.base_topic "{}")", settings.prefix, base_topic));
    }
    section.reject_unknown_keys();
    return settings;
}

SharedSettings read_shared(const std::string& name, const config::Section& root) {
    SharedSettings shared;
    const auto mqtt = root.section("mqtt");
    shared.site = mqtt.text_or("site", "home");
    const std::string& site = shared.site;
    if (!contract::is_valid_id(site)) {
        mqtt.report("site", fmt::format("\"{}\" is not made of a-z, 0-9, _ and -", site));
    }
    shared.base_topic = mqtt.text_or("base_topic", "twc");
    if (!is_base_topic(shared.base_topic)) {
        mqtt.report("base_topic", fmt::format("\"{}\" is not levels of letters, digits, _ and -", shared.base_topic));
    }
    shared.flat_topics = mqtt.flag_or("flat_topics", true);
    auto& options = shared.mqtt;
    options.host = mqtt.text_or("host", "localhost");
    options.tls = read_tls(mqtt);
    constexpr int plain_port = 1883;
    constexpr int tls_port = 8883;
    options.port = mqtt.integer_or("port", options.tls ? tls_port : plain_port, 1, 65535);
    options.protocol = to_protocol(mqtt.choice_or("protocol", "auto", {"auto", "5", "3.1.1"}));
    options.client_id = fmt::format("twc-{}-{}", name.starts_with("twc-") ? name.substr(4) : name, site);
    options.username = mqtt.text_or("username", "");
    options.password = mqtt.secret_file("password");
    const char* const password = std::getenv("TWC_MQTT_PASSWORD");  // NOLINT(concurrency-mt-unsafe): no thread yet
    if (password != nullptr && options.password.empty()) {
        options.password = password;
    }
    if (mqtt.has("password_file") && options.username.empty()) {
        mqtt.report("password_file", "is of no use without username");
    }
    mqtt.reject_unknown_keys();

    const auto log = root.section("log");
    shared.log.level = log.choice_or("level", "info", log_levels);
    shared.log.format = log.choice_or("format", "text", {"text", "json"});
    log.reject_unknown_keys();

    shared.home_assistant = read_home_assistant(root, shared.base_topic);
    shared.health_file = root.text_or("health_file", default_health_file(name, site));
    return shared;
}

Settings read_settings(const Description& about, const Arguments& arguments, const Prepare& prepare) {
    const config::Document document(config::read_file(arguments.config_file), arguments.config_file,
                                    arguments.overrides);
    Settings settings{.shared = read_shared(about.name, document.root()), .start = prepare(document.root())};
    document.finish();
    return settings;
}

// Reads the file again for log.level only; any problem leaves the level as it is.
void reload_log_level(const Arguments& arguments) {
    try {
        const config::Document document(config::read_file(arguments.config_file), arguments.config_file,
                                        arguments.overrides);
        const auto level = document.root().section("log").choice_or("level", "info", log_levels);
        document.throw_problems();
        set_log_level(level);
        spdlog::info("log level is now {}", level);
    } catch (const config::ConfigError& error) {
        spdlog::error("not reloaded: {}", error.what());
    }
}

// The signals of a service, handled on its loop.
class Signals {
public:
    Signals(scheduling::EventLoop& loop, const Arguments& arguments)
        : loop_(loop), arguments_(arguments), termination_(loop.io(), SIGTERM, SIGINT), hangup_(loop.io(), SIGHUP) {
        termination_.async_wait([this](const asio::error_code& error, int signal) {
            if (!error) {
                spdlog::info("signal {}, ending", signal);
                loop_.stop();
            }
        });
        await_hangup();
    }

private:
    void await_hangup() {
        hangup_.async_wait([this](const asio::error_code& error, int) {
            if (!error) {
                reload_log_level(arguments_);
                await_hangup();
            }
        });
    }

    scheduling::EventLoop& loop_;
    const Arguments& arguments_;
    asio::signal_set termination_;
    asio::signal_set hangup_;
};

volatile std::sig_atomic_t exit_code_when_stuck = 0;

// Whatever the end has to wait for (a name server inside Paho's lock, a dead network drive), it takes no longer than
// this: the caller was promised a second.
void end_soon_in_any_case(ExitCode code) {
    constexpr itimerval patience{.it_interval = {}, .it_value = {.tv_sec = 0, .tv_usec = 900'000}};
    exit_code_when_stuck = exit_with(code);
    std::signal(SIGALRM, [](int) { _exit(exit_code_when_stuck); });  // NOLINT(cert-err33-c)
    setitimer(ITIMER_REAL, &patience, nullptr);
}

// Builds the service on its loop and bus, runs it, and takes it down again: the service first, then the bus, whose
// last word is "offline".
ExitCode run_on_loop(const Description& about, Settings& settings, scheduling::EventLoop& loop) {
    auto result = ExitCode::stopped;
    const auto fail = [&](const std::string& why) {
        spdlog::error("{}", why);
        result = ExitCode::failed;
        loop.stop();
    };
    scheduling::ThreadWorkerFactory workers;
    const contract::Topics topics(settings.shared.base_topic);
    auto& mqtt = settings.shared.mqtt;
    mqtt.online = {.topic = topics.service_status(about.name), .payload = "online", .retained = true, .qos = 1};
    mqtt.offline = {.topic = topics.service_status(about.name), .payload = "offline", .retained = true, .qos = 1};
    try {
        messaging::MqttSession bus(mqtt, loop, fail);
        Environment environment{.loop = loop,
                                .workers = workers,
                                .bus = bus,
                                .topics = topics,
                                .name = about.name,
                                .flat_topics = settings.shared.flat_topics,
                                .site = settings.shared.site,
                                .home_assistant = settings.shared.home_assistant};
        const HealthFile health(loop, settings.shared.health_file, [&bus] { return bus.connected(); });
        Supervisor supervisor(loop, bus, settings.supervisor);
        Process process{environment, loop, fail};
        auto service = settings.start(process);
        bus.start();
        spdlog::info("{} {} started", about.name, version);
        try {
            loop.run();
        } catch (const std::exception& error) {
            // Said now: the end may be cut short.
            spdlog::error("{} failed: {}", about.name, error.what());
            result = ExitCode::failed;
        }
        supervisor.say_stopping();
        end_soon_in_any_case(result);
        service.reset();
    } catch (const std::exception& error) {
        spdlog::error("{} failed: {}", about.name, error.what());
        result = ExitCode::failed;
    }
    return result;
}

int run_until_stopped(const Description& about, const Arguments& arguments, Settings settings) {
    scheduling::EventLoop loop;
    const Signals signals(loop, arguments);
    const auto result = run_on_loop(about, settings, loop);
    spdlog::info("{} ended", about.name);
    if (scheduling::ThreadWorkerFactory::abandoned_workers() > 0) {
        // A thread is still inside a device's call: it may yet use the loop and the logger, so neither is destroyed.
        spdlog::default_logger()->flush();
        std::_Exit(exit_with(result));
    }
    return exit_with(result);
}

}  // namespace

int run(const Description& description, int argc, const char* const* argv, const Prepare& prepare) {
    // A handful of small threads: per-thread heaps would only cost memory.
    mallopt(M_ARENA_MAX, 1);        // NOLINT(concurrency-mt-unsafe): no other thread yet
    std::signal(SIGPIPE, SIG_IGN);  // NOLINT(cert-err33-c)
    ExitCode code{};
    const auto arguments = parse_arguments(description, argc, argv, code);
    if (!arguments) {
        return exit_with(code);
    }
    set_up_logging(description.name, {});
    try {
        auto settings = read_settings(description, *arguments, prepare);
        if (arguments->check_config) {
            std::cout << arguments->config_file << ": ok\n";
            return exit_with(ExitCode::stopped);
        }
        if (arguments->healthcheck) {
            const auto verdict = check_health_file(settings.shared.health_file);
            std::cout << verdict.words << "\n";
            return exit_with(verdict.healthy ? ExitCode::stopped : ExitCode::failed);
        }
        set_up_logging(description.name, settings.shared.log);
        return run_until_stopped(description, *arguments, std::move(settings));
    } catch (const config::ConfigError& error) {
        std::cerr << error.what() << "\n";
        return exit_with(ExitCode::misconfigured);
    } catch (const std::exception& error) {
        spdlog::error("{} failed: {}", description.name, error.what());
        return exit_with(ExitCode::failed);
    }
}

}  // namespace service
