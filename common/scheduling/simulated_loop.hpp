#pragma once

#include <map>

#include "scheduling/scheduler.hpp"
#include "scheduling/worker.hpp"

namespace scheduling {

/// The loop in virtual time: a day takes a second and always runs the same tasks in the same order.
class SimulatedLoop final : public Scheduler {
public:
    explicit SimulatedLoop(WallTime start = {}) : start_(start) {}

    Instant now() const override { return now_; }
    WallTime wall_now() const override {
        return start_ + std::chrono::duration_cast<WallTime::duration>(now_.time_since_epoch()) + wall_offset_;
    }
    void call_at(Instant when, Task task) override { tasks_.emplace(when < now_ ? now_ : when, std::move(task)); }

    void run_for(Duration duration) { run_until(now_ + duration); }
    void run_until(Instant end);
    /// Makes the civil clock jump, as NTP or a dead RTC battery does.
    void jump_wall_clock(std::chrono::seconds offset) { wall_offset_ += offset; }

private:
    WallTime start_;
    Instant now_{};
    std::chrono::seconds wall_offset_{0};
    std::multimap<Instant, Task> tasks_;
};

/// Runs each job as a task of the loop, so that blocking code takes part in a deterministic simulation.
class SimulatedWorkerFactory final : public WorkerFactory {
public:
    explicit SimulatedWorkerFactory(Scheduler& loop) : loop_(loop) {}
    std::unique_ptr<Worker> make_worker(const std::string& name) override;

private:
    Scheduler& loop_;
};

}  // namespace scheduling
