#include "policy-engine/simulation/site_run.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "policy-engine/decide.hpp"
#include "policy-engine/schedule.hpp"
#include "policy-engine/simulation/site_model.hpp"

namespace policy_engine::simulation {

namespace {

constexpr double joule_per_kwh = 3.6e6;
constexpr long long quarter_hour_s = 900;

/// Means over steps of the day.
class Means {
public:
    explicit Means(std::size_t step_s) : step_s_(step_s) {}

    void add(Series& series, std::size_t second, double value) const {
        if (second % step_s_ == 0) {
            series.push_back(value);
        } else {
            // A running mean, so that a last step that is cut short needs no care.
            series.back() += (value - series.back()) / static_cast<double>(second % step_s_ + 1);
        }
    }
    /// Prices and charges: as they are when the step begins.
    void note(OptionalSeries& series, std::size_t second, const std::optional<double>& value) const {
        if (second % step_s_ == 0) {
            series.push_back(value);
        }
    }

private:
    std::size_t step_s_;
};

/// Prices at a moment that only moves forward.
class Prices {
public:
    Prices(const Tariff& tariff, const Settings& settings) : tariff_(tariff), settings_(settings) {}

    void move_to(WallTime now) {
        while (next_ < tariff_.size() && tariff_[next_].end <= now) {
            ++next_;
        }
        const bool inside = next_ < tariff_.size() && tariff_[next_].start <= now;
        slot_ = inside ? &tariff_[next_] : nullptr;
    }
    std::optional<double> import_price() const {
        return slot_ != nullptr && slot_->import_price ? slot_->import_price : settings_.import_price;
    }
    std::optional<double> export_price() const {
        return slot_ != nullptr && slot_->export_price ? slot_->export_price : settings_.export_price;
    }
    std::optional<double> co2_g_kwh() const { return slot_ != nullptr ? slot_->co2_g_kwh : std::nullopt; }

private:
    const Tariff& tariff_;
    const Settings& settings_;
    std::size_t next_ = 0;
    const contract::TariffSlot* slot_ = nullptr;
};

/// What flows in one second.
struct Flow {
    double pv_w = 0;
    double house_w = 0;
    double battery_w = 0;
    double cars_w = 0;
    double grid_w = 0;
    PerPhase line_a{};
};

class Site {
public:
    Site(const ServiceConfig& config, const SiteDay& day, const SiteSetup& setup);

    SiteRun run();

private:
    struct Unit {
        const ChargerSetup& setup;
        Car car;
        std::size_t line = 0;  ///< House phase of its L1, from 0.
        double offered_a = 0;
        bool was_drawing = false;
        std::size_t next_span = 0;
    };

    void plug(std::size_t second);
    void decide_now(std::size_t second);
    void obey(const Decision& decision, std::size_t second);
    Flow flow_at(std::size_t second) const;
    void observe(const Flow& flow, std::size_t second);
    void account(const Flow& flow, std::size_t second);
    void account_charger(std::size_t index, const Flow& flow);
    void count_limits(const Flow& flow);
    void count_quarter_hour(const Flow& flow);
    void record(const Flow& flow, std::size_t second);
    std::optional<double> battery_soc_pct(std::size_t second) const;
    std::size_t first_line(const std::string& id) const;

    const ServiceConfig& config_;
    const SiteDay& day_;
    std::vector<Unit> units_;
    std::optional<SiteBattery> battery_;
    Prices prices_;
    Inputs inputs_;
    Memory memory_;
    SiteRun run_;
    Means means_;
    WallTime wall_{};
    long long quarter_hour_ = -1;
    double quarter_hour_j_ = 0;
};

Site::Site(const ServiceConfig& config, const SiteDay& day, const SiteSetup& setup)
    : config_(config),
      day_(day),
      prices_(day.tariff, config.defaults),
      run_{.start = day.start,
           .length_s = day.seconds.size(),
           .currency = day.currency,
           .remarks = day.remarks,
           .chargers = {}},
      means_(run_.step_s) {
    if (setup.battery) {
        battery_.emplace(*setup.battery);
    }
    run_.has_battery =
        battery_ || std::ranges::any_of(day.seconds, [](const auto& s) { return s.battery_w.has_value(); });
    for (const auto& charger : setup.chargers) {
        units_.push_back({.setup = charger,
                          .car = Car(charger.car, config.defaults.min_a, config.core.site.voltage_v, charger.phases),
                          .line = first_line(charger.id)});
        run_.chargers.push_back({.id = charger.id, .car = charger.car.name});
        inputs_.chargers.push_back({.id = charger.id, .max_a = charger.max_a, .phases = charger.phases});
        if (charger.car.linked) {
            inputs_.chargers.back().vin = charger.car.name;
            inputs_.vehicles.push_back({.alias = charger.car.name, .can_command = true, .vin = charger.car.name});
        }
    }
    std::ranges::sort(inputs_.vehicles, {}, &Vehicle::alias);
    inputs_.tariff = day.tariff;
}

std::size_t Site::first_line(const std::string& id) const {
    const auto found = std::ranges::find(config_.core.chargers, id, &ChargerConfig::id);
    const int line = found == config_.core.chargers.end() ? 1 : found->first_line.value_or(1);
    return static_cast<std::size_t>(line - 1);
}

SiteRun Site::run() {
    wall_ = day_.start;
    observe(flow_at(0), 0);
    for (std::size_t second = 0; second < day_.seconds.size(); ++second) {
        wall_ = day_.start + std::chrono::seconds(second);
        prices_.move_to(wall_);
        plug(second);
        decide_now(second);
        const Flow flow = flow_at(second);
        observe(flow, second);
        account(flow, second);
        record(flow, second);
        if (battery_) {
            battery_->step(flow.battery_w);
        }
        for (auto& unit : units_) {
            unit.car.step(unit.offered_a);
        }
    }
    for (std::size_t i = 0; i < units_.size(); ++i) {
        run_.chargers[i].soc_end_pct = units_[i].car.soc_pct();
    }
    run_.soc_end_pct = battery_ ? std::optional(battery_->soc_pct()) : battery_soc_pct(day_.seconds.size() - 1);
    return std::move(run_);
}

void Site::plug(std::size_t second) {
    for (auto& unit : units_) {
        const auto& spans = unit.setup.plugged;
        while (unit.next_span < spans.size() && spans[unit.next_span].end <= second) {
            ++unit.next_span;
        }
        unit.car.plug(unit.next_span < spans.size() && spans[unit.next_span].begin <= second);
    }
}

void Site::decide_now(std::size_t second) {
    inputs_.now = Instant(std::chrono::seconds(second));
    inputs_.wall = wall_;
    inputs_.local_day = civil_time(wall_).day;
    for (std::size_t i = 0; i < units_.size(); ++i) {
        const Car& car = units_[i].car;
        auto& charger = inputs_.chargers[i];
        charger.received_at = inputs_.now;
        charger.plugged = car.plugged();
        charger.drawn_a = car.drawn_a();
        const auto vehicle = std::ranges::find(inputs_.vehicles, units_[i].setup.car.name, &Vehicle::alias);
        if (vehicle != inputs_.vehicles.end()) {
            vehicle->plugged = car.plugged();
            vehicle->at_home = car.plugged();
            vehicle->charge_amps = car.drawn_a();
            vehicle->charging_state = car.charging_state();
            vehicle->soc_pct = car.soc_pct();
            vehicle->charge_limit_pct = units_[i].setup.car.limit_pct;
        }
    }
    Decision decision = decide(config_.core, config_.defaults, inputs_, std::move(memory_));
    obey(decision, second);
    memory_ = std::move(decision.memory);
}

void Site::obey(const Decision& decision, std::size_t second) {
    for (std::size_t i = 0; i < units_.size(); ++i) {
        const auto& wanted = decision.chargers[i];
        ChargerRun& run = run_.chargers[i];
        run.metrics.set_point_changes += wanted.target_a != units_[i].offered_a ? 1 : 0;
        units_[i].offered_a = wanted.target_a;
        if (wanted.binding != Limit::none) {
            ++run.metrics.limited_s[wanted.binding];
        }
        if (run.reasons.empty() || run.reasons.back().reason != wanted.reason) {
            run.reasons.push_back({{second, second}, wanted.reason});
        }
        run.reasons.back().span.end = second + 1;
    }
    for (const auto& command : decision.commands) {
        const auto unit = std::ranges::find(units_, command.alias, [](const Unit& u) { return u.setup.car.name; });
        if (unit != units_.end()) {
            unit->car.allow(command.command == "charge_start");
        }
    }
}

Flow Site::flow_at(std::size_t second) const {
    const SiteSecond& now = day_.seconds[second];
    Flow flow{.pv_w = now.pv_w, .house_w = now.load_w};
    const auto& site = config_.core.site;
    std::array<double, 3> cars_a{};
    for (const auto& unit : units_) {
        flow.cars_w += unit.car.power_w();
        for (int phase = 0; phase < unit.car.phases(); ++phase) {
            cars_a[(unit.line + static_cast<std::size_t>(phase)) % 3] += unit.car.drawn_a();
        }
    }
    const double without_battery_w = now.load_w + flow.cars_w - now.pv_w;
    flow.battery_w = battery_ ? battery_->answer_w(without_battery_w) : now.battery_w.value_or(0);
    flow.grid_w = without_battery_w - flow.battery_w;
    const double rest_a = (flow.grid_w - flow.cars_w) / site.phases / site.voltage_v;
    for (std::size_t line = 0; line < static_cast<std::size_t>(site.phases); ++line) {
        flow.line_a[line] = rest_a + (site.phases == 1 ? flow.cars_w / site.voltage_v : cars_a[line]);
    }
    return flow;
}

// Seen by the decision of the next second.
void Site::observe(const Flow& flow, std::size_t second) {
    const bool inside = config_.core.site.chargers_inside_meter;
    const double unseen_w = inside ? 0 : flow.cars_w;
    inputs_.site = policy_engine::Site{.measured_at = Instant(std::chrono::seconds(second)),
                                       .grid_w = flow.grid_w - unseen_w,
                                       .pv_w = flow.pv_w,
                                       .house_w = flow.house_w + flow.cars_w - unseen_w,
                                       .battery_w = run_.has_battery ? std::optional(flow.battery_w) : std::nullopt,
                                       .battery_soc_pct = battery_soc_pct(second),
                                       .grid_a = flow.line_a};
}

std::optional<double> Site::battery_soc_pct(std::size_t second) const {
    return battery_ ? std::optional(battery_->soc_pct()) : day_.seconds[second].battery_soc_pct;
}

void Site::account(const Flow& flow, std::size_t second) {
    const double import_kwh = std::max(0.0, flow.grid_w) / joule_per_kwh;
    const double export_kwh = std::max(0.0, -flow.grid_w) / joule_per_kwh;
    run_.pv_kwh += flow.pv_w / joule_per_kwh;
    run_.house_kwh += flow.house_w / joule_per_kwh;
    run_.import_kwh += import_kwh;
    run_.export_kwh += export_kwh;
    run_.charged_kwh += std::max(0.0, -flow.battery_w) / joule_per_kwh;
    run_.discharged_kwh += std::max(0.0, flow.battery_w) / joule_per_kwh;
    run_.bill.add(import_kwh, prices_.import_price());
    const auto paid = prices_.export_price();
    run_.bill.add(export_kwh, paid ? std::optional(-*paid) : std::nullopt);
    if (second == 0) {
        run_.soc_begin_pct = battery_soc_pct(second);
    }
    for (std::size_t i = 0; i < units_.size(); ++i) {
        account_charger(i, flow);
    }
    count_limits(flow);
    count_quarter_hour(flow);
}

// The house has the sun first; what is imported then is for the cars, up to what they draw; so is what the battery
// gives.
void Site::account_charger(std::size_t index, const Flow& flow) {
    Unit& unit = units_[index];
    ChargeMetrics& metrics = run_.chargers[index].metrics;
    const bool drawing = unit.car.drawn_a() >= drawing_a;
    metrics.starts += drawing && !unit.was_drawing ? 1 : 0;
    metrics.stops += !drawing && unit.was_drawing ? 1 : 0;
    unit.was_drawing = drawing;
    metrics.charging_s += drawing ? 1 : 0;
    metrics.plugged_s += unit.car.plugged() ? 1 : 0;
    if (unit.car.plugged() && !run_.chargers[index].soc_begin_pct) {
        run_.chargers[index].soc_begin_pct = unit.car.soc_pct();
    }
    if (flow.cars_w <= 0) {
        return;
    }
    const double part_kwh = unit.car.power_w() / flow.cars_w / joule_per_kwh;
    const double imported_w = std::clamp(flow.grid_w, 0.0, flow.cars_w);
    const double stored_w = std::clamp(flow.battery_w, 0.0, flow.cars_w - imported_w);
    const double grid_kwh = imported_w * part_kwh;
    const double stored_kwh = stored_w * part_kwh;
    const double sun_kwh = (flow.cars_w - imported_w - stored_w) * part_kwh;
    metrics.grid_kwh += grid_kwh;
    metrics.battery_kwh += stored_kwh;
    metrics.sun_kwh += sun_kwh;
    metrics.cost.add(grid_kwh, prices_.import_price());
    metrics.cost.add(sun_kwh + stored_kwh, prices_.export_price());
    metrics.co2_g.add(grid_kwh, prices_.co2_g_kwh());
}

void Site::count_limits(const Flow& flow) {
    constexpr double rounding_a = 1e-6;
    const auto& site = config_.core.site;
    double offered_a = 0;
    bool over = false;
    for (const auto& unit : units_) {
        offered_a += unit.offered_a;
        over = over || unit.offered_a > unit.setup.max_a + rounding_a;
    }
    over = over || (site.wiring_max_a && offered_a > *site.wiring_max_a + rounding_a);
    for (const auto& line_a : flow.line_a) {
        over = over || (site.main_fuse_a && line_a.value_or(0) > *site.main_fuse_a + rounding_a);
    }
    run_.seconds_over_limit += over ? 1 : 0;
}

void Site::count_quarter_hour(const Flow& flow) {
    const auto quarter_hour =
        std::chrono::floor<std::chrono::seconds>(wall_.time_since_epoch()).count() / quarter_hour_s;
    if (quarter_hour != quarter_hour_) {
        quarter_hour_ = quarter_hour;
        quarter_hour_j_ = 0;
    }
    quarter_hour_j_ += std::max(0.0, flow.grid_w);
    run_.peak_quarter_hour_w = std::max(run_.peak_quarter_hour_w, quarter_hour_j_ / quarter_hour_s);
}

void Site::record(const Flow& flow, std::size_t second) {
    means_.add(run_.pv_w, second, flow.pv_w);
    means_.add(run_.house_w, second, flow.house_w);
    means_.add(run_.battery_w, second, flow.battery_w);
    means_.add(run_.grid_w, second, flow.grid_w);
    means_.note(run_.soc_pct, second, battery_soc_pct(second));
    means_.note(run_.import_price, second, prices_.import_price());
    means_.note(run_.export_price, second, prices_.export_price());
    for (std::size_t i = 0; i < units_.size(); ++i) {
        const Unit& unit = units_[i];
        means_.add(run_.chargers[i].power_w, second, unit.car.power_w());
        means_.add(run_.chargers[i].offered_a, second, unit.offered_a);
        means_.note(run_.chargers[i].soc_pct, second, unit.car.plugged() ? unit.car.soc_pct() : std::nullopt);
    }
}

}  // namespace

void Tally::add(double kwh, std::optional<double> per_kwh) {
    if (per_kwh) {
        sum += kwh * *per_kwh;
        known_kwh += kwh;
    } else {
        unknown_kwh += kwh;
    }
}

Tally& Tally::operator+=(const Tally& other) {
    sum += other.sum;
    unknown_kwh += other.unknown_kwh;
    known_kwh += other.known_kwh;
    return *this;
}

std::optional<double> Tally::value() const {
    return known_kwh == 0 && unknown_kwh > 0 ? std::nullopt : std::optional(sum);
}

ChargeMetrics& ChargeMetrics::operator+=(const ChargeMetrics& other) {
    sun_kwh += other.sun_kwh;
    battery_kwh += other.battery_kwh;
    grid_kwh += other.grid_kwh;
    cost += other.cost;
    co2_g += other.co2_g;
    starts += other.starts;
    stops += other.stops;
    set_point_changes += other.set_point_changes;
    plugged_s += other.plugged_s;
    charging_s += other.charging_s;
    for (const auto& [limit, limited] : other.limited_s) {
        limited_s[limit] += limited;
    }
    return *this;
}

ChargeMetrics SiteRun::cars() const {
    ChargeMetrics sum;
    for (const auto& charger : chargers) {
        sum += charger.metrics;
    }
    return sum;
}

std::optional<double> SiteRun::self_consumption() const {
    return pv_kwh > 0 ? std::optional(std::clamp(1 - export_kwh / pv_kwh, 0.0, 1.0)) : std::nullopt;
}

std::optional<double> SiteRun::self_sufficiency() const {
    const double used_kwh = house_kwh + cars().kwh();
    return used_kwh > 0 ? std::optional(std::clamp(1 - import_kwh / used_kwh, 0.0, 1.0)) : std::nullopt;
}

SiteRun run_site(const ServiceConfig& config, const SiteDay& day, const SiteSetup& setup) {
    return Site(config, day, setup).run();
}

}  // namespace policy_engine::simulation
