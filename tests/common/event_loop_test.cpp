#include "scheduling/event_loop.hpp"

#include <atomic>
#include <future>
#include <string>

#include <doctest/doctest.h>

#include "support/eventually.hpp"

using namespace scheduling;
using namespace std::chrono_literals;

TEST_CASE("event loop: runs tasks by time, and tasks of one instant in the order they were given") {
    EventLoop loop;
    std::string order;
    const auto soon = loop.now() + 20ms;
    loop.call_at(soon + 1ms, [&] { loop.stop(); });
    for (const char c : std::string("cdefgh")) {
        loop.call_at(soon, [&order, c] { order += c; });
    }
    loop.post([&] { order += "a"; });
    loop.post([&] { order += "b"; });

    loop.run();

    CHECK(order == "abcdefgh");
}

TEST_CASE("event loop: an earlier task that comes later is not held up by a later one") {
    EventLoop loop;
    const auto begin = loop.now();
    loop.call_after(10s, [&] { loop.stop(); });
    loop.post([&] { loop.call_after(5ms, [&] { loop.stop(); }); });

    loop.run();

    CHECK(loop.now() - begin < 5s);
}

TEST_CASE("event loop: a task that posts itself for ever starves neither timers nor stop") {
    EventLoop loop;
    std::function<void()> again = [&] { loop.post(again); };
    loop.post(again);
    loop.call_after(20ms, [&] { loop.stop(); });

    loop.run();

    CHECK(true);
}

TEST_CASE("event loop: stop may come first, or from another thread") {
    EventLoop stopped;
    stopped.stop();
    stopped.run();

    EventLoop loop;
    int ran = 0;
    std::thread other([&] {
        for (int i = 0; i < 1000; ++i) {
            loop.post([&] { ++ran; });
        }
        loop.post([&] { loop.stop(); });
    });
    loop.run();
    other.join();

    CHECK(ran == 1000);
}

TEST_CASE("event loop: an exception of a task leaves run, and the loop can be run on") {
    EventLoop loop;
    bool ran = false;
    loop.post([] { throw std::runtime_error("bug"); });
    loop.call_after(5ms, [&] {
        ran = true;
        loop.stop();
    });

    CHECK_THROWS_WITH(loop.run(), "bug");
    loop.post([] {});
    loop.run();

    CHECK(ran);
}

TEST_CASE("event loop: tasks for the end of time never run and do no harm") {
    EventLoop loop;
    bool ran = false;
    loop.call_at(Instant::max(), [&] { ran = true; });
    loop.call_after(5ms, [&] { loop.stop(); });
    loop.run();

    CHECK_FALSE(ran);
}

TEST_CASE("worker: runs jobs one after another away from the loop") {
    EventLoop loop;
    TaskScope scope(loop);
    const auto worker = ThreadWorkerFactory().make_worker("a name longer than the kernel allows");
    std::string order;
    std::thread::id job_thread;
    for (const char c : std::string("abc")) {
        run_on(
            *worker, scope,
            [c, &job_thread] {
                job_thread = std::this_thread::get_id();
                return c;
            },
            [&](Outcome<char> outcome) {
                order += std::get<char>(outcome);
                if (order.size() == 3) {
                    loop.stop();
                }
            });
    }
    loop.run();

    CHECK(order == "abc");
    CHECK(job_thread != std::this_thread::get_id());
}

TEST_CASE("worker: jobs that did not begin are dropped at the end") {
    std::atomic<int> ran{0};
    std::promise<void> release;
    std::promise<void> begun;
    auto worker = ThreadWorkerFactory().make_worker("test");
    worker->run([&] {
        begun.set_value();
        release.get_future().wait();
        ++ran;
    });
    worker->run([&] { ran += 100; });
    begun.get_future().wait();
    std::thread releaser([&] {
        std::this_thread::sleep_for(20ms);
        release.set_value();
    });
    worker.reset();
    releaser.join();

    CHECK(ran == 1);
}

TEST_CASE("worker: one that hangs in a device's call is left behind after a short grace") {
    const int before = ThreadWorkerFactory::abandoned_workers();
    // Shared with the thread, which outlives this test's locals.
    const auto release = std::make_shared<std::promise<void>>();
    const auto ended = std::make_shared<std::atomic<bool>>(false);
    auto worker = ThreadWorkerFactory().make_worker("stuck");
    std::promise<void> begun;
    worker->run([&begun, release, ended] {
        begun.set_value();
        release->get_future().wait();
        *ended = true;
    });
    begun.get_future().wait();
    const auto begin = std::chrono::steady_clock::now();
    worker.reset();

    CHECK(std::chrono::steady_clock::now() - begin < 800ms);
    CHECK(ThreadWorkerFactory::abandoned_workers() == before + 1);
    release->set_value();
    CHECK(support::eventually([&] { return ended->load(); }));
}
