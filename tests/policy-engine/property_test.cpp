#include <algorithm>
#include <numeric>
#include <random>

#include <doctest/doctest.h>

#include "policy-engine/decide.hpp"
#include "policy-engine/simulation/day.hpp"

using namespace policy_engine;
using namespace std::chrono_literals;

namespace {

constexpr double volts = 230;

/// The core with any number of simulated cars behind a meter that is late; one step is one second.
class Home {
public:
    explicit Home(std::size_t chargers, int phases = 1) : phases_(phases) {
        config.site.phases = phases;
        inputs.site = Site{};
        for (std::size_t i = 0; i < chargers; ++i) {
            inputs.chargers.push_back({.id = "c" + std::to_string(1000 + i), .plugged = true, .phases = phases});
        }
        cars_.assign(chargers, simulation::EndlessCar(6));
        drawn_a.resize(chargers);
        history_w_.assign(32, 0);
    }

    void step(double surplus_w) {
        inputs.now += 1s;
        inputs.wall += 1s;
        for (std::size_t i = 0; i < cars_.size(); ++i) {
            const double offered_a = last.chargers.empty() ? 0 : last.chargers[i].target_a;
            drawn_a[i] = cars_[i].step(offered_a);
            inputs.chargers[i].drawn_a = drawn_a[i];
            inputs.chargers[i].received_at = inputs.now;
        }
        const double total_a = std::accumulate(drawn_a.begin(), drawn_a.end(), 0.0);
        std::rotate(history_w_.begin(), history_w_.end() - 1, history_w_.end());
        history_w_.front() = total_a * volts * phases_ - surplus_w;
        inputs.site->grid_w = history_w_.at(static_cast<std::size_t>(delay_s));
        inputs.site->measured_at = meter_tells ? inputs.now - std::chrono::seconds(delay_s) : inputs.now;
        Memory memory = std::move(last.memory);
        last = decide(config, settings, inputs, std::move(memory));
        for (std::size_t i = 0; i < cars_.size(); ++i) {
            changes += targets_.size() == cars_.size() && targets_[i] != last.chargers[i].target_a ? 1 : 0;
        }
        targets_.clear();
        for (const auto& charger : last.chargers) {
            targets_.push_back(charger.target_a);
        }
    }

    void run(double surplus_w, int seconds) {
        for (int i = 0; i < seconds; ++i) {
            step(surplus_w);
        }
    }

    double target(std::size_t index = 0) const { return targets_.at(index); }
    const std::vector<double>& targets() const { return targets_; }
    double sum() const { return std::accumulate(targets_.begin(), targets_.end(), 0.0); }

    Config config;
    Settings settings;
    Inputs inputs;
    Decision last;
    std::vector<double> drawn_a;
    int delay_s = 1;          ///< How old the grid power is.
    bool meter_tells = true;  ///< Its sample says so; otherwise the configuration must.
    int changes = 0;

private:
    int phases_;
    std::vector<simulation::EndlessCar> cars_;
    std::vector<double> history_w_;
    std::vector<double> targets_;
};

double between(std::mt19937& random, double low, double high) {
    return low + (high - low) * static_cast<double>(random()) / 4294967295.0;
}

}  // namespace

TEST_CASE("property: under constant input nothing oscillates, however late the meter is") {
    constexpr unsigned seed = 4711;
    CAPTURE(seed);
    std::mt19937 random(seed);
    for (int delay_s = 0; delay_s <= 10; ++delay_s) {
        for (int trial = 0; trial < 12; ++trial) {
            const double surplus_w = between(random, -1000, 14000);
            const int phases = trial % 2 == 0 ? 1 : 3;
            Home home(trial % 3 == 0 ? 2 : 1, phases);
            home.delay_s = delay_s;
            home.meter_tells = trial % 4 < 2;
            if (!home.meter_tells) {
                home.config.site.meter_delay = std::chrono::seconds(delay_s);
            }
            home.run(surplus_w, 900);
            home.changes = 0;
            home.run(surplus_w, 1500);
            CAPTURE(delay_s);
            CAPTURE(surplus_w);
            CAPTURE(phases);
            CAPTURE(home.meter_tells);
            CHECK(home.changes <= 2);
        }
    }
}

TEST_CASE("property: a step of the sun is followed in a bounded number of changes") {
    constexpr unsigned seed = 4712;
    CAPTURE(seed);
    std::mt19937 random(seed);
    for (int trial = 0; trial < 40; ++trial) {
        Home home(1);
        home.delay_s = trial % 11;
        const double before_w = between(random, 1600, 7000);
        const double after_w = between(random, 1600, 7000);
        home.run(before_w, 600);
        home.changes = 0;
        home.run(after_w, 300);
        CAPTURE(home.delay_s);
        CAPTURE(before_w);
        CAPTURE(after_w);
        // One or two steps, and at most one ampere a second while a car follows.
        CHECK(home.changes <= 3 + std::abs(after_w - before_w) / volts);
        CHECK(home.target() == doctest::Approx(after_w / volts).epsilon(1 / (after_w / volts)));
    }
}

TEST_CASE("property: more surplus never gives less, for any number of chargers and phases") {
    constexpr unsigned seed = 4713;
    CAPTURE(seed);
    std::mt19937 random(seed);
    for (int trial = 0; trial < 6; ++trial) {
        const auto chargers = static_cast<std::size_t>(1 + trial % 3);
        const int phases = trial < 3 ? 1 : 3;
        const double weight = between(random, 0.3, 4);
        double before_a = 0;
        // Steps larger than the hysteresis of rounding.
        const double ampere_w = volts * phases;
        for (double surplus_w = 0; surplus_w < 16000; surplus_w += between(random, 0.3, 1.5) * ampere_w) {
            Home home(chargers, phases);
            home.settings.grid_weight = weight;
            home.run(surplus_w, 400);
            CAPTURE(chargers);
            CAPTURE(phases);
            CAPTURE(weight);
            CAPTURE(surplus_w);
            CHECK(home.sum() >= before_a);
            before_a = home.sum();
        }
        CHECK(before_a > 0);
    }
}

TEST_CASE("property: an override never beats a limit, whatever is ordered under whatever limits") {
    constexpr unsigned seed = 4714;
    CAPTURE(seed);
    std::mt19937 random(seed);
    for (int trial = 0; trial < 300; ++trial) {
        Home home(1 + random() % 3);
        const double wiring_a = between(random, 5, 60);
        const double charger_a = between(random, 5, 40);
        const double user_a = between(random, 5, 40);
        home.config.site.wiring_max_a = wiring_a;
        home.settings.max_a = user_a;
        for (auto& charger : home.inputs.chargers) {
            charger.max_a = charger_a;
            if (random() % 2 == 0) {
                home.settings.chargers.push_back(
                    {.id = charger.id, .override_order = Override{.amps = between(random, 0, 80), .source = ""}});
            }
        }
        home.settings.override_order = Override{.source = ""};
        if (random() % 2 == 0) {
            home.settings.override_order->amps = between(random, 0, 80);
        }
        for (int second = 0; second < 30; ++second) {
            home.step(between(random, -3000, 9000));
            CAPTURE(trial);
            CHECK(home.sum() <= wiring_a + 1e-9);
            CHECK(*std::ranges::max_element(home.targets()) <= std::min(charger_a, user_a) + 1e-9);
        }
    }
}

TEST_CASE("property: which of equal chargers stands first changes nothing but whose turn it is") {
    constexpr unsigned seed = 4715;
    CAPTURE(seed);
    std::mt19937 random(seed);
    for (int trial = 0; trial < 20; ++trial) {
        constexpr std::size_t chargers = 3;
        Home home(chargers);
        Home permuted(chargers);
        // One of them has no car.
        std::array<std::size_t, chargers> place{0, 1, 2};
        std::shuffle(place.begin(), place.end(), random);
        for (std::size_t i = 0; i < chargers; ++i) {
            home.inputs.chargers[i].plugged = i > 0;
            permuted.inputs.chargers[place.at(i)].plugged = i > 0;
        }
        for (int spell = 0; spell < 4; ++spell) {
            const double surplus_w = between(random, -500, 9000);
            home.run(surplus_w, 300);
            permuted.run(surplus_w, 300);
            auto one = home.targets();
            auto other = permuted.targets();
            std::ranges::sort(one);
            std::ranges::sort(other);
            CAPTURE(trial);
            CAPTURE(surplus_w);
            CHECK(one == other);
        }
    }
}
