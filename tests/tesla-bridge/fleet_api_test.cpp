#include "tesla-bridge/fleet_api.hpp"

#include <atomic>
#include <condition_variable>
#include <httplib.h>
#include <mutex>
#include <thread>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "messaging/in_memory_broker.hpp"
#include "scheduling/event_loop.hpp"
#include "tesla-bridge/support.hpp"
#include "tesla-bridge/tesla_bridge.hpp"

using namespace tesla_bridge;
using namespace tesla_bridge_test;
using namespace std::chrono_literals;
using Kind = Verdict::Kind;
using nlohmann::json;

namespace {

constexpr Command start{CommandKind::charge_start, 0};
constexpr Command wake{CommandKind::wake, 0};

/// Tesla's cloud and its token server on a free port of 127.0.0.1: cars sleep, tokens expire, and the next answers can
/// be scripted.
class FakeCloud {
public:
    struct Call {
        std::string method;
        std::string path;
        std::string query;
        std::string authorization;
        std::string content_type;
        std::string body;
    };

    FakeCloud() {
        const auto handler = [this](const httplib::Request& request, httplib::Response& response) {
            handle(request, response);
        };
        server_.Get(".*", handler);
        server_.Post(".*", handler);
        port_ = server_.bind_to_any_port("127.0.0.1");
        REQUIRE(port_ > 0);
        thread_ = std::thread([this] { server_.listen_after_bind(); });
        while (!server_.is_running()) {
            std::this_thread::yield();  // stop() before that would be lost
        }
    }
    FakeCloud(const FakeCloud&) = delete;
    FakeCloud& operator=(const FakeCloud&) = delete;
    ~FakeCloud() {
        release();
        server_.stop();
        thread_.join();
    }

    std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }

    void next(int status, const std::string& body, const httplib::Headers& headers = {}) {
        const std::scoped_lock lock(mutex_);
        scripted_.push_back({status, headers, body});
    }
    std::vector<Call> calls() const {
        const std::scoped_lock lock(mutex_);
        return calls_;
    }
    /// Calls whose path has this in it hang until `release`.
    void hang(const std::string& part) {
        const std::scoped_lock lock(mutex_);
        hanging_ = part;
    }
    void release() {
        const std::scoped_lock lock(mutex_);
        hanging_.reset();
        released_.notify_all();
    }

    std::atomic<bool> asleep = false;
    std::string valid_token = "access-1";
    bool issues_valid_tokens = true;

private:
    struct Scripted {
        int status;
        httplib::Headers headers;
        std::string body;
    };

    void handle(const httplib::Request& request, httplib::Response& response) {
        std::unique_lock lock(mutex_);
        const std::string query = request.target.substr(std::min(request.target.size(), request.path.size()));
        calls_.push_back({request.method, request.path, query, request.get_header_value("Authorization"),
                          request.get_header_value("Content-Type"), request.body});
        released_.wait(lock, [&] { return !hanging_ || request.path.find(*hanging_) == std::string::npos; });
        if (request.path == "/token") {
            const int number = static_cast<int>(calls_.size());
            const std::string token = "access-of-call-" + std::to_string(number);
            if (issues_valid_tokens) {
                valid_token = token;
            }
            response.set_content(
                json{{"access_token", token}, {"refresh_token", "refresh-next"}, {"expires_in", 28'800}}.dump(),
                "application/json");
            return;
        }
        if (!scripted_.empty()) {
            response.status = scripted_.front().status;
            response.headers = scripted_.front().headers;
            response.body = scripted_.front().body;
            scripted_.erase(scripted_.begin());
            return;
        }
        answer(request, response);
    }

    void answer(const httplib::Request& request, httplib::Response& response) {
        if (!valid_token.empty() && request.get_header_value("Authorization") != "Bearer " + valid_token) {
            response.status = 401;
            response.body = fixture("token_expired.json");
        } else if (request.path.ends_with("/wake_up")) {
            asleep = false;
            response.body = fixture("vehicle_asleep.json");
        } else if (request.path.ends_with(vin)) {
            response.body = json{{"response", {{"state", asleep ? "asleep" : "online"}}}}.dump();
        } else if (asleep) {
            response.status = 408;
            response.body = fixture("asleep.json");
        } else {
            response.body = fixture(request.method == "GET" ? "vehicle_data_charging.json" : "command_accepted.json");
        }
    }

    httplib::Server server_;
    int port_ = 0;
    std::thread thread_;
    mutable std::mutex mutex_;
    std::condition_variable released_;
    std::optional<std::string> hanging_;
    std::vector<Scripted> scripted_;
    std::vector<Call> calls_;
};

struct World {
    explicit World(Backend backend = Backend::fleet_api, bool bearer = true) {
        if (bearer) {
            store_file = folder.write("tokens.json", R"({"access_token":"access-1","refresh_token":"refresh-1"})");
            authenticator = std::make_shared<Authenticator>(
                OAuthClient{.token_url = cloud.url() + "/token", .client_id = "app", .timeout = 2s},
                TokenStore(store_file), clients.make_client({}));
        } else {
            cloud.valid_token.clear();
        }
        options.backend = backend;
        options.base_url = cloud.url();
        options.vin = vin;
        options.home.location = Location{50.1, 8.6};
        options.timeout = 5s;
    }

    FleetApi make() { return {options, clients.make_client({}), authenticator}; }

    TemporaryFolder folder;
    std::filesystem::path store_file;
    FakeCloud cloud;
    http::CurlHttpClientFactory clients;
    std::shared_ptr<Authenticator> authenticator;
    FleetApiOptions options;
    CallTime time{at(1000), fixture_wall()};
};

}  // namespace

TEST_CASE("HTTP: a full read with token, endpoints and position") {
    World world;
    auto api = world.make();
    const auto result = api.read(ReadDepth::full, world.time);

    CHECK(result.verdict == Verdict{});
    CHECK(value_of(result.news.soc_pct) == 57);
    CHECK(value_of(result.news.at_home) == true);
    const auto calls = world.cloud.calls();
    REQUIRE(calls.size() == 1);
    CHECK(calls[0].path == "/api/1/vehicles/LRW3E7EK0NC000777/vehicle_data");
    CHECK(calls[0].query == "?endpoints=charge_state%3Bdrive_state%3Blocation_data");
    CHECK(calls[0].authorization == "Bearer access-1");
}

TEST_CASE("HTTP: a copy that a proxy serves again is as old as it was") {
    World world;
    auto api = world.make();
    CHECK(api.read(ReadDepth::full, {at(1000), fixture_wall()}).news.heard_at == at(1000));
    CHECK(api.read(ReadDepth::full, {at(1300), fixture_wall()}).news.heard_at == at(1000));
    std::string newer = fixture("vehicle_data_charging.json");
    newer.replace(newer.find("1788800000123"), 13, "1788800000999");
    world.cloud.next(200, newer);
    CHECK(api.read(ReadDepth::full, {at(1600), fixture_wall()}).news.heard_at == at(1600));
}

TEST_CASE("HTTP: the position is not asked for when nobody needs it") {
    FleetApiOptions options{.base_url = "https://x", .vin = vin, .home = {}};
    CHECK(read_request(options, ReadDepth::full).url.ends_with("/vehicle_data?endpoints=charge_state"));
}

TEST_CASE("HTTP: the requests of each command on each kind of server") {
    struct Row {
        Backend backend;
        Command command;
        const char* path;
        const char* body;
    };
    for (const auto& row :
         {Row{Backend::fleet_api, start, "/command/charge_start", "{}"},
          Row{Backend::fleet_api, {CommandKind::charge_stop, 0}, "/command/charge_stop", "{}"},
          Row{Backend::fleet_api, {CommandKind::set_amps, 12}, "/command/set_charging_amps", R"({"charging_amps":12})"},
          Row{Backend::tesla_http_proxy,
              {CommandKind::set_limit, 80},
              "/command/set_charge_limit",
              R"({"percent":80})"},
          Row{Backend::tesla_http_proxy, wake, "/wake_up", "{}"},
          Row{Backend::ble_proxy, wake, "/command/wake_up?wait=true", "{}"},
          Row{Backend::ble_proxy,
              {CommandKind::set_amps, 12},
              "/command/set_charging_amps?wait=true",
              R"({"charging_amps":12})"}}) {
        const FleetApiOptions options{.backend = row.backend, .base_url = "https://x", .vin = vin, .home = {}};
        const auto request = command_request(options, row.command);
        CHECK(request.method == "POST");
        CHECK(request.url == std::string("https://x/api/1/vehicles/LRW3E7EK0NC000777") + row.path);
        CHECK(request.body == row.body);
    }
}

TEST_CASE("HTTP: a command is JSON with the token") {
    World world;
    auto api = world.make();
    CHECK(api.send({CommandKind::set_amps, 12}, world.time).kind == Kind::done);

    const auto calls = world.cloud.calls();
    REQUIRE(calls.size() == 1);
    CHECK(calls[0].content_type == "application/json");
    CHECK(calls[0].body == R"({"charging_amps":12})");
}

TEST_CASE("HTTP: after a 401 the token is renewed, stored and the call repeated once") {
    World world;
    world.cloud.valid_token = "another";
    auto api = world.make();
    CHECK(api.send(start, world.time).kind == Kind::done);

    const auto calls = world.cloud.calls();
    REQUIRE(calls.size() == 3);
    CHECK(calls[0].authorization == "Bearer access-1");
    CHECK(calls[1].path == "/token");
    CHECK(calls[1].content_type == "application/x-www-form-urlencoded");
    CHECK(calls[1].authorization.empty());
    CHECK(calls[2].authorization == "Bearer access-of-call-2");
    CHECK(TokenStore(world.store_file).load().refresh_token == "refresh-next");

    CHECK(api.send(start, world.time).kind == Kind::done);
    CHECK(world.cloud.calls().size() == 4);
}

TEST_CASE("HTTP: a token that is refused although it is new needs a person") {
    World world;
    world.cloud.valid_token = "another";
    world.cloud.issues_valid_tokens = false;
    auto api = world.make();
    const auto verdict = api.send(start, world.time);

    CHECK(verdict.kind == Kind::blocked);
    CHECK(verdict.reason.find("freshly renewed") != std::string::npos);
    CHECK(world.cloud.calls().size() == 3);
}

TEST_CASE("HTTP: a server that wants a login although none is configured") {
    World world(Backend::fleet_api, false);
    world.cloud.valid_token = "something";
    auto api = world.make();
    const auto verdict = api.send(start, world.time);

    CHECK(verdict.kind == Kind::blocked);
    CHECK(verdict.reason.find("account.auth") != std::string::npos);
}

TEST_CASE("HTTP: a sleeping car is asleep to reads and commands, and a wake wakes it") {
    World world;
    world.cloud.asleep = true;
    auto api = world.make();

    CHECK(value_of(api.read(ReadDepth::presence, world.time).news.sleep_state) == SleepState::asleep);
    const auto full = api.read(ReadDepth::full, world.time);
    CHECK(full.verdict.kind == Kind::asleep);
    CHECK(value_of(full.news.sleep_state) == SleepState::asleep);
    CHECK_FALSE(full.news.heard_at.has_value());
    CHECK(api.send(start, world.time).kind == Kind::asleep);
    CHECK(api.send(wake, world.time).kind == Kind::done);
    CHECK(api.send(start, world.time).kind == Kind::done);
    CHECK(value_of(api.read(ReadDepth::presence, world.time).news.sleep_state) == SleepState::online);
}

TEST_CASE("HTTP: a rate limit carries its time, from the header") {
    World world;
    world.cloud.next(429, fixture("rate_limited.json"), {{"Retry-After", "120"}});
    auto api = world.make();
    const auto verdict = api.send(start, world.time);

    CHECK(verdict.kind == Kind::rate_limited);
    CHECK(verdict.retry_after == 120s);
}

TEST_CASE("HTTP: server errors and nonsense are passing trouble") {
    World world;
    world.cloud.next(500, "oops");
    world.cloud.next(502, "<html>bad gateway</html>");
    world.cloud.next(200, "{\"response\":{\"charge_state\":");
    world.cloud.next(200, "[]");
    auto api = world.make();
    for (int i = 0; i < 4; ++i) {
        const auto result = api.read(ReadDepth::full, world.time);
        CHECK(result.verdict.kind == Kind::retry);
        CHECK_FALSE(result.verdict.reason.empty());
        CHECK(result.news == VehicleFacts{});
    }
}

TEST_CASE("HTTP: a server that quotes the token does not get it into our words") {
    World world;
    world.cloud.next(403, R"({"error":"bad token access-1, yes access-1"})");
    auto api = world.make();
    const auto verdict = api.send(start, world.time);

    CHECK(verdict.reason == "access denied (HTTP 403: bad token (token), yes (token))");
}

TEST_CASE("HTTP: nobody listens, and nobody answers in time") {
    World world;
    world.options.timeout = 200ms;
    world.cloud.hang(vin);
    auto api = world.make();
    const auto slow = api.send(start, world.time);
    CHECK(slow.kind == Kind::retry);
    CHECK_MESSAGE(slow.reason.find("timed out") != std::string::npos, slow.reason);

    world.cloud.release();
    world.options.base_url = "http://127.0.0.1:9";
    auto nobody = world.make();
    const auto refused = nobody.read(ReadDepth::full, world.time);
    CHECK(refused.verdict.kind == Kind::retry);
    CHECK_MESSAGE(refused.verdict.reason.find("http://127.0.0.1:9") != std::string::npos, refused.verdict.reason);
}

TEST_CASE("HTTP: TeslaBleHttpProxy needs no token and is asked to wait for the car") {
    World world(Backend::ble_proxy, false);
    world.cloud.next(200, fixture("vehicle_data_ble_proxy.json"));
    world.cloud.next(503, R"({"response":{"result":false,"reason":"vehicle is sleeping","command":"vehicle_data"}})");
    world.cloud.next(503, R"({"response":{"result":false,"reason":"failed to connect over BLE"}})");
    auto api = world.make();

    CHECK(value_of(api.read(ReadDepth::presence, world.time).news.soc_pct) == 61);
    CHECK(api.read(ReadDepth::full, world.time).verdict.kind == Kind::asleep);
    const auto failed = api.send(start, world.time);
    CHECK(failed.kind == Kind::retry);
    CHECK(failed.reason == "the car refused: failed to connect over BLE");
    const auto calls = world.cloud.calls();
    REQUIRE(calls.size() == 3);
    CHECK(calls[0].query == "?endpoints=charge_state");
    CHECK(calls[0].authorization.empty());
    CHECK(calls[2].query == "?wait=true");
}

TEST_CASE("HTTP: a car whose server hangs holds up neither the loop nor another car") {
    FakeCloud cloud;
    cloud.valid_token.clear();
    cloud.hang("5YJ3E1EA0KF000316");
    http::CurlHttpClientFactory clients;
    scheduling::EventLoop loop;
    scheduling::ThreadWorkerFactory workers;
    messaging::InMemoryBroker broker(loop);
    const auto bus = broker.connect("tesla-bridge");
    const auto user = broker.connect("user");
    service::Environment environment{loop, workers, *bus, contract::Topics("twc"), "tesla-bridge"};
    Config config;
    config.account = AccountConfig{.base_url = cloud.url(), .timeout = 4s, .needs_token = false};
    config.vehicles = {{.alias = "stuck", .vin = "5YJ3E1EA0KF000316"}, {.alias = "kestrel", .vin = vin}};
    auto bridge = std::make_unique<TeslaBridge>(config, environment, clients);

    scheduling::TaskScope scope(loop);
    int ticks = 0;
    scope.call_every(10ms, [&] { ++ticks; });
    scope.call_after(20ms, [&] {
        for (const char* alias : {"stuck", "kestrel"}) {
            user->publish(
                {.topic = environment.topics.vehicle_command_set(alias, "set_amps"), .payload = "9", .qos = 1});
        }
    });
    std::vector<std::string> done;
    int ticks_until_done = 0;
    int ticks_until_timeout = 0;
    broker.tap([&](const std::string&, const messaging::Publication& publication) {
        const bool is_timeout = publication.topic == "twc/vehicle/stuck/state" &&
                                publication.payload.find("timed out") != std::string::npos;
        if (is_timeout && ticks_until_timeout == 0) {
            ticks_until_timeout = ticks;
            cloud.release();
        }
        if (publication.topic.ends_with("/event") && publication.payload.find("command_done") != std::string::npos) {
            ticks_until_done = done.empty() ? ticks : ticks_until_done;
            done.push_back(publication.topic);
        }
        if (done.size() == 2) {
            loop.stop();  // no call is being made now, so no worker is left behind
        }
    });
    loop.run();
    bridge.reset();

    CHECK(done == std::vector<std::string>{"twc/vehicle/kestrel/event", "twc/vehicle/stuck/event"});
    CHECK(ticks_until_done < ticks_until_timeout);
    CHECK(ticks_until_timeout >= 20);
    CHECK(scheduling::ThreadWorkerFactory::abandoned_workers() == 0);
}
