#include "house-sim/site.hpp"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include <fmt/format.h>

namespace house_sim {

namespace {

using namespace std::chrono_literals;

constexpr auto step_length = 100ms;
constexpr double step_s = 0.1;

template <class... Visitors>
struct Overloaded : Visitors... {
    using Visitors::operator()...;
};
template <class... Visitors>
Overloaded(Visitors...) -> Overloaded<Visitors...>;

const LineNoise typical_noise{.flip_per_byte = 0.002, .drop_per_byte = 0.002, .junk_per_frame = 0.3};

}  // namespace

std::string id_text(std::uint16_t id) { return fmt::format("{:04X}", id); }

Site::Site(SiteConfig config, Instant start)
    : config_(std::move(config)),
      start_(start),
      now_(start),
      house_(config_.house, config_.seed),
      line_(config_.units, config_.noise, Random::stream(config_.seed, 10).bits(), start),
      car_on_unit_(config_.units.size()),
      done_(config_.script.size(), false) {
    std::uint64_t number = 20;
    for (const auto& car : config_.cars) {
        cars_.emplace_back(car, Random::stream(config_.seed, number++).bits());
    }
}

void Site::advance(Instant now) {
    while (now_ + step_length <= now) {
        now_ += step_length;
        take_step({.real_s = step_s, .day_s = step_s * config_.speed});
    }
}

void Site::take_step(const Step& step) {
    real_s_ += step.real_s;
    day_s_ += step.day_s;
    run_script(step);
    age_faults(step);
    move_cars(step);
}

void Site::run_script(const Step& step) {
    constexpr double seconds_per_day = 86400;
    for (std::size_t i = 0; i < config_.script.size(); ++i) {
        const auto& event = config_.script[i];
        if (done_[i]) {
            continue;
        }
        bool due = event.after_real_s && real_s_ >= *event.after_real_s;
        if (event.second_of_day) {
            double until_s = *event.second_of_day - config_.house.start_s;
            until_s += until_s < 0 ? seconds_per_day : 0;
            due = day_s_ + step.day_s / 2 >= until_s;
        }
        if (due) {
            done_[i] = true;
            try {
                perform(event.action);
            } catch (const std::invalid_argument& problem) {
                problems_.emplace_back(problem.what());
            }
        }
    }
}

void Site::age_faults(const Step& step) {
    const auto age = [&step](double& left_s) {
        const bool was_running = left_s > 0;
        left_s = std::max(0.0, left_s - step.real_s);
        return was_running && left_s <= 0;
    };
    for (auto& active : faults_) {
        if (age(active.left_s)) {
            active.fault = Fault::none;
        }
    }
    if (age(cut_left_s_)) {
        line_.set_cut(false);
    }
    if (age(noise_left_s_)) {
        line_.set_noise(config_.noise);
    }
}

Supply Site::supply_from(const WallConnector& unit) const {
    Supply supply{.pilot_a = unit.pilot_a(), .phases = unit.config().phases, .voltage_v = {}};
    const auto first = static_cast<std::size_t>(unit.config().first_phase - 1);
    for (std::size_t phase = 0; phase < static_cast<std::size_t>(unit.config().phases); ++phase) {
        supply.voltage_v.at(phase) = house_.flow().voltage_v.at((first + phase) % 3);
    }
    return supply;
}

void Site::move_cars(const Step& step) {
    PerPhaseWatts chargers_w{};
    for (std::size_t i = 0; i < line_.units().size(); ++i) {
        auto& unit = line_.units()[i];
        CarSignals signals;
        Supply supply = supply_from(unit);
        if (const auto on_plug = car_on_unit_[i]) {
            const Car& car = cars_[*on_plug];
            signals = {.plugged = true,
                       .asleep = car.asleep(),
                       .wants_power = car.wants_power(),
                       .current_a = car.current_a(),
                       .phases = car.phases_in_use(),
                       .vin = car.config().vin};
        }
        unit.advance(now_, step.day_s, signals, supply.voltage_v);
        if (const auto on_plug = car_on_unit_[i]) {
            supply.pilot_a = unit.pilot_a();
            Car& car = cars_[*on_plug];
            car.advance(step, supply);
            const auto first = static_cast<std::size_t>(unit.config().first_phase - 1);
            for (std::size_t phase = 0; phase < static_cast<std::size_t>(car.phases_in_use()); ++phase) {
                chargers_w.at((first + phase) % 3) += car.current_a() * supply.voltage_v.at(phase);
            }
        }
    }
    for (std::size_t i = 0; i < cars_.size(); ++i) {
        if (!unit_of(i)) {
            cars_[i].advance(step, {});
        }
    }
    house_.advance(step, chargers_w);
}

std::vector<std::string> Site::take_problems() { return std::exchange(problems_, {}); }

Car* Site::car_by_name(const std::string& name) {
    const auto found = std::ranges::find(cars_, name, [](const Car& car) { return car.config().name; });
    return found != cars_.end() ? &*found : nullptr;
}

std::optional<std::size_t> Site::unit_of(std::size_t car) const {
    const auto found = std::ranges::find(car_on_unit_, std::optional(car));
    return found != car_on_unit_.end() ? std::optional(static_cast<std::size_t>(found - car_on_unit_.begin()))
                                       : std::nullopt;
}

std::optional<std::size_t> Site::car_on(std::size_t unit) const { return car_on_unit_.at(unit); }

std::optional<std::size_t> Site::unit_by_id(const std::string& id) const {
    const auto& units = config_.units;
    const auto found = std::ranges::find(units, id, [](const auto& unit) { return id_text(unit.id); });
    return found != units.end() ? std::optional(static_cast<std::size_t>(found - units.begin())) : std::nullopt;
}

void Site::plug_in(const PlugIn& action) {
    Car* car = car_by_name(action.car);
    if (car == nullptr) {
        throw std::invalid_argument(fmt::format("there is no car \"{}\"", action.car));
    }
    const auto number = static_cast<std::size_t>(car - cars_.data());
    if (unit_of(number)) {
        car->plug_in(action.soc_pct);
        return;
    }
    std::optional<std::size_t> unit;
    if (action.unit.empty()) {
        const auto free = std::ranges::find_if(car_on_unit_, [](const auto& car_there) { return !car_there; });
        unit = free != car_on_unit_.end() ? std::optional(static_cast<std::size_t>(free - car_on_unit_.begin()))
                                          : std::nullopt;
    } else {
        unit = unit_by_id(action.unit);
    }
    if (!unit) {
        throw std::invalid_argument(action.unit.empty() ? "every unit is taken"
                                                        : fmt::format("there is no unit \"{}\"", action.unit));
    }
    if (car_on_unit_[*unit]) {
        throw std::invalid_argument(
            fmt::format("another car is plugged in at unit {}", id_text(config_.units[*unit].id)));
    }
    car_on_unit_[*unit] = number;
    car->plug_in(action.soc_pct);
}

void Site::set_fault(const SetFault& action) {
    if (action.device == "line" && (action.kind == "cut" || action.kind == "none")) {
        line_.set_cut(action.kind == "cut");
        cut_left_s_ = action.lasts_s;
        return;
    }
    if (action.device == "noise" && (action.kind == "on" || action.kind == "none")) {
        line_.set_noise(action.kind == "on" ? typical_noise : config_.noise);
        noise_left_s_ = action.lasts_s;
        return;
    }
    const auto device = parse_device(action.device);
    const auto kind = device ? parse_fault_kind(*device, action.kind) : std::nullopt;
    if (!kind) {
        throw std::invalid_argument(fmt::format("\"{} {}\" is no known fault", action.device, action.kind));
    }
    faults_.at(static_cast<std::size_t>(*device)) = {.fault = *kind, .left_s = action.lasts_s};
}

void Site::perform(const Action& action) {
    std::visit(Overloaded{
                   [this](const PlugIn& event) { plug_in(event); },
                   [this](const Unplug& event) {
                       Car* car = car_by_name(event.car);
                       if (car == nullptr) {
                           throw std::invalid_argument(fmt::format("there is no car \"{}\"", event.car));
                       }
                       car->unplug();
                       if (const auto unit = unit_of(static_cast<std::size_t>(car - cars_.data()))) {
                           car_on_unit_[*unit].reset();
                       }
                   },
                   [this](const ForceCloud& event) { house_.clouds().force(event.factor, event.lasts_s); },
                   [this](const SetSky& event) { house_.clouds().set_sky(event.sky); },
                   [this](const AddLoad& event) { house_.household().add_load(event.watts, event.lasts_s); },
                   [this](const ResetUnit& event) {
                       const auto unit = unit_by_id(event.unit);
                       if (!unit) {
                           throw std::invalid_argument(fmt::format("there is no unit \"{}\"", event.unit));
                       }
                       line_.units()[*unit].reset(now_);
                   },
                   [this](const SetFault& event) { set_fault(event); },
               },
               action);
}

}  // namespace house_sim
