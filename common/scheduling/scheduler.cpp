#include "scheduling/scheduler.hpp"

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
    const Instant due = loop_.now() + period;
    auto shared_task = std::make_shared<const Scheduler::Task>(std::move(task));
    loop_.call_at(due, Periodic{loop_, alive_, period, due, std::move(shared_task)});
}

void Timer::set(Instant when, Scheduler::Task task) {
    const auto generation = ++generation_;
    pending_ = true;
    scope_.call_at(when, [this, generation, task = std::move(task)] {
        if (generation == generation_ && pending_) {
            pending_ = false;
            task();
        }
    });
}

void Timer::cancel() {
    ++generation_;
    pending_ = false;
}

}  // namespace scheduling
