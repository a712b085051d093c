#include "ems-bridge/fetcher.hpp"

#include <atomic>
#include <condition_variable>
#include <mutex>

#include <doctest/doctest.h>

#include "ems-bridge/web_api.hpp"
#include "scheduling/event_loop.hpp"
#include "scheduling/simulated_loop.hpp"
#include "support.hpp"

using namespace ems_bridge;
using namespace std::chrono_literals;

namespace {

struct Simulation {
    scheduling::SimulatedLoop loop{test::at("2026-06-01T10:00:00Z")};
    scheduling::SimulatedWorkerFactory workers{loop};
    test::FakeHttp http;
    std::vector<scheduling::Instant> asked;
    std::vector<std::string> failures;
    int delivered = 0;
    std::function<std::chrono::milliseconds()> behaviour = [] { return 1h; };

    std::unique_ptr<Fetcher> fetch(const std::string& name = "test") {
        return std::make_unique<Fetcher>(
            loop, workers, name, http, http::TlsTrust{},
            [this](http::HttpClient&, scheduling::WallTime) -> Fetcher::Deliver {
                asked.push_back(loop.now());
                return [this, pause = behaviour()] {
                    ++delivered;
                    return pause;
                };
            },
            [this](ErrorKind, const std::string& what) { failures.push_back(what); });
    }

    double minutes_between(std::size_t first, std::size_t second) const {
        return std::chrono::duration<double, std::ratio<60>>(asked.at(second) - asked.at(first)).count();
    }
};

}  // namespace

TEST_CASE_FIXTURE(Simulation, "fetcher: asks at once, then after what the answer says, a little later each time") {
    const auto fetcher = fetch();

    loop.run_for(10h);

    CHECK(asked.at(0).time_since_epoch() == 0s);
    REQUIRE(asked.size() >= 9);
    for (std::size_t i = 1; i < asked.size(); ++i) {
        CHECK(minutes_between(i - 1, i) >= 60);
        CHECK(minutes_between(i - 1, i) <= 66);
    }
    CHECK(minutes_between(0, 1) != minutes_between(1, 2));
    CHECK(delivered == static_cast<int>(asked.size()));
    CHECK(fetcher->counts().fetches == asked.size());
    CHECK(http.trusts.size() == 1);  // one connection for all of them
}

TEST_CASE_FIXTURE(Simulation, "fetcher: failures double the pause up to an hour, with a new connection each") {
    behaviour = []() -> std::chrono::milliseconds { throw SourceError(ErrorKind::device, "broken"); };
    const auto fetcher = fetch();

    loop.run_for(12h);

    double usual = 0.5;
    for (std::size_t i = 1; i < asked.size(); ++i) {
        CHECK(minutes_between(i - 1, i) >= usual);
        CHECK(minutes_between(i - 1, i) <= 1.5 * usual);
        usual = std::min(2 * usual, 60.0);
    }
    CHECK(asked.size() >= 14);
    CHECK(failures.size() == asked.size());
    CHECK(http.trusts.size() == asked.size());
    CHECK(fetcher->counts().errors.at("device") == asked.size());

    behaviour = [] { return 1h; };
    loop.run_for(90min);
    const auto recovered = asked.size();
    loop.run_for(66min);
    CHECK(asked.size() == recovered + 1);
}

TEST_CASE_FIXTURE(Simulation, "fetcher: a refused question is not repeated before its time") {
    behaviour = []() -> std::chrono::milliseconds { throw SourceError(ErrorKind::rate_limited, "later", 2h); };
    const auto fetcher = fetch();

    loop.run_for(119min);

    CHECK(asked.size() == 1);
    loop.run_for(3min);
    CHECK(asked.size() == 2);
}

TEST_CASE_FIXTURE(Simulation, "fetcher: two fetchers of one site do not ask at the same moments") {
    const auto first = fetch("a");
    const auto second = fetch("b");
    loop.run_for(3h);
    REQUIRE(asked.size() >= 4);
    CHECK(asked[0] == asked[1]);
    CHECK(asked[2] != asked[3]);
}

TEST_CASE_FIXTURE(Simulation, "fetcher: nothing is delivered once it is gone") {
    auto fetcher = fetch();
    loop.run_for(1s);
    fetcher.reset();
    loop.run_for(5h);
    CHECK(asked.size() == 1);
}

TEST_CASE("fetcher: with real threads a hanging service delays no other") {
    scheduling::EventLoop loop;
    scheduling::ThreadWorkerFactory workers;
    test::FakeHttp http;
    test::FakeHttp other_http;  // it is asked on the other thread
    std::mutex mutex;
    std::condition_variable released;
    bool is_released = false;
    std::atomic<int> hanging = 0;
    int quick = 0;
    const Fetcher stuck(
        loop, workers, "stuck", http, {},
        [&](http::HttpClient&, scheduling::WallTime) -> Fetcher::Deliver {
            ++hanging;
            std::unique_lock lock(mutex);
            released.wait(lock, [&] { return is_released; });
            return [&loop] {
                loop.stop();
                return 1h;
            };
        },
        [](ErrorKind, const std::string&) {});
    const Fetcher other(
        loop, workers, "other", other_http, {},
        [&](http::HttpClient&, scheduling::WallTime) -> Fetcher::Deliver {
            return [&] {
                if (++quick == 5) {
                    const std::scoped_lock lock(mutex);
                    is_released = true;
                    released.notify_all();
                }
                return 1ms;
            };
        },
        [](ErrorKind, const std::string&) {});

    loop.run();

    CHECK(quick >= 5);
    CHECK(hanging == 1);
}

TEST_CASE("fetcher: chances are spread over their range") {
    double sum = 0;
    for (std::uint64_t seed = 0; seed < 1000; ++seed) {
        CHECK(spread(seed) >= 0);
        CHECK(spread(seed) < 1);
        sum += spread(seed);
    }
    CHECK(sum / 1000 == doctest::Approx(0.5).epsilon(0.1));
    CHECK(pause_after_failures(1, 0) == 30s);
    CHECK(pause_after_failures(1000000, 0) == 1h);
    CHECK(pause_after_failures(3, 0.5) == 150s);
}

TEST_CASE("web api: how long a refused client waits") {
    const auto now = test::at("2026-06-01T10:00:00Z");
    const auto pause = [&](http::Headers headers, const char* body) {
        return pause_after_429({.status = 429, .headers = std::move(headers), .body = body}, now);
    };

    CHECK(pause({{"retry-after", "120"}}, "") == 120s);
    CHECK(pause({{"retry-after", "-5"}}, "") == 1s);
    CHECK(pause({{"retry-after", "999999999"}}, "") == 24h);
    CHECK(pause({{"retry-after", "Mon, 01 Jun 2026 10:02:00 GMT"}}, "") == 15min);
    CHECK(pause({{"x-ratelimit-retry-at", "2026-06-01T12:30:00+02:00"}}, "") == 30min);
    CHECK(pause({}, R"({"message": {"ratelimit": {"retry-at": "2026-06-01T12:40:00+02:00"}}})") == 40min);
    CHECK(pause({}, R"({"message": {"ratelimit": {"retry-at": 5}}})") == 15min);
    CHECK(pause({}, "[1]") == 15min);
    CHECK(pause({}, "<html>") == 15min);
}

TEST_CASE("web api: what a service says is found where each puts it, and is safe to show") {
    CHECK(said_by(R"({"error": true, "reason": "No data"})") == "No data");
    CHECK(said_by(R"({"message": {"text": "Too many"}})") == "Too many");
    CHECK(said_by(R"({"errors": [{"message": "No token"}]})") == "No token");
    CHECK(said_by(R"({"detail": "Not found.\nforged line"})") == "Not found. forged line");
    CHECK(said_by(R"({"message": "Forbidden"})") == "Forbidden");
    CHECK(said_by(R"({"detail": ")" + std::string(500, 'x') + "\"}")->size() == 120);
    for (const char* nothing : {"", "<html>", "[]", "{}", "7", R"({"errors": {"0": 1}})", R"({"message": 4})"}) {
        CAPTURE(nothing);
        CHECK_FALSE(said_by(nothing));
    }
}
