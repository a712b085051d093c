#include "tesla-bridge/tesla_bridge.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <spdlog/spdlog.h>

#include "service/command_value.hpp"
#include "tesla-bridge/home_assistant.hpp"
#include "tesla-bridge/teslamate.hpp"

namespace tesla_bridge {

namespace {

constexpr contract::Range allowed_limit_pct{50, 100};  // the least a car accepts as its charge limit is 50 %

void require_on(const std::string& word, const std::string& payload) {
    if (!service::parse_on_off(payload)) {
        throw service::Rejected(fmt::format("{} cannot be switched off", word),
                                fmt::format("1, on or true{}", word == "charge_start" ? "; to stop, charge_stop" : ""));
    }
}

int parse_limit(const std::string& payload) {
    const double percent = service::parse_number(payload, allowed_limit_pct, "%");
    if (percent != std::floor(percent)) {
        throw service::Rejected(fmt::format("{:g} is not whole", percent), "a whole number from 50 to 100 %");
    }
    return static_cast<int>(percent);
}

bool is_loopback(const std::string& url) {
    const auto begin = url.find("://") + 3;
    const std::string host = url.substr(begin, url.find_first_of(":/", begin) - begin);
    return host == "localhost" || host.starts_with("127.") || host == "[";
}

}  // namespace

Command parse_command(const std::string& word, const std::string& payload, int max_amps) {
    if (word == "set_amps") {
        const double amps = service::parse_amps(payload, {1, static_cast<double>(max_amps)});
        return {CommandKind::set_amps,
                static_cast<int>(std::floor(amps))};  // cars take whole amps: never more than asked
    }
    if (word == "set_limit") {
        return {CommandKind::set_limit, parse_limit(payload)};
    }
    for (const auto kind : {CommandKind::charge_start, CommandKind::charge_stop, CommandKind::wake}) {
        if (word == to_word(kind)) {
            require_on(word, payload);
            return {kind, 0};
        }
    }
    throw service::Rejected(fmt::format("unknown command \"{}\"", word),
                            "one of charge_start, charge_stop, set_amps, set_limit, wake");
}

TeslaBridge::TeslaBridge(Config config, service::Environment& environment, http::HttpClientFactory& http_clients)
    : config_(std::move(config)),
      environment_(environment),
      host_(environment, [this](nlohmann::json& metrics) { add_metrics(metrics); }),
      discovery_(
          environment, [this] { return announced_devices(environment_.topics, aliases()); },
          [this] { repeat_states(); }),
      scope_(environment.loop) {
    const auto authenticator = make_authenticator(http_clients);
    const auto hold_account = [this](scheduling::Instant until, const std::string& reason) {
        spdlog::warn("all cars of the account wait: {}", reason);
        for (const auto& vehicle : vehicles_) {
            vehicle->hold_until(until, reason);
        }
    };
    for (const auto& vehicle : config_.vehicles) {
        vehicles_.push_back(std::make_unique<VehicleSession>(config_, vehicle, environment_, host_, counters_,
                                                             make_link(vehicle, http_clients, authenticator),
                                                             hold_account));
    }
    environment_.bus.on_connection_change(scope_, [this](bool connected) {
        if (!connected) {
            disconnected_at_ = environment_.loop.now();
        }
    });
    for (const auto& vehicle : vehicles_) {
        if (vehicle->config().teslamate_car_id) {
            listen_to_teslamate(*vehicle);
        }
    }
    host_.on_command(environment_.topics.vehicle_command_set("+", "+"),
                     [this](const messaging::Delivery& delivery) { return on_command(delivery); });
    if (vehicles_.empty()) {
        spdlog::info("no vehicles are configured: nothing to do");
    }
}

std::shared_ptr<Authenticator> TeslaBridge::make_authenticator(http::HttpClientFactory& http_clients) const {
    if (!config_.account || !config_.account->needs_token) {
        return nullptr;
    }
    const auto& account = *config_.account;
    if (account.base_url.starts_with("http://") && !is_loopback(account.base_url)) {
        spdlog::warn("account.base_url is http: whoever listens on the way can read the access token");
    }
    return std::make_shared<Authenticator>(account.oauth, TokenStore(account.token_file), http_clients.make_client({}));
}

std::shared_ptr<VehicleLink> TeslaBridge::make_link(const VehicleConfig& vehicle, http::HttpClientFactory& http_clients,
                                                    const std::shared_ptr<Authenticator>& authenticator) const {
    if (!vehicle.has_link || !config_.account) {
        return nullptr;
    }
    const auto& account = *config_.account;
    return std::make_shared<FleetApi>(FleetApiOptions{.backend = account.backend,
                                                      .base_url = account.base_url,
                                                      .vin = vehicle.vin,
                                                      .home = config_.home,
                                                      .timeout = account.timeout},
                                      http_clients.make_client(account.trust), authenticator);
}

void TeslaBridge::listen_to_teslamate(VehicleSession& vehicle) {
    const std::string filter = teslamate_filter(config_.teslamate_prefix, *vehicle.config().teslamate_car_id);
    environment_.bus.subscribe(scope_, filter, 1, [this, &vehicle](const messaging::Delivery& delivery) {
        const auto now = environment_.loop.now();
        // A stored message was sent at a time unknown, but what changed while we listened reached us then: so it became
        // true before we began to listen, or while we were away.
        const auto true_at = delivery.retained ? disconnected_at_ : std::optional(now);
        const std::string key = delivery.topic.substr(delivery.topic.rfind('/') + 1);
        try {
            if (auto news = parse_teslamate(key, delivery.payload, config_.home, true_at)) {
                news->heard_at = delivery.retained ? std::nullopt : std::optional(now);
                vehicle.on_news(*news);
            }
        } catch (const contract::Invalid& error) {
            vehicle.on_bad_news(fmt::format("{}: {}", delivery.topic, error.what()));
        }
    });
}

VehicleSession& TeslaBridge::vehicle_named(const std::string& alias) {
    const auto found =
        std::ranges::find_if(vehicles_, [&](const auto& vehicle) { return vehicle->config().alias == alias; });
    if (found == vehicles_.end()) {
        const auto known = aliases();
        throw service::Rejected(
            fmt::format("unknown vehicle \"{}\"", alias),
            known.empty() ? "a vehicle; none is configured" : fmt::format("one of {}", fmt::join(known, ", ")));
    }
    return **found;
}

nlohmann::json TeslaBridge::on_command(const messaging::Delivery& delivery) {
    const std::string filter = environment_.topics.vehicle_command_set("+", "+");
    const std::string alias = contract::Topics::wildcard_level(filter, delivery.topic, 0).value_or("");
    const std::string word = contract::Topics::wildcard_level(filter, delivery.topic, 1).value_or("");
    VehicleSession& vehicle = vehicle_named(alias);
    const Command command = parse_command(word, delivery.payload, vehicle.config().max_amps);
    if (!vehicle.has_link()) {
        throw service::Rejected(fmt::format("{} takes no commands: its only source is TeslaMate", alias),
                                "a vehicle with link: fleet");
    }
    vehicle.order(command);
    return {{"accepted", to_words(command)}};
}

std::vector<std::string> TeslaBridge::aliases() const {
    std::vector<std::string> all;
    all.reserve(vehicles_.size());
    for (const auto& vehicle : vehicles_) {
        all.push_back(vehicle->config().alias);
    }
    return all;
}

void TeslaBridge::repeat_states() {
    for (const auto& vehicle : vehicles_) {
        vehicle->repeat_state();
    }
}

void TeslaBridge::add_metrics(nlohmann::json& metrics) const {
    metrics["vehicles"] = vehicles_.size();
    metrics["reads"] = counters_.reads;
    metrics["read_failures"] = counters_.read_failures;
    metrics["vehicle_commands_sent"] = counters_.commands_sent;
    metrics["vehicle_commands_failed"] = counters_.command_failures;
    metrics["wakes"] = counters_.wakes;
    metrics["teslamate_bad_messages"] = counters_.bad_messages;
}

}  // namespace tesla_bridge
