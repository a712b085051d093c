#include "evcc_like.hpp"

#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>

namespace study {

namespace {

using namespace policy_engine::simulation;

class Timers {
public:
    Timers(const DayOptions& options, const TimerRules& rules) : options_(options), rules_(rules) {}

    double offer(const Observation& seen) {
        if (seen.t_s < next_look_s_) {
            return offer_a_;
        }
        next_look_s_ = seen.t_s + rules_.period_s;
        // Some head room, so that a car that draws a little less is not ratcheted down.
        constexpr double head_room_a = 2;
        const double used_a = std::min(seen.drawn_a + head_room_a, offer_a_);
        // What a home battery takes is the car's, what it gives is not.
        const double grid_w = seen.grid_w + seen.battery_w.value_or(0);
        const double target_a = std::max(0.0, used_a - grid_w / (options_.phases * options_.voltage_v));
        offer_a_ = offer_a_ > 0 ? while_on(target_a, seen.t_s) : while_off(target_a, seen);
        return offer_a_;
    }

private:
    double while_off(double target_a, const Observation& seen) {
        if (target_a < options_.min_a) {
            since_s_.reset();
            return 0;
        }
        since_s_ = since_s_.value_or(seen.t_s);
        if (seen.t_s - *since_s_ < rules_.start_delay_s) {
            return 0;
        }
        since_s_.reset();
        return options_.min_a;
    }

    double while_on(double target_a, double t_s) {
        if (target_a >= options_.min_a) {
            since_s_.reset();
            return std::floor(std::min(target_a, options_.max_a));
        }
        since_s_ = since_s_.value_or(t_s);
        if (t_s - *since_s_ < rules_.stop_delay_s) {
            return options_.min_a;
        }
        since_s_.reset();
        return 0;
    }

    DayOptions options_;
    TimerRules rules_;
    double offer_a_ = 0;
    double next_look_s_ = 0;
    std::optional<double> since_s_;
};

}  // namespace

Law timer_law(const DayOptions& options, const TimerRules& rules) {
    return [timers = std::make_shared<Timers>(options, rules)](const Observation& seen) { return timers->offer(seen); };
}

}  // namespace study
