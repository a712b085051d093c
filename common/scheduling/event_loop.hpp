#pragma once

#include <memory>
#include <thread>

#include "scheduling/scheduler.hpp"
#include "scheduling/worker.hpp"

namespace asio {
class io_context;
}

namespace scheduling {

/// The real loop of a process: asio timers and sockets on one thread.
class EventLoop final : public Scheduler {
public:
    EventLoop();
    EventLoop(const EventLoop&) = delete;
    EventLoop& operator=(const EventLoop&) = delete;
    ~EventLoop() override;

    Instant now() const override { return std::chrono::steady_clock::now(); }
    WallTime wall_now() const override { return std::chrono::system_clock::now(); }
    void call_at(Instant when, Task task) override;

    /// Runs tasks until `stop`. An exception that leaves a task leaves `run`.
    void run();
    /// Thread-safe.
    void stop();

    /// For serial ports and sockets that live on this loop.
    asio::io_context& io();

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

/// Threads. A worker that is still inside a blocking call when destroyed is left behind after a short grace:
/// a dead device must not hold up the end of the process (see `abandoned_workers`).
class ThreadWorkerFactory final : public WorkerFactory {
public:
    std::unique_ptr<Worker> make_worker(const std::string& name) override;

    /// How many threads were left behind. The process must then end without running destructors of what they use.
    static int abandoned_workers();
};

}  // namespace scheduling
