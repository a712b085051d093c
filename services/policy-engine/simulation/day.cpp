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

constexpr int start_s = 10;
constexpr double rise_a_per_s = 1;
constexpr double fall_a_per_s = 3;
constexpr int quarter_hour_s = 900;
constexpr double longest_trace_s = 366.0 * 86400;

/// Regulates by the grid power of a second ago.
class Battery {
public:
    explicit Battery(const HomeBattery& model)
        : model_(model), content_j_(model.capacity_kwh * joule_per_kwh * model.soc_pct / 100) {}

    /// One second in which house and car take `rest_w` more than the sun gives.
    void step(double rest_w) {
        constexpr double share_a_second = 0.6;
        const double free_j = model_.capacity_kwh * joule_per_kwh - content_j_;
        power_w_ = std::clamp(power_w_ + share_a_second * grid_w_, -std::min(model_.max_power_w, free_j),
                              std::min(model_.max_power_w, content_j_));
        content_j_ -= power_w_;
        grid_w_ = rest_w - power_w_;
    }

    double power_w() const { return power_w_; }  ///< + discharge
    double grid_w() const { return grid_w_; }    ///< + import
    double content_kwh() const { return content_j_ / joule_per_kwh; }
    double soc_pct() const { return std::round(100 * content_kwh() / model_.capacity_kwh); }

private:
    HomeBattery model_;
    double content_j_;
    double power_w_ = 0;
    double grid_w_ = 0;
};

/// What the house exchanges with the grid: through its battery, if it has one.
class House {
public:
    explicit House(const std::optional<HomeBattery>& battery) {
        if (battery) {
            battery_.emplace(*battery);
        }
    }

    void step(double rest_w) {
        if (battery_) {
            battery_->step(rest_w);
        }
        grid_w_ = battery_ ? battery_->grid_w() : rest_w;
        imported_j_ += std::max(0.0, grid_w_);
    }

    double grid_w() const { return grid_w_; }
    const std::optional<Battery>& battery() const { return battery_; }

    /// Imported, less what the battery holds.
    double owed_kwh() const { return imported_j_ / joule_per_kwh - (battery_ ? battery_->content_kwh() : 0); }

private:
    std::optional<Battery> battery_;
    double grid_w_ = 0;
    double imported_j_ = 0;
};

/// The least a house without a car could owe at the end of the day, with a battery that is never late.
class PromptHouse {
public:
    explicit PromptHouse(const HomeBattery& battery)
        : battery_(battery), content_j_(battery.capacity_kwh * joule_per_kwh * battery.soc_pct / 100) {}

    void step(double rest_w) {
        const double free_j = battery_.capacity_kwh * joule_per_kwh - content_j_;
        const double power_w =
            std::clamp(rest_w, -std::min(battery_.max_power_w, free_j), std::min(battery_.max_power_w, content_j_));
        content_j_ -= power_w;
        imported_j_ += std::max(0.0, rest_w - power_w);
    }

    double owed_kwh() const { return (imported_j_ - content_j_) / joule_per_kwh; }

private:
    HomeBattery battery_;
    double content_j_;
    double imported_j_ = 0;
};

/// Sums up one second after the other.
class Meter {
public:
    explicit Meter(const DayOptions& options)
        : options_(options),
          ampere_w_(options.phases * options.voltage_v),
          house_(options.battery),
          without_car_(options.battery),
          prompt_(options.battery.value_or(HomeBattery{})) {}

    void count(const Second& second, double drawn_a, double offered_a) {
        const double car_w = drawn_a * ampere_w_;
        const double rest_w = second.load_w - second.pv_w;
        house_.step(rest_w + car_w);
        without_car_.step(rest_w);
        if (options_.battery) {
            prompt_.step(rest_w);
        }
        car_j_ += car_w;
        metrics_.surplus_kwh += std::max(0.0, -without_car_.grid_w()) / joule_per_kwh;
        count_missed(std::max(0.0, -without_car_.grid_w()), car_w);
        count_switching(drawn_a, offered_a);
        count_deviation(house_.grid_w(), drawn_a);
        count_limits(house_.grid_w(), offered_a);
    }

    const House& house() const { return house_; }

    Metrics finish() {
        if (charging_s_ > 0) {
            metrics_.rmse_w = std::sqrt(square_sum_ / charging_s_);
            metrics_.mae_w = absolute_sum_ / charging_s_;
        }
        metrics_.grid_kwh = house_.owed_kwh() - without_car_.owed_kwh();
        metrics_.solar_kwh = car_j_ / joule_per_kwh - metrics_.grid_kwh;
        metrics_.battery_lag_kwh = options_.battery ? without_car_.owed_kwh() - prompt_.owed_kwh() : 0;
        metrics_.net_kwh =
            metrics_.solar_kwh - options_.grid_weight * metrics_.grid_kwh - options_.start_cost_kwh * metrics_.starts;
        metrics_.cost = metrics_.grid_kwh * options_.import_price + metrics_.solar_kwh * options_.export_price;
        return metrics_;
    }

private:
    void count_missed(double surplus_w, double car_w) {
        const double most_w = options_.max_a * ampere_w_;
        const double could_w = std::min(surplus_w, most_w);
        const double exported_w = std::max(0.0, -house_.grid_w());
        metrics_.exported_kwh += std::min(exported_w, std::max(0.0, most_w - car_w)) / joule_per_kwh;
        // A battery carries what is exported at one time to another.
        metrics_.bound_relaxed_kwh += (options_.battery ? surplus_w : could_w) / joule_per_kwh;
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
    House house_;
    House without_car_;
    PromptHouse prompt_;
    double car_j_ = 0;
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

double EndlessCar::step(double offered_a) {
    constexpr double tolerance = 1e-9;
    const double arrived_a = std::floor(on_its_way_[place_] + tolerance);
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
    drawn_a_ = arrived_a > drawn_a_ ? std::min(arrived_a, drawn_a_ + rise_a_per_s)
                                    : std::max(arrived_a, drawn_a_ - fall_a_per_s);
    return drawn_a_;
}

Metrics run_day(const std::vector<Second>& day, const DayOptions& options, const Law& law) {
    EndlessCar car(options.min_a);
    Meter meter(options);
    const double ampere_w = options.phases * options.voltage_v;
    double drawn_a = 0;
    double rise_w = 0;
    Observation seen;
    for (std::size_t t = 0; t < day.size(); ++t) {
        seen.t_s = static_cast<double>(t);
        seen.pv_w = day[t].pv_w;
        seen.drawn_a = drawn_a;
        // Sampled before the car moved.
        seen.grid_w = t == 0 ? day[t].load_w - day[t].pv_w : meter.house().grid_w() - rise_w;
        if (const auto& battery = meter.house().battery()) {
            seen.battery_w = battery->power_w();
            seen.battery_soc_pct = battery->soc_pct();
        }
        const double offered_a = law(seen);
        drawn_a = car.step(offered_a);
        rise_w = (drawn_a - seen.drawn_a) * ampere_w;
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
        inputs.site->battery_w = seen.battery_w;
        inputs.site->battery_soc_pct = seen.battery_soc_pct;
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
