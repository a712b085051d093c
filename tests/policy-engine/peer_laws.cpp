#include "peer_laws.hpp"

#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>

namespace study {

namespace {

using namespace policy_engine::simulation;

// Grid power as if the battery did nothing: what it takes is the car's, what it gives is not.
double grid_without_battery_w(const Observation& seen) { return seen.grid_w + seen.battery_w.value_or(0); }

/// How long something has been so.
class Lasting {
public:
    double seconds(bool so, double t_s) {
        since_s_ = so ? std::optional(since_s_.value_or(t_s)) : std::nullopt;
        return so ? t_s - *since_s_ : 0;
    }
    void reset() { since_s_.reset(); }

private:
    std::optional<double> since_s_;
};

class OpenWb {
public:
    explicit OpenWb(const DayOptions& options) : options_(options), ampere_w_(options.phases * options.voltage_v) {}

    double offer(const Observation& seen) {
        if (seen.t_s < next_look_s_) {
            return offer_a_;
        }
        next_look_s_ = seen.t_s + 10;
        const double grid_w = grid_without_battery_w(seen);
        offer_a_ = offer_a_ > 0 ? while_on(grid_w, seen) : while_off(grid_w, seen.t_s);
        return offer_a_;
    }

private:
    static constexpr double highest_w = 230;
    static constexpr double centre_w = highest_w / 2;

    double while_off(double grid_w, double t_s) {
        constexpr double threshold_w_a_phase = 1500;
        constexpr double delay_s = 30;
        if (wish_.seconds(centre_w - grid_w > threshold_w_a_phase * options_.phases, t_s) < delay_s) {
            return 0;
        }
        wish_.reset();
        started_s_ = t_s;
        return options_.min_a;
    }

    double while_on(double grid_w, const Observation& seen) {
        constexpr double largest_step_a = 5;
        constexpr double unused_at_most_a = 2;
        constexpr double delay_s = 60;
        constexpr double kept_s = 40;
        const bool in_band = grid_w >= 0 && grid_w <= highest_w;
        const double step_a =
            in_band ? 0 : std::clamp((centre_w - grid_w) / ampere_w_, -largest_step_a, largest_step_a);
        const double used_a = std::min(offer_a_, seen.drawn_a + unused_at_most_a);
        const double next_a = std::clamp(used_a + step_a, options_.min_a, options_.max_a);
        const bool short_of = next_a <= options_.min_a && grid_w > centre_w;
        if (wish_.seconds(short_of, seen.t_s) >= delay_s && seen.t_s - started_s_ >= kept_s) {
            wish_.reset();
            return 0;
        }
        return next_a;
    }

    DayOptions options_;
    double ampere_w_;
    double offer_a_ = 0;
    double next_look_s_ = 0;
    double started_s_ = 0;
    Lasting wish_;
};

class SmartEvse {
public:
    explicit SmartEvse(const DayOptions& options) : options_(options) {}

    double offer(const Observation& seen) {
        if (seen.t_s < next_look_s_) {
            return offer_a();
        }
        next_look_s_ = seen.t_s + 2;
        // Summed over the phases.
        const double import_a = grid_without_battery_w(seen) / options_.voltage_v;
        if (current_a_ > 0) {
            while_on(import_a, seen.t_s);
        } else if (import_a <= -start_export_a && seen.t_s >= may_start_s_) {
            current_a_ = options_.min_a;
            started_s_ = seen.t_s;
        }
        return offer_a();
    }

private:
    static constexpr double start_export_a = 4;

    double offer_a() const { return std::floor(current_a_ * 10 + 1e-9) / 10; }

    static double step_a(double import_a) {
        if (import_a < 0) {
            return import_a < -1 ? 0.5 : 0.1;
        }
        if (import_a > 2) {
            return -import_a / 2;
        }
        return import_a > 1 ? -0.5 : import_a > 0.3 ? -0.1 : 0;
    }

    void while_on(double import_a, double t_s) {
        constexpr double kept_at_minimum_s = 40;
        constexpr double stop_after_s = 600;
        constexpr double retry_s = 60;
        if (t_s - started_s_ < kept_at_minimum_s) {
            return;
        }
        const double next_a = current_a_ + step_a(import_a);
        if (shortage_.seconds(next_a < options_.min_a, t_s) >= stop_after_s) {
            shortage_.reset();
            current_a_ = 0;
            may_start_s_ = t_s + retry_s;
            return;
        }
        current_a_ = std::clamp(next_a, options_.min_a, options_.max_a);
    }

    DayOptions options_;
    double current_a_ = 0;
    double next_look_s_ = 0;
    double started_s_ = 0;
    double may_start_s_ = 0;
    Lasting shortage_;
};

class TwcManager {
public:
    explicit TwcManager(const DayOptions& options) : options_(options), ampere_w_(options.phases * options.voltage_v) {}

    double offer(const Observation& seen) {
        constexpr double cache_s = 10;
        constexpr double period_s = 30;
        constexpr double dwell_s = 60;
        if (seen.t_s >= next_read_s_) {
            next_read_s_ = seen.t_s + cache_s;
            // Generation minus consumption without the car, both as the house's meters have them.
            spare_w_ = seen.drawn_a * ampere_w_ - grid_without_battery_w(seen);
        }
        if (seen.t_s < next_look_s_) {
            return offer_a_;
        }
        next_look_s_ = seen.t_s + period_s;
        const double green_a = std::min(std::floor(spare_w_ / ampere_w_), options_.max_a);
        const double wanted_a = green_a < options_.min_a ? 0 : green_a;
        const bool switches = (wanted_a > 0) != (offer_a_ > 0);
        if (switches && seen.t_s - switched_s_ < dwell_s) {
            offer_a_ = offer_a_ > 0 ? options_.min_a : 0;
            return offer_a_;
        }
        switched_s_ = switches ? seen.t_s : switched_s_;
        offer_a_ = wanted_a;
        return offer_a_;
    }

private:
    DayOptions options_;
    double ampere_w_;
    double spare_w_ = 0;
    double offer_a_ = 0;
    double next_read_s_ = 0;
    double next_look_s_ = 0;
    double switched_s_ = -3600;
};

class OpenEvse {
public:
    explicit OpenEvse(const DayOptions& options) : options_(options), ampere_w_(options.phases * options.voltage_v) {}

    double offer(const Observation& seen) {
        constexpr double rise_s = 20;
        constexpr double fall_s = 600;
        constexpr double start_ratio = 1.1;
        constexpr double least_s = 600;
        const double left_a = std::max(0.0, seen.drawn_a - seen.grid_w / ampere_w_);
        filtered_a_ += (left_a - filtered_a_) * (1 - std::exp(-1 / (left_a > filtered_a_ ? rise_s : fall_s)));
        if (!on_ && filtered_a_ >= start_ratio * options_.min_a) {
            on_ = true;
            started_s_ = seen.t_s;
        } else if (on_ && filtered_a_ < options_.min_a && seen.t_s - started_s_ >= least_s) {
            on_ = false;
        }
        return on_ ? std::floor(std::clamp(left_a, options_.min_a, options_.max_a)) : 0;
    }

private:
    DayOptions options_;
    double ampere_w_;
    double filtered_a_ = 0;
    double started_s_ = 0;
    bool on_ = false;
};

template <class Controller>
Law law_of(const DayOptions& options) {
    return [controller = std::make_shared<Controller>(options)](const Observation& seen) {
        return controller->offer(seen);
    };
}

}  // namespace

Law openwb_law(const DayOptions& options) { return law_of<OpenWb>(options); }
Law smartevse_law(const DayOptions& options) { return law_of<SmartEvse>(options); }
Law twcmanager_law(const DayOptions& options) { return law_of<TwcManager>(options); }
Law openevse_law(const DayOptions& options) { return law_of<OpenEvse>(options); }

}  // namespace study
