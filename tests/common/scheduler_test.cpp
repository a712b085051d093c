#include "scheduling/scheduler.hpp"

#include <random>
#include <string>

#include <doctest/doctest.h>

#include "scheduling/simulated_loop.hpp"
#include "scheduling/worker.hpp"

using namespace scheduling;
using namespace std::chrono_literals;

namespace {

// Counts what is asked of the loop.
class CountingLoop final : public Scheduler {
public:
    Instant now() const override { return inner.now(); }
    WallTime wall_now() const override { return inner.wall_now(); }
    void call_at(Instant when, Task task) override {
        ++calls;
        inner.call_at(when, std::move(task));
    }
    SimulatedLoop inner;
    int calls = 0;
};

}  // namespace

TEST_CASE("simulated loop: runs tasks by time, and tasks of one instant in the order they were given") {
    SimulatedLoop loop;
    std::string order;
    loop.call_after(2s, [&] { order += "d"; });
    loop.call_after(1s, [&] { order += "b"; });
    loop.call_after(1s, [&] { order += "c"; });
    loop.post([&] { order += "a"; });
    loop.call_at(loop.now() - 5s, [&] { order += "."; });

    loop.run_for(1s);
    CHECK(order == "a.bc");
    loop.run_for(999ms);
    CHECK(order == "a.bc");
    loop.run_for(1ms);
    CHECK(order == "a.bcd");
}

TEST_CASE("simulated loop: the civil clock may jump without moving the other one") {
    SimulatedLoop loop(std::chrono::sys_days(std::chrono::year(2026) / 1 / 1));
    const auto before = loop.wall_now();
    loop.run_for(10s);
    loop.jump_wall_clock(-3600s);

    CHECK(loop.wall_now() - before == 10s - 3600s);
    CHECK(loop.now().time_since_epoch() == 10s);
}

TEST_CASE("task scope: pending tasks die with their owner") {
    SimulatedLoop loop;
    int runs = 0;
    auto scope = std::make_unique<TaskScope>(loop);
    scope->post([&] { ++runs; });
    scope->call_after(1s, [&] { ++runs; });
    scope->call_every(1s, [&] { ++runs; });
    const auto guarded = scope->guarded([&] { ++runs; });
    loop.run_for(0s);
    scope.reset();
    loop.run_for(10s);
    guarded();

    CHECK(runs == 1);
}

TEST_CASE("task scope: an owner may end itself in one of its own tasks") {
    SimulatedLoop loop;
    auto scope = std::make_unique<TaskScope>(loop);
    int runs = 0;
    scope->call_every(1s, [&] {
        ++runs;
        scope.reset();
    });
    loop.run_for(5s);

    CHECK(runs == 1);
}

TEST_CASE("task scope: a periodic task skips what it missed") {
    SimulatedLoop loop;
    TaskScope scope(loop);
    std::vector<int> at;
    scope.call_every(1s, [&] {
        at.push_back(static_cast<int>(loop.now().time_since_epoch() / 1s));
        if (at.size() == 2) {
            loop.run_for(5s);  // a task that takes long
        }
    });
    loop.run_for(10s);

    CHECK(at == std::vector{1, 2, 8, 9, 10});
}

TEST_CASE("timer: fires once, can be moved either way and cancelled") {
    SimulatedLoop loop;
    Timer timer(loop);
    std::string fired;
    timer.set_after(2s, [&] { fired += "a"; });
    timer.set_after(1s, [&] { fired += "b"; });
    CHECK(timer.pending());
    loop.run_for(1s);
    CHECK(fired == "b");
    CHECK_FALSE(timer.pending());
    loop.run_for(5s);
    CHECK(fired == "b");

    timer.set_after(1s, [&] { fired += "c"; });
    timer.set_after(3s, [&] { fired += "d"; });
    loop.run_for(2s);
    CHECK(fired == "b");
    loop.run_for(1s);
    CHECK(fired == "bd");

    timer.set_after(1s, [&] { fired += "e"; });
    timer.cancel();
    timer.set_after(2s, [&] { fired += "f"; });
    loop.run_for(5s);
    CHECK(fired == "bdf");
}

TEST_CASE("timer: may be set again or destroyed by its own alarm") {
    SimulatedLoop loop;
    auto timer = std::make_unique<Timer>(loop);
    int count = 0;
    std::function<void()> again = [&] {
        if (++count == 3) {
            timer.reset();
        } else {
            timer->set_after(1s, again);
        }
    };
    timer->set_after(1s, again);
    loop.run_for(10s);

    CHECK(count == 3);
}

TEST_CASE("timer: moving it a thousand times does not fill the loop with dead tasks") {
    CountingLoop loop;
    Timer timer(loop);
    int fired = 0;
    for (int i = 0; i < 1000; ++i) {
        timer.set(loop.now() + 60s + std::chrono::milliseconds(i), [&] { ++fired; });
    }
    loop.inner.run_for(62s);

    CHECK(fired == 1);
    CHECK(loop.calls <= 3);
}

TEST_CASE("timer: random settings behave like the last of them") {
    constexpr unsigned seed = 11;
    CAPTURE(seed);
    std::mt19937 random(seed);
    SimulatedLoop loop;
    Timer timer(loop);
    constexpr Instant never = Instant::max();
    Instant expected = never;
    Instant fired = never;
    for (int i = 0; i < 5000; ++i) {
        if (random() % 5 == 0) {
            timer.cancel();
            expected = never;
        } else {
            expected = loop.now() + std::chrono::milliseconds(random() % 50);
            timer.set(expected, [&] { fired = loop.now(); });
        }
        const auto end = loop.now() + std::chrono::milliseconds(random() % 40);
        loop.run_until(end);
        REQUIRE(fired == (expected <= end ? expected : never));
        if (std::exchange(fired, never) != never) {
            expected = never;
        }
        REQUIRE(timer.pending() == (expected != never));
    }
}

TEST_CASE("run_on: hands the result or the exception to the loop, unless the owner is gone") {
    SimulatedLoop loop;
    SimulatedWorkerFactory factory(loop);
    const auto worker = factory.make_worker("test");
    auto scope = std::make_unique<TaskScope>(loop);
    std::string got;
    run_on(
        *worker, *scope, [] { return 42; },
        [&](Outcome<int> outcome) { got += std::to_string(std::get<int>(outcome)); });
    run_on(
        *worker, *scope, []() -> int { throw std::runtime_error("dead meter"); },
        [&](Outcome<int> outcome) {
            try {
                std::rethrow_exception(std::get<std::exception_ptr>(outcome));
            } catch (const std::exception& error) {
                got += error.what();
            }
        });
    loop.run_for(1s);
    CHECK(got == "42dead meter");

    run_on(
        *worker, *scope, [] { return 43; }, [&](Outcome<int>) { got += "late"; });
    scope.reset();
    loop.run_for(1s);
    CHECK(got == "42dead meter");
}
