#include "scheduling/event_loop.hpp"

#include <atomic>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <pthread.h>

#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <asio/post.hpp>
#include <asio/steady_timer.hpp>

namespace scheduling {

// One asio timer serves the whole queue, so that tasks due at one instant keep their order.
struct EventLoop::Impl {
    asio::io_context context{1};
    asio::executor_work_guard<asio::io_context::executor_type> keep_running = asio::make_work_guard(context);
    asio::steady_timer timer{context};
    std::multimap<Instant, Task> tasks;  // loop thread only
    Instant armed_for = Instant::max();

    void add(Instant when, Task task) {
        tasks.emplace(when, std::move(task));
        if (when < armed_for) {
            arm(when);
        }
    }

    void arm(Instant when) {
        armed_for = when;
        timer.expires_at(when);
        timer.async_wait([this](const asio::error_code& error) {
            if (!error) {
                run_due();
            }
        });
    }

    // Only what was due at the start: a task that posts again must not starve the sockets.
    void run_due() {
        armed_for = Instant::max();
        const Instant until = std::chrono::steady_clock::now();
        while (!tasks.empty() && tasks.begin()->first <= until) {
            auto entry = tasks.extract(tasks.begin());
            entry.mapped()();
        }
        if (!tasks.empty() && tasks.begin()->first < armed_for) {
            arm(tasks.begin()->first);
        }
    }
};

EventLoop::EventLoop() : impl_(std::make_unique<Impl>()) {}
EventLoop::~EventLoop() = default;

void EventLoop::call_at(Instant when, Task task) {
    asio::post(impl_->context,
               [impl = impl_.get(), when, task = std::move(task)]() mutable { impl->add(when, std::move(task)); });
}

void EventLoop::run() { impl_->context.run(); }
void EventLoop::stop() { impl_->context.stop(); }
asio::io_context& EventLoop::io() { return impl_->context; }

namespace {

using namespace std::chrono_literals;

constexpr auto grace_for_blocking_call = 300ms;
std::atomic<int> abandoned{0};

// Shared by the thread and its owner, because either may outlive the other.
struct WorkerState {
    std::mutex mutex;
    std::condition_variable changed;
    std::deque<Worker::Job> jobs;
    bool stopping = false;
    bool finished = false;
};

void run_jobs(const std::shared_ptr<WorkerState>& state) {
    std::unique_lock lock(state->mutex);
    while (true) {
        state->changed.wait(lock, [&] { return state->stopping || !state->jobs.empty(); });
        if (state->stopping) {
            break;
        }
        Worker::Job job = std::move(state->jobs.front());
        state->jobs.pop_front();
        lock.unlock();
        job();
        job = nullptr;
        lock.lock();
    }
    state->finished = true;
    state->changed.notify_all();
}

class ThreadWorker final : public Worker {
public:
    explicit ThreadWorker(const std::string& name) : thread_(run_jobs, state_) {
        pthread_setname_np(thread_.native_handle(), name.substr(0, 15).c_str());
    }

    ThreadWorker(const ThreadWorker&) = delete;
    ThreadWorker& operator=(const ThreadWorker&) = delete;

    ~ThreadWorker() override {
        std::unique_lock lock(state_->mutex);
        state_->stopping = true;
        state_->jobs.clear();
        state_->changed.notify_all();
        const bool ended = state_->changed.wait_for(lock, grace_for_blocking_call, [&] { return state_->finished; });
        lock.unlock();
        if (ended) {
            thread_.join();
        } else {
            abandoned.fetch_add(1);
            thread_.detach();
        }
    }

    void run(Job job) override {
        const std::scoped_lock lock(state_->mutex);
        state_->jobs.push_back(std::move(job));
        state_->changed.notify_all();
    }

private:
    std::shared_ptr<WorkerState> state_ = std::make_shared<WorkerState>();
    std::thread thread_;
};

}  // namespace

std::unique_ptr<Worker> ThreadWorkerFactory::make_worker(const std::string& name) {
    return std::make_unique<ThreadWorker>(name);
}

int ThreadWorkerFactory::abandoned_workers() { return abandoned.load(); }

}  // namespace scheduling
