#include "policy-engine/simulation/day.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <istream>
#include <memory>
#include <stdexcept>

#include <fmt/format.h>

#include "policy-engine/decide.hpp"
#include "policy-engine/surplus.hpp"

namespace policy_engine::simulation {

namespace {

constexpr double joule_per_kwh = 3.6e6;
constexpr const char* charger_id = "car";

constexpr int transport_s = 2;
constexpr int start_s = 10;
constexpr double rise_a_per_s = 1;
constexpr double fall_a_per_s = 3;
constexpr int quarter_hour_s = 900;
constexpr double longest_trace_s = 366.0 * 86400;

class Car {
public:
    explicit Car(double min_a) : min_a_(min_a) {}

    /// One second passes under this offer; gives the current drawn at its end.
    double step(double offered_a) {
        const double arrived_a = on_its_way_[place_];
        on_its_way_[place_] = offered_a;
        place_ = (place_ + 1) % on_its_way_.size();
        if (arrived_a < min_a_) {
            powered_s_ = 0;
            drawn_a_ = std::max(0.0, drawn_a_ - fall_a_per_s);
            return drawn_a_;
        }
        if (++powered_s_ < start_s && drawn_a_ == 0) {
            return 0;
        }
        drawn_a_ = arrived_a > drawn_a_ ? std::min(arrived_a, std::max(drawn_a_ + rise_a_per_s, rise_a_per_s))
                                        : std::max(arrived_a, drawn_a_ - fall_a_per_s);
        return drawn_a_;
    }

private:
    double min_a_;
    std::array<double, transport_s> on_its_way_{};
    std::size_t place_ = 0;
    int powered_s_ = 0;
    double drawn_a_ = 0;
};

/// Sums up one second after the other.
class Meter {
public:
    explicit Meter(const DayOptions& options) : options_(options), ampere_w_(options.phases * options.voltage_v) {}

    void count(const Second& second, double drawn_a, double offered_a) {
        const double car_w = drawn_a * ampere_w_;
        const double surplus_w = second.pv_w - second.load_w;
        const double grid_w = car_w - surplus_w;
        const double imported_w = std::min(car_w, std::max(0.0, grid_w));
        metrics_.surplus_kwh += std::max(0.0, surplus_w) / joule_per_kwh;
        metrics_.grid_kwh += imported_w / joule_per_kwh;
        metrics_.solar_kwh += (car_w - imported_w) / joule_per_kwh;
        count_missed(surplus_w, car_w);
        count_switching(drawn_a, offered_a);
        count_deviation(grid_w, drawn_a);
        count_limits(grid_w, offered_a);
    }

    Metrics finish() {
        if (charging_s_ > 0) {
            metrics_.rmse_w = std::sqrt(square_sum_ / charging_s_);
            metrics_.mae_w = absolute_sum_ / charging_s_;
        }
        metrics_.net_kwh =
            metrics_.solar_kwh - options_.grid_weight * metrics_.grid_kwh - options_.start_cost_kwh * metrics_.starts;
        metrics_.cost = metrics_.grid_kwh * options_.import_price + metrics_.solar_kwh * options_.export_price;
        return metrics_;
    }

private:
    void count_missed(double surplus_w, double car_w) {
        const double most_w = options_.max_a * ampere_w_;
        const double could_w = std::clamp(surplus_w, 0.0, most_w);
        metrics_.exported_kwh += std::max(0.0, could_w - car_w) / joule_per_kwh;
        metrics_.bound_relaxed_kwh += could_w / joule_per_kwh;
        metrics_.bound_no_import_kwh += (could_w >= options_.min_a * ampere_w_ ? could_w : 0) / joule_per_kwh;
    }

    void count_switching(double drawn_a, double offered_a) {
        const bool drawing = drawn_a >= drawing_a;
        metrics_.starts += drawing && !was_drawing_ ? 1 : 0;
        metrics_.stops += !drawing && was_drawing_ ? 1 : 0;
        metrics_.set_point_changes += offered_a != last_offer_a_ ? 1 : 0;
        was_drawing_ = drawing;
        last_offer_a_ = offered_a;
    }

    void count_deviation(double grid_w, double drawn_a) {
        if (drawn_a >= drawing_a) {
            ++charging_s_;
            square_sum_ += grid_w * grid_w;
            absolute_sum_ += std::abs(grid_w);
        }
    }

    void count_limits(double grid_w, double offered_a) {
        const double line_a = grid_w / ampere_w_;
        const double over_fuse_a = options_.main_fuse_a ? std::max(0.0, line_a - *options_.main_fuse_a) : 0;
        metrics_.ampere_seconds_over_fuse += over_fuse_a;
        metrics_.seconds_over_limit += over_fuse_a > 0 || offered_a > options_.max_a ? 1 : 0;
        quarter_hour_j_ += std::max(0.0, grid_w);
        if (++quarter_hour_ == quarter_hour_s) {
            metrics_.peak_quarter_hour_w = std::max(metrics_.peak_quarter_hour_w, quarter_hour_j_ / quarter_hour_s);
            quarter_hour_ = 0;
            quarter_hour_j_ = 0;
        }
    }

    const DayOptions& options_;
    double ampere_w_;
    Metrics metrics_;
    bool was_drawing_ = false;
    double last_offer_a_ = 0;
    double charging_s_ = 0;
    double square_sum_ = 0;
    double absolute_sum_ = 0;
    int quarter_hour_ = 0;
    double quarter_hour_j_ = 0;
};

double number(std::string_view text, const std::string& place, const char* column) {
    double value = 0;
    const char* const end = text.data() + text.size();
    const auto parsed = std::from_chars(text.data(), end, value);
    if (text.empty() || parsed.ec != std::errc{} || parsed.ptr != end || !std::isfinite(value)) {
        throw std::runtime_error(fmt::format("{}: {}: \"{}\" is not a number", place, column, text));
    }
    return value;
}

std::array<double, 3> row(std::string_view line, const std::string& place) {
    constexpr std::array<const char*, 3> columns{"t_s", "pv_w", "load_w"};
    std::array<double, 3> values{};
    for (std::size_t i = 0; i < values.size(); ++i) {
        const auto comma = line.find(',');
        if ((comma == std::string_view::npos) != (i + 1 == values.size())) {
            throw std::runtime_error(fmt::format("{}: expected the three columns t_s,pv_w,load_w", place));
        }
        values.at(i) = number(line.substr(0, comma), place, columns.at(i));
        line.remove_prefix(std::min(line.size(), comma == std::string_view::npos ? line.size() : comma + 1));
    }
    return values;
}

void check_time(double first_t, double last_t, double t_s, const std::string& place) {
    if (t_s <= last_t) {
        throw std::runtime_error(fmt::format("{}: t_s: {} does not come after {}", place, t_s, last_t));
    }
    if (t_s - first_t > longest_trace_s) {
        throw std::runtime_error(fmt::format("{}: t_s: more than a year after the first line", place));
    }
}

}  // namespace

std::vector<Second> read_trace(std::istream& text, const std::string& name) {
    std::vector<Second> day;
    std::string line;
    double first_t = 0;
    double last_t = 0;
    std::optional<Second> last;
    for (int number = 1; std::getline(text, line); ++number) {
        const std::string place = fmt::format("{}:{}", name, number);
        std::erase_if(line, [](char c) { return c == '\r' || c == ' '; });
        if (number == 1 && line != "t_s,pv_w,load_w") {
            throw std::runtime_error(fmt::format("{}: expected the header t_s,pv_w,load_w", place));
        }
        if (number == 1 || line.empty()) {
            continue;
        }
        const auto [t_s, pv_w, load_w] = row(line, place);
        if (!last) {
            first_t = t_s;
        } else {
            check_time(first_t, last_t, t_s, place);
            const auto seconds_so_far = static_cast<std::size_t>(std::ceil(t_s - first_t));
            day.resize(std::max(day.size(), seconds_so_far), *last);
        }
        last = {pv_w, load_w};
        last_t = t_s;
    }
    if (!last) {
        throw std::runtime_error(fmt::format("{}: no data", name));
    }
    day.push_back(*last);
    return day;
}

Metrics run_day(const std::vector<Second>& day, const DayOptions& options, const Law& law) {
    Car car(options.min_a);
    Meter meter(options);
    const double ampere_w = options.phases * options.voltage_v;
    double drawn_a = 0;
    double grid_w = day.empty() ? 0 : day.front().load_w - day.front().pv_w;
    for (std::size_t t = 0; t < day.size(); ++t) {
        const double offered_a =
            law({.t_s = static_cast<double>(t), .grid_w = grid_w, .pv_w = day[t].pv_w, .drawn_a = drawn_a});
        grid_w = day[t].load_w - day[t].pv_w + drawn_a * ampere_w;
        drawn_a = car.step(offered_a);
        meter.count(day[t], drawn_a, offered_a);
    }
    return meter.finish();
}

nlohmann::json to_json(const Metrics& metrics) {
    const auto rounded = [](double value) { return std::round(value * 1000) / 1000; };
    const double car_kwh = metrics.solar_kwh + metrics.grid_kwh;
    return {{"surplus_kwh", rounded(metrics.surplus_kwh)},
            {"solar_kwh", rounded(metrics.solar_kwh)},
            {"grid_kwh", rounded(metrics.grid_kwh)},
            {"ev_kwh", rounded(car_kwh)},
            {"exported_kwh", rounded(metrics.exported_kwh)},
            {"self_consumption", metrics.surplus_kwh > 0 ? rounded(metrics.solar_kwh / metrics.surplus_kwh) : 0},
            {"self_sufficiency", car_kwh > 0 ? rounded(metrics.solar_kwh / car_kwh) : 0},
            {"starts", metrics.starts},
            {"stops", metrics.stops},
            {"set_point_changes", metrics.set_point_changes},
            {"rmse_w", std::round(metrics.rmse_w)},
            {"mae_w", std::round(metrics.mae_w)},
            {"seconds_over_limit", metrics.seconds_over_limit},
            {"ampere_seconds_over_fuse", rounded(metrics.ampere_seconds_over_fuse)},
            {"peak_quarter_hour_w", std::round(metrics.peak_quarter_hour_w)},
            {"bound_relaxed_kwh", rounded(metrics.bound_relaxed_kwh)},
            {"bound_no_import_kwh", rounded(metrics.bound_no_import_kwh)},
            {"net_kwh", rounded(metrics.net_kwh)},
            {"cost", rounded(metrics.cost)}};
}

Law engine_law(const ServiceConfig& config, const DayOptions& options) {
    struct State {
        ServiceConfig config;
        Inputs inputs;
        Memory memory;
    };
    auto state = std::make_shared<State>(State{config, {}, {}});
    state->inputs.site = Site{};
    state->inputs.chargers.push_back({.id = config.core.chargers.empty() ? charger_id : config.core.chargers.front().id,
                                      .plugged = true,
                                      .max_a = options.max_a,
                                      .phases = options.phases});
    return [state](const Observation& seen) {
        constexpr double seconds_per_day = 86400;
        // A Monday, so that weekly schedules mean something.
        constexpr std::chrono::sys_days first_day(std::chrono::year(2026) / 1 / 5);
        Inputs& inputs = state->inputs;
        inputs.now = Instant(from_seconds(seen.t_s));
        inputs.wall = first_day + std::chrono::seconds(static_cast<long long>(seen.t_s));
        inputs.local_day = static_cast<int>(seen.t_s / seconds_per_day);
        inputs.site->measured_at = inputs.now - std::chrono::seconds(1);
        inputs.site->grid_w = seen.grid_w;
        inputs.chargers.front().received_at = inputs.now;
        inputs.chargers.front().drawn_a = seen.drawn_a;
        Decision decision = decide(state->config.core, state->config.defaults, inputs, std::move(state->memory));
        state->memory = std::move(decision.memory);
        return decision.chargers.front().target_a;
    };
}

DayOptions options_for(const ServiceConfig& config) {
    constexpr double usual_max_a = 32;
    const auto& core = config.core;
    DayOptions options{.phases = core.site.phases,
                       .voltage_v = core.site.voltage_v,
                       .min_a = config.defaults.min_a,
                       .max_a = usual_max_a,
                       .grid_weight = grid_weight(config.defaults),
                       .import_price = config.defaults.import_price.value_or(0),
                       .export_price = config.defaults.export_price.value_or(0),
                       .main_fuse_a = core.site.main_fuse_a};
    if (!core.chargers.empty()) {
        options.phases = core.chargers.front().phases.value_or(options.phases);
        options.max_a = core.chargers.front().max_a.value_or(options.max_a);
    }
    options.max_a = std::min(
        {options.max_a, config.defaults.max_a.value_or(options.max_a), core.site.wiring_max_a.value_or(options.max_a)});
    return options;
}

}  // namespace policy_engine::simulation
