#include "policy-engine/webhooks.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "contract/schema.hpp"

namespace policy_engine {

namespace {

using namespace std::chrono_literals;

constexpr int most_waiting = 20;
constexpr auto patience = 5s;

void require_success(const http::Response& response) {
    if (response.status < 200 || response.status > 299) {
        throw std::runtime_error(fmt::format("HTTP status {}, expected 2xx", response.status));
    }
}

}  // namespace

WebhookCaller::WebhookCaller(service::Environment& environment, MakeHttpClient make_client, service::ServiceHost& host)
    : workers_(environment.workers), make_client_(std::move(make_client)), host_(host), scope_(environment.loop) {}

void WebhookCaller::call(const WebhookCall& call, const nlohmann::json& state) {
    if (waiting_ >= most_waiting) {
        report(call, fmt::format("{} calls are waiting already", waiting_));
        return;
    }
    if (!worker_) {
        client_ = make_client_();
        worker_ = workers_.make_worker("policy-webhooks");
    }
    const nlohmann::json body{
        {"event", call.event},
        {"rule", call.rule},
        {"charger", call.charger.empty() ? nlohmann::json(nullptr) : nlohmann::json(call.charger)},
        {"state", state}};
    const http::Request request{.method = "POST",
                                .url = call.url,
                                .headers = {{"Content-Type", "application/json"}},
                                .body = contract::to_text(body),
                                .digest = {},
                                .timeout = patience};
    ++waiting_;
    const auto send = [client = client_, request] {
        require_success(client->send(request));
        return true;
    };
    scheduling::run_on(*worker_, scope_, send, [this, call](const scheduling::Outcome<bool>& outcome) {
        --waiting_;
        if (const auto* failure = std::get_if<std::exception_ptr>(&outcome)) {
            try {
                std::rethrow_exception(*failure);
            } catch (const std::exception& error) {
                report(call, error.what());
            }
        }
    });
}

// Without the address: it may hold a secret.
void WebhookCaller::report(const WebhookCall& call, const std::string& problem) {
    spdlog::warn("webhook {} of rule {}: {}", call.event, call.rule, problem);
    host_.event("webhook_failed", {{"rule", call.rule}, {"webhook", call.event}, {"reason", problem}});
}

}  // namespace policy_engine
