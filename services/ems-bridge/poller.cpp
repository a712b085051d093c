#include "ems-bridge/poller.hpp"

#include <algorithm>

namespace ems_bridge {

std::chrono::milliseconds pause_after(int failures, const Cadence& cadence) {
    const auto longest = std::max(cadence.longest_pause, cadence.interval);
    auto pause = cadence.interval;
    for (int i = 1; i < failures && pause < longest; ++i) {
        pause *= 2;
    }
    return std::min(pause, longest);
}

Reading Poller::Session::read() {
    try {
        if (!source) {
            source = make(io);
        }
        return source->read();
    } catch (...) {
        source.reset();
        throw;
    }
}

Poller::Poller(scheduling::Scheduler& loop, scheduling::WorkerFactory& workers, const std::string& name,
               MakeSource make, Io& io, Cadence cadence, Listener listener)
    : loop_(loop),
      cadence_(cadence),
      listener_(std::move(listener)),
      session_(std::make_shared<Session>(Session{std::move(make), io, nullptr})),
      worker_(workers.make_worker(name)),
      scope_(loop),
      next_(loop) {
    schedule_next(loop_.now());
}

void Poller::schedule_next(scheduling::Instant when) {
    next_.set(when, [this] { poll(); });
}

void Poller::poll() {
    asked_at_ = loop_.now();
    ++counts_.polls;
    scheduling::run_on(
        *worker_, scope_, [session = session_] { return session->read(); },
        [this](scheduling::Outcome<Reading> outcome) { on_outcome(std::move(outcome)); });
}

void Poller::on_outcome(scheduling::Outcome<Reading> outcome) {
    const auto asked_at = *asked_at_;
    asked_at_.reset();
    const auto now = loop_.now();
    if (const auto* const reading = std::get_if<Reading>(&outcome)) {
        failures_ = 0;
        counts_.latency_ms = std::chrono::duration<double, std::milli>(now - asked_at).count();
        schedule_next(std::max(now, asked_at + cadence_.interval));
        listener_.on_reading(*reading, asked_at);
        return;
    }
    const auto [kind, what, not_before] = describe(std::get<std::exception_ptr>(outcome));
    on_error(kind, what, not_before);
}

void Poller::on_error(ErrorKind kind, const std::string& what, std::optional<std::chrono::milliseconds> not_before) {
    ++failures_;
    ++counts_.errors[name_of(kind)];
    const auto pause = std::max(pause_after(failures_, cadence_), not_before.value_or(std::chrono::milliseconds(0)));
    schedule_next(loop_.now() + pause);
    listener_.on_failure(kind, what);
}

}  // namespace ems_bridge
