#include "ems-bridge/fetcher.hpp"

#include <algorithm>
#include <string_view>

namespace ems_bridge {

namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;

// FNV-1a: the same on every machine, unlike std::hash.
std::uint64_t hash_of(std::string_view text) {
    std::uint64_t hash = 0xCBF29CE484222325;
    for (const char c : text) {
        hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3;
    }
    return hash;
}

milliseconds longer_by(milliseconds pause, double part) {
    return pause + std::chrono::duration_cast<milliseconds>(part * pause);
}

}  // namespace

double spread(std::uint64_t seed) {
    constexpr std::uint64_t golden_ratio = 0x9E3779B97F4A7C15;
    constexpr unsigned kept_bits = 53;  // of a double
    std::uint64_t mixed = seed * golden_ratio + golden_ratio;
    mixed = (mixed ^ (mixed >> 30U)) * 0xBF58476D1CE4E5B9;
    mixed = (mixed ^ (mixed >> 27U)) * 0x94D049BB133111EB;
    mixed ^= mixed >> 31U;
    return static_cast<double>(mixed >> (64U - kept_bits)) / static_cast<double>(1ULL << kept_bits);
}

milliseconds pause_after_failures(int failures, double chance) {
    constexpr milliseconds longest = 1h;
    constexpr double largest_addition = 0.5;
    milliseconds pause = 30s;
    for (int i = 1; i < failures && pause < longest; ++i) {
        pause *= 2;
    }
    return longer_by(std::min(pause, longest), largest_addition * chance);
}

Fetcher::Deliver Fetcher::Session::fetch(scheduling::WallTime now) {
    try {
        if (!client) {
            client = clients.make_client(trust);
        }
        return job(*client, now);
    } catch (...) {
        client.reset();  // no half-broken connection survives
        throw;
    }
}

// The start of the program is different on every site, and in a simulation always the same.
Fetcher::Fetcher(scheduling::Scheduler& loop, scheduling::WorkerFactory& workers, const std::string& name,
                 http::HttpClientFactory& clients, http::TlsTrust trust, Job job, OnFailure on_failure)
    : loop_(loop),
      session_(std::make_shared<Session>(Session{clients, std::move(trust), std::move(job), nullptr})),
      on_failure_(std::move(on_failure)),
      seed_(hash_of(name) ^ static_cast<std::uint64_t>(loop.wall_now().time_since_epoch().count())),
      worker_(workers.make_worker(name)),
      scope_(loop),
      next_(loop) {
    next_.set_after(0s, [this] { ask(); });
}

void Fetcher::ask() {
    ++counts_.fetches;
    scheduling::run_on(
        *worker_, scope_, [session = session_, now = loop_.wall_now()] { return session->fetch(now); },
        [this](const scheduling::Outcome<Deliver>& outcome) { on_outcome(outcome); });
}

void Fetcher::on_outcome(const scheduling::Outcome<Deliver>& outcome) {
    if (const auto* const deliver = std::get_if<Deliver>(&outcome)) {
        constexpr double largest_addition = 0.1;
        failures_ = 0;
        const auto pause = (*deliver)();
        next_.set_after(longer_by(pause, largest_addition * next_chance()), [this] { ask(); });
        return;
    }
    const auto [kind, what, not_before] = describe(std::get<std::exception_ptr>(outcome));
    ++failures_;
    ++counts_.errors[name_of(kind)];
    const auto pause = pause_after_failures(failures_, next_chance());
    // At the very second a limit ends, everybody else asks again too.
    const auto forbidden = not_before.value_or(0ms) + (pause - pause_after_failures(failures_, 0));
    next_.set_after(std::max(pause, forbidden), [this] { ask(); });
    on_failure_(kind, what);
}

}  // namespace ems_bridge
