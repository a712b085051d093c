#pragma once

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "policy-engine/decide.hpp"

/// A single-phase house of 230 V with chargers whose cars follow their offers; one step is one second.
struct SteppedSite {
    explicit SteppedSite(const std::vector<std::string>& ids = {"7744"}) {
        using namespace std::chrono_literals;
        inputs.site = policy_engine::Site{};
        inputs.wall = std::chrono::sys_days(std::chrono::year(2026) / 6 / 1) + 12h;
        for (const auto& id : ids) {
            inputs.chargers.push_back({.id = id, .plugged = true, .drawn_a = 0, .phases = 1});
        }
    }

    /// One second with so much sun beyond the house, or so much load beyond the sun.
    const policy_engine::Decision& step(double surplus_w) {
        inputs.now += std::chrono::seconds(1);
        inputs.wall += std::chrono::seconds(1);
        double total_w = 0;
        for (std::size_t i = 0; i < inputs.chargers.size(); ++i) {
            auto& charger = inputs.chargers[i];
            const double offer_a = last.chargers.empty() ? 0 : last.chargers[i].target_a;
            const double limit_a = std::min(offer_a, i < car_limit_a.size() ? car_limit_a[i] : 80.0);
            const double drawn_a = charger.drawn_a.value_or(0);
            const bool takes = charger.plugged.value_or(true) && offer_a >= 5;
            charger.drawn_a = takes ? std::clamp(limit_a, drawn_a - 3, drawn_a + 1) : std::max(0.0, drawn_a - 3);
            charger.received_at = inputs.now;
            total_w += *charger.drawn_a * charger.phases.value_or(1) * 230;
        }
        if (meter_alive) {
            inputs.site->measured_at = inputs.now;
            inputs.site->grid_w = total_w - surplus_w - inputs.site->battery_w.value_or(0);
            if (!meters_grid) {
                inputs.site->grid_w.reset();
            }
        }
        if (before_decision) {
            before_decision();
        }
        last = decide(config, settings, inputs, std::move(last.memory));
        return last;
    }

    const policy_engine::Decision& run(double surplus_w, int seconds) {
        for (int i = 0; i < seconds; ++i) {
            step(surplus_w);
            starts += !was_drawing_ && drawn() >= 1 ? 1 : 0;
            was_drawing_ = drawn() >= 1;
        }
        return last;
    }

    const std::vector<policy_engine::PlanProgress>& plans() const { return last.memory.chargers.front().plans; }
    double target(std::size_t index = 0) const { return last.chargers[index].target_a; }
    double drawn(std::size_t index = 0) const { return inputs.chargers[index].drawn_a.value_or(0); }
    policy_engine::Reason reason(std::size_t index = 0) const { return last.chargers[index].reason; }
    policy_engine::Limit binding(std::size_t index = 0) const { return last.chargers[index].binding; }

    policy_engine::Config config;
    policy_engine::Settings settings;
    policy_engine::Inputs inputs;
    policy_engine::Decision last;
    std::vector<double> car_limit_a;        ///< What a car takes at most, by charger.
    std::function<void()> before_decision;  ///< What else changes in a second, once the cars have moved.
    bool meter_alive = true;
    bool meters_grid = true;
    int starts = 0;

private:
    bool was_drawing_ = false;
};
