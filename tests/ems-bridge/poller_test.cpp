#include "ems-bridge/poller.hpp"

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include <doctest/doctest.h>

#include "scheduling/event_loop.hpp"
#include "scheduling/simulated_loop.hpp"
#include "support.hpp"

using namespace ems_bridge;
using namespace std::chrono_literals;

namespace {

class CallbackSource final : public Source {
public:
    explicit CallbackSource(std::function<Reading()> callback) : callback_(std::move(callback)) {}
    Reading read() override { return callback_(); }

private:
    std::function<Reading()> callback_;
};

struct Simulation {
    scheduling::SimulatedLoop loop;
    scheduling::SimulatedWorkerFactory workers{loop};
    test::FakeHttp http;
    test::FakeModbus modbus;
    Io io{http, modbus};
    std::vector<scheduling::Instant> asked;
    std::vector<std::string> failures;
    int made = 0;
    int readings = 0;
    std::function<Reading()> behaviour = [] { return Reading{}; };

    std::unique_ptr<Poller> poll(Cadence cadence) {
        return std::make_unique<Poller>(
            loop, workers, "test",
            [this](Io&) {
                ++made;
                return std::make_unique<CallbackSource>([this] {
                    asked.push_back(loop.now());
                    return behaviour();
                });
            },
            io, cadence,
            Poller::Listener{.on_reading = [this](const Reading&, scheduling::Instant) { ++readings; },
                             .on_failure = [this](ErrorKind, const std::string& what) { failures.push_back(what); }});
    }

    std::vector<long> seconds() const {
        std::vector<long> result;
        for (const auto& at : asked) {
            result.push_back(std::chrono::duration_cast<std::chrono::seconds>(at.time_since_epoch()).count());
        }
        return result;
    }
};

}  // namespace

TEST_CASE_FIXTURE(Simulation, "poller: asks at once and then at its interval, with one source object") {
    const auto poller = poll({.interval = 5s});

    loop.run_for(16s);

    CHECK(seconds() == std::vector<long>{0, 5, 10, 15});
    CHECK(made == 1);
    CHECK(readings == 4);
    CHECK(poller->counts().polls == 4);
}

TEST_CASE_FIXTURE(Simulation, "poller: a failure destroys the source, doubles the pause, and success restores both") {
    behaviour = []() -> Reading { throw SourceError(ErrorKind::device, "broken"); };
    const auto poller = poll({.interval = 2s, .longest_pause = 10s});

    loop.run_for(35s);
    CHECK(seconds() == std::vector<long>{0, 2, 6, 14, 24, 34});
    CHECK(made == 6);
    CHECK(failures.size() == 6);
    CHECK(poller->counts().errors.at("device") == 6);

    behaviour = [] { return Reading{}; };
    asked.clear();
    loop.run_for(14s);
    CHECK(seconds() == std::vector<long>{44, 46, 48});
    CHECK(made == 7);
}

TEST_CASE_FIXTURE(Simulation, "poller: a source can ask for a longer pause") {
    behaviour = []() -> Reading { throw SourceError(ErrorKind::rate_limited, "later", 5min); };
    const auto poller = poll({.interval = 2s, .longest_pause = 10s});

    loop.run_for(301s);

    CHECK(seconds() == std::vector<long>{0, 300});
}

TEST_CASE_FIXTURE(Simulation, "poller: every kind of exception is a failure of that source and of nothing else") {
    const auto poller = poll({.interval = 1s, .longest_pause = 1s});
    behaviour = []() -> Reading { throw http::TransportError("host: no route"); };
    loop.run_for(1s);
    behaviour = []() -> Reading { throw std::runtime_error("what"); };
    loop.run_for(1s);
    behaviour = []() -> Reading { throw 42; };  // NOLINT(hicpp-exception-baseclass): that is the point
    loop.run_for(1s);

    CHECK(failures.back() == "unknown error");
    CHECK(poller->counts().errors.at("transport") >= 1);
    CHECK(poller->counts().errors.at("malformed") >= 2);
}

TEST_CASE_FIXTURE(Simulation, "poller: nothing is called once it is gone") {
    auto poller = poll({.interval = 1s});
    loop.run_for(100ms);
    const auto before = asked.size();

    poller.reset();
    loop.run_for(1min);

    CHECK(asked.size() == before);
}

TEST_CASE("poller: pauses grow to their limit, which is never below the interval") {
    CHECK(pause_after(1, {.interval = 1s, .longest_pause = 60s}) == 1s);
    CHECK(pause_after(4, {.interval = 1s, .longest_pause = 60s}) == 8s);
    CHECK(pause_after(1000, {.interval = 1s, .longest_pause = 60s}) == 60s);
    CHECK(pause_after(3, {.interval = 300s, .longest_pause = 60s}) == 300s);
}

TEST_CASE("poller: with real threads a hanging source delays no other and is never asked twice at a time") {
    scheduling::EventLoop loop;
    scheduling::ThreadWorkerFactory workers;
    test::FakeHttp http;
    test::FakeModbus modbus;
    Io io{http, modbus};
    std::mutex mutex;
    std::condition_variable released;
    bool is_released = false;
    std::atomic<int> hanging_reads = 0;
    int fast_readings = 0;
    int late_readings = 0;

    const Poller hanging(loop, workers, "hanging",
                         [&](Io&) {
                             return std::make_unique<CallbackSource>([&] {
                                 ++hanging_reads;
                                 std::unique_lock lock(mutex);
                                 released.wait(lock, [&] { return is_released; });
                                 return Reading{};
                             });
                         },
                         io, {.interval = 10ms},
                         {.on_reading =
                              [&](const Reading&, scheduling::Instant) {
                                  ++late_readings;
                                  loop.stop();
                              },
                          .on_failure = [](ErrorKind, const std::string&) {}});
    const Poller fast(loop, workers, "fast",
                      [](Io&) { return std::make_unique<CallbackSource>([] { return Reading{}; }); }, io,
                      {.interval = 10ms},
                      {.on_reading =
                           [&](const Reading&, scheduling::Instant) {
                               if (++fast_readings == 20) {
                                   const std::scoped_lock lock(mutex);
                                   is_released = true;
                                   released.notify_all();
                               }
                           },
                       .on_failure = [](ErrorKind, const std::string&) {}});
    loop.run();

    CHECK(fast_readings >= 20);
    CHECK(late_readings == 1);
    CHECK(hanging_reads <= 2);
}
