#pragma once

#include <array>
#include <optional>
#include <string>

#include "house-sim/random.hpp"

namespace house_sim {

/// A stretch of time. The sun, the household, energy and batteries follow the simulated day, which may run faster
/// than the clock; everything that answers to the charging protocol (ramps, delays, regulation) keeps to real seconds.
struct Step {
    double real_s = 0;
    double day_s = 0;
};

/// Line to neutral voltages of L1..L3; 0: phase not there.
using Voltages = std::array<double, 3>;

struct CarConfig {
    std::string name = "car1";  ///< As the script and the live controls name it.
    std::string vin;            ///< Empty: not a Tesla, the charger reads zeros and there is no cloud account.
    double battery_kwh = 75;
    double soc_pct = 55;
    double charge_limit_pct = 80;
    double max_current_a = 32;  ///< What its onboard charger takes per phase.
    int phases = 1;             ///< What its onboard charger uses, if the connection has as many.
    double start_delay_min_s = 3;
    double start_delay_max_s = 10;
    double ramp_up_a_per_s = 0.7;  ///< 6 A to 13 A in ten seconds (TWC protocol notes 6.3).
    double ramp_down_a_per_s = 3;
    double wake_delay_s = 15;    ///< From the wake-up call to online.
    double sleep_after_s = 900;  ///< Of idleness.
    bool asleep = false;         ///< At the start.
    bool drops_on_raise =
        false;  ///< Software 2017.44: any raise is answered with 5.2 A until 16 A were offered for 5 s.
};

/// What the charger gives a car.
struct Supply {
    double pilot_a = 0;  ///< Current offered per phase; 0: none, or the contactor is open.
    int phases = 1;
    Voltages voltage_v{};
};

/// One car: its battery, its wishes and the current it takes.
class Car {
public:
    enum class Charging { disconnected, stopped, no_power, starting, charging, complete };

    Car(CarConfig config, std::uint64_t seed);

    const CarConfig& config() const { return config_; }

    void plug_in(std::optional<double> soc_pct = {});
    void unplug();
    void advance(const Step& step, const Supply& supply);

    bool plugged() const { return plugged_; }
    bool asleep() const { return asleep_; }
    /// It would charge if it were offered enough.
    bool wants_power() const;
    Charging charging() const;
    double current_a() const { return plugged_ ? current_a_ : 0; }  ///< per phase
    int phases_in_use() const { return phases_in_use_; }
    double power_w() const { return power_w_; }
    double soc_pct() const { return soc_pct_; }
    double session_kwh() const { return session_kwh_; }
    double charge_limit_pct() const { return charge_limit_pct_; }
    int amps_request() const { return amps_request_; }
    const Supply& supply() const { return supply_; }
    double hours_to_full() const;

    // What the vehicle API asks of a car that is awake.
    void allow_charging(bool allowed);
    void set_amps_request(int amps);
    void set_charge_limit(double percent) { charge_limit_pct_ = percent; }
    /// Online after the configured delay; does nothing to a car that is awake.
    void wake();
    /// Reading its data keeps an awake car awake.
    void keep_awake() { idle_s_ = 0; }
    void fall_asleep();

private:
    double wanted_current_a(const Step& step);
    bool is_held_low(const Step& step);
    void charge(const Step& step);
    void follow_sleep(const Step& step);

    CarConfig config_;
    Random random_;
    double soc_pct_;
    double charge_limit_pct_;
    int amps_request_;
    double undershoot_a_;  ///< How far it stays below the offer (notes 5.2).
    bool plugged_ = false;
    bool stopped_ = false;
    bool asleep_ = false;
    bool started_ = false;
    double start_delay_left_s_ = 0;
    double current_a_ = 0;
    double power_w_ = 0;
    double session_kwh_ = 0;
    double idle_s_ = 0;
    double last_pilot_a_ = 0;
    double high_pilot_s_ = 0;
    bool held_low_ = false;
    std::optional<double> wakes_in_s_;
    int phases_in_use_ = 0;
    Supply supply_;
};

inline constexpr double km_per_pct = 4.7;  ///< Rated range of a percent of charge.

/// "no_power", as in the contract.
std::string to_text(Car::Charging charging);
/// "NoPower", as the vehicle API and TeslaMate spell it.
std::string api_text(Car::Charging charging);

}  // namespace house_sim
