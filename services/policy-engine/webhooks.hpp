#pragma once

#include <functional>
#include <memory>

#include <nlohmann/json.hpp>

#include "http/http_client.hpp"
#include "policy-engine/types.hpp"
#include "scheduling/worker.hpp"
#include "service/service_host.hpp"

namespace policy_engine {

using MakeHttpClient = std::function<std::unique_ptr<http::HttpClient>()>;

/// Calls the addresses that rules name, one after the other on a worker of its own: nothing waits for them. A call that
/// fails is reported as event `webhook_failed` and not repeated.
class WebhookCaller {
public:
    /// `make_client`: called when the first address is.
    WebhookCaller(service::Environment& environment, MakeHttpClient make_client, service::ServiceHost& host);

    /// POSTs `{"event":…,"rule":…,"charger":…,"state":…}`. While too many wait already, it is dropped and reported.
    void call(const WebhookCall& call, const nlohmann::json& state);

private:
    void report(const WebhookCall& call, const std::string& problem);

    scheduling::WorkerFactory& workers_;
    MakeHttpClient make_client_;
    service::ServiceHost& host_;
    std::shared_ptr<http::HttpClient> client_;
    int waiting_ = 0;
    std::unique_ptr<scheduling::Worker> worker_;
    scheduling::TaskScope scope_;
};

}  // namespace policy_engine
