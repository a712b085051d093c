#include "scheduling/simulated_loop.hpp"

#include <algorithm>

namespace scheduling {

void SimulatedLoop::run_until(Instant end) {
    while (!tasks_.empty() && tasks_.begin()->first <= end) {
        auto entry = tasks_.extract(tasks_.begin());
        now_ = std::max(now_, entry.key());
        entry.mapped()();
    }
    now_ = std::max(now_, end);
}

namespace {

class SimulatedWorker final : public Worker {
public:
    explicit SimulatedWorker(Scheduler& loop) : scope_(loop) {}
    void run(Job job) override { scope_.post(std::move(job)); }

private:
    TaskScope scope_;
};

}  // namespace

std::unique_ptr<Worker> SimulatedWorkerFactory::make_worker(const std::string& /*name*/) {
    return std::make_unique<SimulatedWorker>(loop_);
}

}  // namespace scheduling
