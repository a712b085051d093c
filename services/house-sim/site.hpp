#pragma once

#include <string>
#include <vector>

#include "house-sim/bus_line.hpp"
#include "house-sim/car.hpp"
#include "house-sim/house.hpp"
#include "house-sim/script.hpp"

namespace house_sim {

struct SiteConfig {
    HouseConfig house;
    std::vector<WallConnectorConfig> units;
    std::vector<CarConfig> cars;
    LineNoise noise;
    std::vector<ScriptEvent> script;
    double speed = 1;  ///< Simulated seconds of the day per real second.
    std::uint64_t seed = 1;
};

/// The whole simulated place: house, chargers on their bus, cars, and the script that moves them. Advances in fixed
/// steps, so the same seed and the same bytes at the same times always give the same day.
class Site {
public:
    using Instant = scheduling::Instant;

    Site(SiteConfig config, Instant start);

    /// Brings everything up to `now`.
    void advance(Instant now);

    const SiteConfig& config() const { return config_; }
    House& house() { return house_; }
    const House& house() const { return house_; }
    BusLine& line() { return line_; }
    const BusLine& line() const { return line_; }
    std::vector<Car>& cars() { return cars_; }
    const std::vector<Car>& cars() const { return cars_; }
    Instant now() const { return now_; }

    Car* car_by_name(const std::string& name);
    /// Index of the unit the car hangs on; none: it is away.
    std::optional<std::size_t> unit_of(std::size_t car) const;
    std::optional<std::size_t> car_on(std::size_t unit) const;
    std::optional<std::size_t> unit_by_id(const std::string& id) const;

    Fault fault(Device device) const { return faults_.at(static_cast<std::size_t>(device)).fault; }

    /// Does what a line of the script says. Throws std::invalid_argument, with what was expected, when it cannot.
    void perform(const Action& action);

    /// What the script asked for and could not have, since the last call.
    std::vector<std::string> take_problems();

    /// Seconds since the start, real and simulated.
    double real_s() const { return real_s_; }

private:
    struct ActiveFault {
        Fault fault = Fault::none;
        double left_s = 0;  ///< Real seconds; 0: until cleared.
    };

    void take_step(const Step& step);
    void run_script(const Step& step);
    void age_faults(const Step& step);
    void move_cars(const Step& step);
    Supply supply_from(const WallConnector& unit) const;
    void plug_in(const PlugIn& action);
    void set_fault(const SetFault& action);

    SiteConfig config_;
    Instant start_;
    Instant now_;
    double real_s_ = 0;
    double day_s_ = 0;
    House house_;
    std::vector<Car> cars_;
    BusLine line_;
    std::vector<std::optional<std::size_t>> car_on_unit_;
    std::vector<bool> done_;  ///< Which lines of the script have been performed.
    std::array<ActiveFault, 3> faults_{};
    double cut_left_s_ = 0;
    double noise_left_s_ = 0;
    std::vector<std::string> problems_;
};

/// "7744"
std::string id_text(std::uint16_t id);

}  // namespace house_sim
