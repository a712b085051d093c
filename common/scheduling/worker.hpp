#pragma once

#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>

#include "scheduling/scheduler.hpp"

namespace scheduling {

/// Runs blocking jobs one after another, away from the loop. A job reaches the loop only by posting to it.
class Worker {
public:
    using Job = std::function<void()>;

    Worker() = default;
    Worker(const Worker&) = delete;
    Worker& operator=(const Worker&) = delete;
    virtual ~Worker() = default;

    /// Queues the job and returns at once. Jobs must not throw; use `run_on` for jobs that may.
    virtual void run(Job job) = 0;
};

/// Makes workers: threads in a process, tasks of the simulated loop in a simulation.
class WorkerFactory {
public:
    WorkerFactory() = default;
    WorkerFactory(const WorkerFactory&) = delete;
    WorkerFactory& operator=(const WorkerFactory&) = delete;
    virtual ~WorkerFactory() = default;

    /// `name` shows in debuggers and logs.
    virtual std::unique_ptr<Worker> make_worker(const std::string& name) = 0;
};

/// What a job gave: its result, or the exception it threw.
template <class Result>
using Outcome = std::variant<Result, std::exception_ptr>;

/// Runs `job` on the worker and hands its outcome to `on_done` on the loop, unless `scope` has ended by then.
template <class Job, class OnDone>
void run_on(Worker& worker, TaskScope& scope, Job job, OnDone on_done) {
    using Result = std::invoke_result_t<Job>;
    using Shared = std::shared_ptr<Outcome<Result>>;
    auto outcome = std::make_shared<Outcome<Result>>(std::exception_ptr{});
    // The callback is wrapped here, on the loop's thread: the worker only ever holds the guarded form.
    auto deliver = scope.guarded([outcome, on_done = std::move(on_done)] { on_done(std::move(*outcome)); });
    worker.run([&loop = scope.loop(), outcome = Shared(outcome), job = std::move(job), deliver = std::move(deliver)] {
        try {
            *outcome = job();
        } catch (...) {
            *outcome = std::current_exception();
        }
        loop.post(deliver);
    });
}

}  // namespace scheduling
