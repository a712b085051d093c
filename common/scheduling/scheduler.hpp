#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

namespace scheduling {

/// Monotonic time: what every decision about age, delay and lease uses.
using Instant = std::chrono::steady_clock::time_point;
using Duration = std::chrono::steady_clock::duration;
/// Civil time: only for schedules, time stamps people read, and files. May jump.
using WallTime = std::chrono::system_clock::time_point;

/// Runs tasks one at a time, in time order, on the one thread that owns a service's state.
/// Tasks due at the same instant run in the order they were given. A task must not block.
class Scheduler {
public:
    using Task = std::function<void()>;

    Scheduler() = default;
    Scheduler(const Scheduler&) = delete;
    Scheduler& operator=(const Scheduler&) = delete;
    virtual ~Scheduler() = default;

    virtual Instant now() const = 0;
    virtual WallTime wall_now() const = 0;

    /// Thread-safe: the only way another thread may reach a service's state.
    virtual void call_at(Instant when, Task task) = 0;

    void post(Task task) { call_at(now(), std::move(task)); }
    void call_after(Duration delay, Task task) { call_at(now() + delay, std::move(task)); }
};

/// Ties tasks to the life of their owner: once the scope is destroyed, its pending tasks do nothing.
/// Construct and destroy it on the loop's thread; `guarded` and `post` may be called from any thread while it lives.
class TaskScope {
public:
    explicit TaskScope(Scheduler& loop) : loop_(loop) {}
    // A copy would keep the tasks of an owner alive that is gone.
    TaskScope(const TaskScope&) = delete;
    TaskScope& operator=(const TaskScope&) = delete;
    ~TaskScope() = default;

    void post(Scheduler::Task task) { loop_.post(guarded(std::move(task))); }
    void call_at(Instant when, Scheduler::Task task) { loop_.call_at(when, guarded(std::move(task))); }
    void call_after(Duration delay, Scheduler::Task task) { loop_.call_after(delay, guarded(std::move(task))); }
    /// First after one period (more than 0), then at a fixed rate; periods that were missed are skipped, not caught up.
    void call_every(Duration period, Scheduler::Task task);

    /// The task, made harmless once this scope is gone.
    Scheduler::Task guarded(Scheduler::Task task) const;

    /// Expires with this scope: for callbacks that take arguments.
    std::weak_ptr<const bool> alive() const { return alive_; }

    Scheduler& loop() const { return loop_; }

private:
    Scheduler& loop_;
    std::shared_ptr<const bool> alive_ = std::make_shared<const bool>(true);
};

/// A one-shot alarm that can be moved or cancelled. Loop thread only.
class Timer {
public:
    explicit Timer(Scheduler& loop) : scope_(loop) {}

    /// Replaces whatever was set before. Cheap to move about: at most one wake-up is queued for a later time.
    void set(Instant when, Scheduler::Task task);
    void set_after(Duration delay, Scheduler::Task task) { set(scope_.loop().now() + delay, std::move(task)); }
    void cancel();
    bool pending() const { return task_ != nullptr; }

private:
    void wake_up_at(Instant when);
    void wake(Instant when);

    TaskScope scope_;
    Scheduler::Task task_;
    Instant due_{};
    std::optional<Instant> wake_up_;  ///< The earliest one queued; later ones are left-overs.
};

}  // namespace scheduling
