#include "scheduling/scheduler.hpp"

#include <cassert>
#include <utility>

namespace scheduling {

namespace {

// Re-arms itself with a copy that shares the task, until the owning scope is gone.
struct Periodic {
    Scheduler& loop;
    std::weak_ptr<const bool> alive;
    Duration period;
    Instant due;
    std::shared_ptr<const Scheduler::Task> task;

    void operator()() {
        if (alive.expired()) {
            return;
        }
        (*task)();
        const Instant now = loop.now();
        due = due + period > now ? due + period : now + period;
        loop.call_at(due, *this);
    }
};

}  // namespace

Scheduler::Task TaskScope::guarded(Scheduler::Task task) const {
    return [alive = std::weak_ptr(alive_), task = std::move(task)] {
        if (alive.lock()) {
            task();
        }
    };
}

void TaskScope::call_every(Duration period, Scheduler::Task task) {
    assert(period > Duration::zero());
    const Instant due = loop_.now() + period;
    auto shared_task = std::make_shared<const Scheduler::Task>(std::move(task));
    loop_.call_at(due, Periodic{loop_, alive_, period, due, std::move(shared_task)});
}

// A timer that is moved a thousand times a minute must not leave a thousand dead tasks in the queue: a wake-up that
// comes before the alarm is due asks for the next.
void Timer::set(Instant when, Scheduler::Task task) {
    task_ = std::move(task);
    due_ = when;
    if (!wake_up_ || when < *wake_up_) {
        wake_up_at(when);
    }
}

void Timer::cancel() { task_ = nullptr; }

void Timer::wake_up_at(Instant when) {
    wake_up_ = when;
    scope_.call_at(when, [this, when] { wake(when); });
}

void Timer::wake(Instant when) {
    if (wake_up_ != when) {
        return;
    }
    wake_up_.reset();
    if (task_ == nullptr) {
        return;
    }
    if (due_ > when) {
        wake_up_at(due_);
        return;
    }
    // Moved out first: the task may set the timer again, or destroy it.
    const auto task = std::exchange(task_, nullptr);
    task();
}

}  // namespace scheduling
