#include "tesla-bridge/fleet_api.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "contract/schema.hpp"
#include "tesla-bridge/fleet_answer.hpp"

namespace tesla_bridge {

namespace {

using Kind = Verdict::Kind;

std::string vehicle_url(const FleetApiOptions& options) {
    return fmt::format("{}/api/1/vehicles/{}", options.base_url, options.vin);
}

const char* api_name(CommandKind kind) {
    switch (kind) {
        case CommandKind::charge_start:
            return "charge_start";
        case CommandKind::charge_stop:
            return "charge_stop";
        case CommandKind::set_amps:
            return "set_charging_amps";
        case CommandKind::set_limit:
            return "set_charge_limit";
        case CommandKind::wake:
            return "wake_up";
    }
    return "";
}

nlohmann::json api_arguments(const Command& command) {
    switch (command.kind) {
        case CommandKind::set_amps:
            return {{"charging_amps", command.value}};
        case CommandKind::set_limit:
            return {{"percent", command.value}};
        default:
            return nlohmann::json::object();
    }
}

// A server may quote the request it refuses.
void hide(std::string& text, const std::string& secret) {
    if (secret.empty()) {
        return;
    }
    for (auto found = text.find(secret); found != std::string::npos; found = text.find(secret, found)) {
        text.replace(found, secret.size(), "(token)");
    }
}

}  // namespace

http::Request command_request(const FleetApiOptions& options, const Command& command) {
    http::Request request{.method = "POST",
                          .url = {},
                          .headers = {{"Content-Type", "application/json"}},
                          .body = api_arguments(command).dump(),
                          .timeout = options.timeout};
    if (options.backend == Backend::ble_proxy) {
        // Without wait=true the answer is "yes" before anything was tried.
        request.url = fmt::format("{}/command/{}?wait=true", vehicle_url(options), api_name(command.kind));
    } else if (command.kind == CommandKind::wake) {
        request.url = vehicle_url(options) + "/wake_up";
    } else {
        request.url = fmt::format("{}/command/{}", vehicle_url(options), api_name(command.kind));
    }
    return request;
}

http::Request read_request(const FleetApiOptions& options, ReadDepth depth) {
    http::Request request{
        .method = "GET", .url = vehicle_url(options), .headers = {}, .body = {}, .timeout = options.timeout};
    const bool has_cloud = options.backend != Backend::ble_proxy;
    if (depth == ReadDepth::presence && has_cloud) {
        return request;
    }
    // From firmware 2023.38 the position comes only when location_data is asked for; asking shows an icon in the car.
    const bool wants_position = has_cloud && options.home.location.has_value();
    request.url += has_cloud ? fmt::format("/vehicle_data?endpoints=charge_state{}",
                                           wants_position ? "%3Bdrive_state%3Blocation_data" : "")
                             : "/vehicle_data?endpoints=charge_state";
    return request;
}

FleetApi::FleetApi(FleetApiOptions options, std::unique_ptr<http::HttpClient> http,
                   std::shared_ptr<Authenticator> authenticator)
    : options_(std::move(options)), http_(std::move(http)), authenticator_(std::move(authenticator)) {}

FleetApi::Exchange FleetApi::exchange_with(const std::string& token, http::Request request, const Judge& judge) {
    if (!token.empty()) {
        request.headers.emplace_back("Authorization", "Bearer " + token);
    }
    Exchange exchange;
    try {
        exchange.response = http_->send(request);
        exchange.verdict = judge(exchange.response);
        hide(exchange.verdict.reason, token);
    } catch (const http::TransportError& error) {
        exchange.verdict = {Kind::retry, fmt::format("no answer: {}", error.what())};
    }
    return exchange;
}

FleetApi::Exchange FleetApi::exchange(const http::Request& request, const Judge& judge, CallTime time) {
    if (!authenticator_) {
        auto result = exchange_with("", request, judge);
        if (result.verdict.kind == Kind::unauthorised) {
            result.verdict = {Kind::blocked, fmt::format("the server wants a login: set account.auth to bearer ({})",
                                                         result.verdict.reason)};
        }
        return result;
    }
    auto token = authenticator_->access_token(time);
    if (const auto* problem = std::get_if<Verdict>(&token)) {
        return {*problem, {}};
    }
    auto result = exchange_with(std::get<std::string>(token), request, judge);
    if (result.verdict.kind != Kind::unauthorised) {
        return result;
    }
    token = authenticator_->replace(std::get<std::string>(token), time);
    if (const auto* problem = std::get_if<Verdict>(&token)) {
        return {*problem, {}};
    }
    result = exchange_with(std::get<std::string>(token), request, judge);
    if (result.verdict.kind == Kind::unauthorised) {
        result.verdict = {Kind::blocked,
                          "the server does not accept even a freshly renewed access token: is "
                          "account.base_url of the same region and kind as the login?"};
    }
    return result;
}

// Proxies serve copies. A stamp that was there before says so, and unlike its distance from our clock it needs no two
// clocks that agree.
VehicleData FleetApi::parse(const std::string& body, CallTime time) {
    auto data = parse_vehicle_data(body, options_.home, time);
    if (data.stamp && data.stamp == last_stamp_) {
        return parse_vehicle_data(body, options_.home, {last_stamp_seen_at_, time.wall});
    }
    last_stamp_ = data.stamp;
    last_stamp_seen_at_ = time.now;
    return data;
}

ReadResult FleetApi::read(ReadDepth depth, CallTime time) {
    const auto [verdict, response] = exchange(read_request(options_, depth), judge_read, time);
    ReadResult result{verdict, {}};
    if (verdict.kind == Kind::asleep) {
        result.news.sleep_state = Report<SleepState>{SleepState::asleep, time.now};
    }
    if (verdict.kind != Kind::done) {
        return result;
    }
    const bool only_presence = depth == ReadDepth::presence && options_.backend != Backend::ble_proxy;
    try {
        if (only_presence) {
            result.news = parse_vehicle(response.body, time);
        } else {
            const auto data = parse(response.body, time);
            result.news = data.facts;
            result.verdict.reason = printable(fmt::format("{}", fmt::join(data.problems, "; ")), 300);
        }
    } catch (const contract::Invalid& error) {
        result.verdict = {Kind::retry, fmt::format("the answer makes no sense: {}", printable(error.what()))};
        result.news = {};
    }
    return result;
}

Verdict FleetApi::send(const Command& command, CallTime time) {
    const auto judge = [&command](const http::Response& response) { return judge_command(command, response); };
    return exchange(command_request(options_, command), judge, time).verdict;
}

}  // namespace tesla_bridge
