#include "tesla-bridge/authenticator.hpp"

#include <atomic>
#include <csignal>
#include <functional>
#include <latch>
#include <sstream>
#include <thread>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

#include "tesla-bridge/support.hpp"

using namespace tesla_bridge;
using namespace tesla_bridge_test;
using namespace std::chrono_literals;
using Kind = Verdict::Kind;
using Handler = std::function<http::Response(const http::Request&)>;

namespace {

class FakeHttp final : public http::HttpClient {
public:
    explicit FakeHttp(Handler handler) : handler_(std::move(handler)) {}
    http::Response send(const http::Request& request) override { return handler_(request); }

private:
    Handler handler_;
};

http::Response new_login(int number, int lifetime_s = 28'800) {
    return {200,
            {},
            nlohmann::json{{"access_token", "access-" + std::to_string(number)},
                           {"refresh_token", "refresh-" + std::to_string(number)},
                           {"expires_in", lifetime_s}}
                .dump()};
}

http::Response oauth_error(int status, const std::string& error) {
    return {status, {}, nlohmann::json{{"error", error}, {"error_description", "s3cret"}}.dump()};
}

/// A token file, a token server and the authenticator between them.
struct World {
    explicit World(const std::string& tokens) : file(folder.write("tokens.json", tokens)) {}

    Authenticator make() {
        return {OAuthClient{.token_url = "https://auth.example/token", .client_id = "app id", .timeout = 1s},
                TokenStore(file), std::make_unique<FakeHttp>([this](const http::Request& request) {
                    requests.push_back(request);
                    if (during_call) {
                        during_call();
                    }
                    return answers ? answers(request) : new_login(static_cast<int>(requests.size()) + 1);
                })};
    }
    Tokens on_disk() const { return TokenStore(file).load(); }

    TemporaryFolder folder;
    std::filesystem::path file;
    std::vector<http::Request> requests;
    Handler answers;
    std::function<void()> during_call;
};

CallTime time_at(double seconds) {
    return {at(seconds), fixture_wall() + std::chrono::milliseconds(static_cast<long long>(seconds * 1000))};
}

std::string token(const std::variant<std::string, Verdict>& result) {
    const auto* verdict = std::get_if<Verdict>(&result);
    REQUIRE_MESSAGE(verdict == nullptr, (verdict != nullptr ? verdict->reason : ""));
    return std::get<std::string>(result);
}

Verdict problem(const std::variant<std::string, Verdict>& result) {
    REQUIRE(std::holds_alternative<Verdict>(result));
    return std::get<Verdict>(result);
}

const std::string only_refresh = R"({"refresh_token":"refresh-1"})";
const std::string both = R"({"access_token":"access-1","refresh_token":"refresh-1"})";

}  // namespace

TEST_CASE("login: the first call fetches an access token with the documented request") {
    World world(only_refresh);
    auto authenticator = world.make();

    CHECK(token(authenticator.access_token(time_at(0))) == "access-2");
    REQUIRE(world.requests.size() == 1);
    CHECK(world.requests[0].method == "POST");
    CHECK(world.requests[0].url == "https://auth.example/token");
    CHECK(world.requests[0].body == "grant_type=refresh_token&client_id=app%20id&refresh_token=refresh-1");
    CHECK(world.on_disk().refresh_token == "refresh-2");
    CHECK(world.on_disk().expires_at.has_value());
}

TEST_CASE("login: a valid token is used until shortly before its end") {
    World world(only_refresh);
    auto authenticator = world.make();
    REQUIRE(token(authenticator.access_token(time_at(0))) == "access-2");

    CHECK(token(authenticator.access_token(time_at(28'400))) == "access-2");
    CHECK(token(authenticator.access_token(time_at(28'600))) == "access-3");
    CHECK(world.requests.size() == 2);
}

TEST_CASE("login: short-lived tokens are not renewed at every call") {
    World world(only_refresh);
    world.answers = [&](const http::Request&) { return new_login(static_cast<int>(world.requests.size()) + 1, 60); };
    auto authenticator = world.make();
    for (int second = 0; second < 60; second += 5) {
        token(authenticator.access_token(time_at(second)));
    }
    CHECK(world.requests.size() == 2);
}

TEST_CASE("login: the new login is on disk before its access token is given to anyone") {
    World world(only_refresh);
    auto authenticator = world.make();
    const auto given = token(authenticator.access_token(time_at(0)));

    // A crash at this point: a new process finds the same login.
    CHECK(world.on_disk().access_token == given);
    auto after_crash = world.make();
    CHECK(token(after_crash.access_token(time_at(1))) == given);
    CHECK(world.requests.size() == 1);
}

TEST_CASE("login: a login that cannot be stored is not used, and not fetched again") {
    World world(only_refresh);
    auto authenticator = world.make();
    // A folder where the temporary file goes: it can be neither created nor removed, even by root.
    const auto obstacle = std::filesystem::path(world.file.string() + ".new");
    std::filesystem::create_directory(obstacle);

    const auto verdict = problem(authenticator.access_token(time_at(0)));
    CHECK(verdict.kind == Kind::retry);
    CHECK(verdict.reason.find("cannot be stored") != std::string::npos);
    CHECK(verdict.reason.find("refresh-") == std::string::npos);
    CHECK(world.on_disk().refresh_token == "refresh-1");
    problem(authenticator.access_token(time_at(60)));
    problem(authenticator.replace("access-1", time_at(61)));
    CHECK(world.requests.size() == 1);

    std::filesystem::remove(obstacle);
    CHECK(token(authenticator.access_token(time_at(120))) == "access-2");
    CHECK(world.on_disk().refresh_token == "refresh-2");
    CHECK(world.requests.size() == 1);
}

TEST_CASE("login: after a 401 the token is renewed once for all who got it") {
    World world(both);
    auto authenticator = world.make();
    REQUIRE(token(authenticator.access_token(time_at(0))) == "access-1");

    CHECK(token(authenticator.replace("access-1", time_at(1))) == "access-2");
    CHECK(token(authenticator.replace("access-1", time_at(1))) == "access-2");
    CHECK(world.requests.size() == 1);
}

TEST_CASE("login: many workers at once cause one refresh") {
    World world(both);
    world.during_call = [] { std::this_thread::sleep_for(20ms); };
    auto authenticator = world.make();
    constexpr int workers = 8;
    std::latch together(workers);
    std::atomic<int> renewed = 0;
    {
        std::vector<std::jthread> threads;
        for (int i = 0; i < workers; ++i) {
            threads.emplace_back([&] {
                together.arrive_and_wait();
                const auto result = authenticator.replace("access-1", time_at(1));
                renewed += result == std::variant<std::string, Verdict>("access-2") ? 1 : 0;
            });
        }
    }
    CHECK(renewed == workers);
    CHECK(world.requests.size() == 1);
}

TEST_CASE("login: a token server in trouble is asked again later, and the old token serves as long as it lives") {
    World world(only_refresh);
    auto authenticator = world.make();
    REQUIRE(token(authenticator.access_token(time_at(0))) == "access-2");
    world.answers = [](const http::Request&) { return http::Response{503, {}, ""}; };

    CHECK(token(authenticator.access_token(time_at(28'600))) == "access-2");
    CHECK(token(authenticator.access_token(time_at(28'605))) == "access-2");
    CHECK(world.requests.size() == 2);  // back-off
    const auto verdict = problem(authenticator.access_token(time_at(28'801)));
    CHECK(verdict.kind == Kind::retry);
    CHECK(verdict.reason == "the token server failed (HTTP 503)");
    world.answers = nullptr;
    CHECK(token(authenticator.access_token(time_at(29'900))).starts_with("access-"));
}

TEST_CASE("login: no connection to the token server") {
    World world(only_refresh);
    world.answers = [](const http::Request&) -> http::Response {
        throw http::TransportError("https://auth.example: Couldn't resolve host name");
    };
    auto authenticator = world.make();

    const auto verdict = problem(authenticator.access_token(time_at(0)));
    CHECK(verdict.kind == Kind::retry);
    CHECK(verdict.reason == "the token server cannot be reached: https://auth.example: Couldn't resolve host name");
}

TEST_CASE("login: a dead login is final until the file is replaced") {
    World world(only_refresh);
    world.answers = [](const http::Request&) { return oauth_error(401, "login_required"); };
    auto authenticator = world.make();
    const auto verdict = problem(authenticator.access_token(time_at(0)));
    CHECK(verdict.kind == Kind::blocked);
    CHECK(verdict.reason.find("log in again") != std::string::npos);
    for (int second = 60; second < 86'400; second += 600) {
        problem(authenticator.access_token(time_at(second)));
    }
    CHECK(world.requests.size() == 1);

    world.answers = nullptr;
    world.folder.write("tokens.json", R"({"refresh_token":"refresh-9"})");
    CHECK(token(authenticator.access_token(time_at(86'500))) == "access-3");
    CHECK(world.requests.back().body.ends_with("refresh_token=refresh-9"));
}

TEST_CASE("login: an access token that cannot be renewed says so") {
    World world(R"({"access_token":"access-1"})");
    auto authenticator = world.make();
    CHECK(token(authenticator.access_token(time_at(0))) == "access-1");

    const auto verdict = problem(authenticator.replace("access-1", time_at(1)));
    CHECK(verdict.kind == Kind::blocked);
    CHECK(verdict.reason.find("no refresh_token") != std::string::npos);
    CHECK(world.requests.empty());
}

TEST_CASE("login: a file that became unusable is reported, and used again once it is repaired") {
    World world(both);
    std::filesystem::permissions(world.file, std::filesystem::perms(0644));
    auto authenticator = world.make();
    const auto verdict = problem(authenticator.access_token(time_at(0)));
    CHECK(verdict.kind == Kind::blocked);
    CHECK(verdict.reason.find("chmod 600") != std::string::npos);

    std::filesystem::permissions(world.file, std::filesystem::perms(0600));
    CHECK(token(authenticator.access_token(time_at(1))) == "access-1");
}

TEST_CASE("login: what the token server's answers mean") {
    struct Row {
        const char* name;
        http::Response response;
        Kind kind;
        const char* words;
    };
    const Tokens old{.access_token = "a", .refresh_token = "old-refresh", .expires_at = {}};
    for (const auto& row :
         {Row{"used", oauth_error(401, "login_required"), Kind::blocked, "log in again"},
          Row{"bad", oauth_error(400, "invalid_grant"), Kind::blocked, "log in again"},
          Row{"client", oauth_error(400, "unauthorized_client"), Kind::blocked, "client_id"},
          Row{"client id", oauth_error(401, "invalid_client"), Kind::blocked, "client_id"},
          Row{"scope", oauth_error(403, "invalid_scope"), Kind::blocked, "permission"},
          Row{"unknown", oauth_error(400, "moon_phase"), Kind::blocked, "HTTP 400, moon_phase"},
          Row{"transport policy", http::Response{403, {}, "see docs"}, Kind::blocked, "HTTP 403"},
          Row{"slow down", http::Response{429, {{"retry-after", "7"}}, ""}, Kind::rate_limited, "wait"},
          Row{"broken", http::Response{500, {}, "oops"}, Kind::retry, "HTTP 500"},
          Row{"web page", http::Response{200, {}, "<html>"}, Kind::retry, "token_url"},
          Row{"no access token", http::Response{200, {}, R"({"refresh_token":"s3cret"})"}, Kind::retry, "token_url"},
          Row{"header injection", http::Response{200, {}, R"({"access_token":"s3cret\r\nX: y"})"}, Kind::retry,
              "token_url"}}) {
        CAPTURE(row.name);
        const auto result = parse_refresh(row.response, old, fixture_wall());
        const auto verdict = problem(std::holds_alternative<Verdict>(result)
                                         ? std::variant<std::string, Verdict>(std::get<Verdict>(result))
                                         : std::variant<std::string, Verdict>("a login"));
        CHECK(verdict.kind == row.kind);
        CHECK_MESSAGE(verdict.reason.find(row.words) != std::string::npos, verdict.reason);
        CHECK(verdict.reason.find("s3cret") == std::string::npos);
        CHECK(verdict.reason.find("old-refresh") == std::string::npos);
    }
}

TEST_CASE("login: an answer without a new refresh token keeps the old one") {
    const Tokens old{.access_token = "a", .refresh_token = "old-refresh", .expires_at = {}};
    const auto result = parse_refresh({200, {}, R"({"access_token":"b","expires_in":3600})"}, old, fixture_wall());

    REQUIRE(std::holds_alternative<Refreshed>(result));
    CHECK(std::get<Refreshed>(result).tokens == Tokens{"b", "old-refresh", fixture_wall() + 1h});
}

TEST_CASE("login: an implausible lifetime counts as unknown") {
    const Tokens old{.access_token = "a", .refresh_token = "r", .expires_at = {}};
    for (const char* lifetime : {"-1", "0", "1e300", "\"soon\"", "null"}) {
        CAPTURE(lifetime);
        const std::string body = std::string(R"({"access_token":"b","expires_in":)").append(lifetime).append("}");
        const auto result = parse_refresh({200, {}, body}, old, fixture_wall());
        REQUIRE(std::holds_alternative<Refreshed>(result));
        CHECK_FALSE(std::get<Refreshed>(result).tokens.expires_at.has_value());
    }
}

TEST_CASE("login: no token ever reaches the log") {
    std::ostringstream log;
    const auto before = spdlog::default_logger();
    const auto logger = std::make_shared<spdlog::logger>("test", std::make_shared<spdlog::sinks::ostream_sink_mt>(log));
    logger->set_level(spdlog::level::trace);
    spdlog::set_default_logger(logger);
    {
        World world(only_refresh);
        auto authenticator = world.make();
        token(authenticator.access_token(time_at(0)));
        world.answers = [](const http::Request& request) { return http::Response{500, {}, request.body}; };
        problem(authenticator.replace("access-2", time_at(1)));
        world.answers = [](const http::Request& request) { return http::Response{400, {}, request.body}; };
        problem(authenticator.replace("access-2", time_at(100)));
        world.answers = nullptr;
        world.folder.write("tokens.json", R"({"refresh_token":"refresh-9"})");
        token(authenticator.access_token(time_at(200)));
    }
    spdlog::set_default_logger(before);

    CHECK(log.str().find("renewed and stored") != std::string::npos);
    CHECK(log.str().find("access-") == std::string::npos);
    CHECK(log.str().find("refresh-") == std::string::npos);
}

TEST_CASE("login: form encoding") {
    CHECK(form_encode("aZ09-_.~") == "aZ09-_.~");
    CHECK(form_encode("a b&c=d+e/\xc3\xa9") == "a%20b%26c%3Dd%2Be%2F%C3%A9");
}
