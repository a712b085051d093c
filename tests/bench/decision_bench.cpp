#include "decision_bench.hpp"

#include <atomic>
#include <cstdlib>
#include <ctime>
#include <iostream>
#include <new>

#include <fmt/format.h>

#include "policy-engine/decide.hpp"

namespace {

std::atomic<long> allocations{0};

}  // namespace

void* operator new(std::size_t size) {
    allocations.fetch_add(1, std::memory_order_relaxed);
    if (void* const memory = std::malloc(size)) {  // NOLINT(cppcoreguidelines-no-malloc): what it is made of
        return memory;
    }
    throw std::bad_alloc();
}

void operator delete(void* memory) noexcept { std::free(memory); }  // NOLINT(cppcoreguidelines-no-malloc)
void operator delete(void* memory, std::size_t /*size*/) noexcept { std::free(memory); }  // NOLINT

namespace study {

namespace {

using namespace policy_engine;

/// Chargers that all draw what they are offered, under a sun that moves; each second is one decision. Each charger and
/// its car have an entry in the configuration and one in the settings, and the bus tells which car it is.
class Site {
public:
    explicit Site(std::size_t chargers) {
        inputs_.site = policy_engine::Site{};
        for (std::size_t i = 0; i < chargers; ++i) {
            const auto id = fmt::format("{:04}", i);
            const auto vin = "5YJ3E7EA0KF00" + id;
            inputs_.chargers.push_back({.id = id, .plugged = true, .drawn_a = 0, .max_a = 32, .phases = 1, .vin = vin});
            inputs_.vehicles.push_back({.alias = id, .can_command = true, .vin = vin, .plugged = true});
            config_.chargers.push_back({.id = id, .phases = 1});
            config_.vehicles.push_back({.alias = id, .vin = vin});
            settings_.chargers.push_back({.id = id, .max_a = 30});
            settings_.vehicles.push_back({.alias = id, .max_a = 30});
        }
    }

    /// Between 8 and 24 A for everyone.
    void second() {
        ++t_;
        const double share_w = 230 * (16 + 8 * ((t_ / 10) % 2 == 0 ? 1 : -1));
        inputs_.now += std::chrono::seconds(1);
        double total_a = 0;
        for (std::size_t i = 0; i < inputs_.chargers.size(); ++i) {
            auto& charger = inputs_.chargers[i];
            charger.drawn_a = decision_.chargers.empty() ? 0 : decision_.chargers[i].target_a;
            charger.received_at = inputs_.now;
            total_a += *charger.drawn_a;
        }
        inputs_.site->measured_at = inputs_.now;
        inputs_.site->grid_w = 230 * total_a - share_w * static_cast<double>(inputs_.chargers.size());
    }

    void decide_now() {
        Memory memory = std::move(decision_.memory);
        decision_ = decide(config_, settings_, inputs_, std::move(memory));
    }

private:
    Config config_;
    Settings settings_;
    Inputs inputs_;
    Decision decision_;
    int t_ = 0;
};

void measure(std::size_t chargers) {
    Site site(chargers);
    for (int i = 0; i < 120; ++i) {
        site.second();
        site.decide_now();
    }
    const auto decisions = static_cast<int>(std::max<std::size_t>(60, 60000 / chargers));
    std::clock_t spent = 0;
    std::clock_t longest = 0;
    long allocated = 0;
    for (int i = 0; i < decisions; ++i) {
        site.second();
        const long before = allocations;
        const std::clock_t begun = std::clock();
        site.decide_now();
        const std::clock_t took = std::clock() - begun;
        spent += took;
        longest = std::max(longest, took);
        allocated += allocations - before;
    }
    constexpr double us_per_clock = 1e6 / CLOCKS_PER_SEC;
    const double mean_us = us_per_clock * static_cast<double>(spent) / decisions;
    std::cout << fmt::format("{:>8} {:>12.2f} {:>14.3f} {:>12.0f} {:>14.1f}\n", chargers, mean_us,
                             mean_us / static_cast<double>(chargers), us_per_clock * static_cast<double>(longest),
                             static_cast<double>(allocated) / decisions);
}

}  // namespace

void run_decision_bench() {
    std::cout << "chargers  us/decision  us per charger   longest us    allocations\n";
    for (const std::size_t chargers : {1U, 10U, 100U, 1000U}) {
        measure(chargers);
    }
}

}  // namespace study
