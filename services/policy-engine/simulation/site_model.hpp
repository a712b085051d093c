#pragma once

#include <array>

#include "policy-engine/simulation/site_run.hpp"

/// What a simulated site is made of.
namespace policy_engine::simulation {

/// A car and its charger's contactor, a second at a time.
class Car {
public:
    /// `min_a`: offers below it end the charge; `charger_phases`: of the unit it hangs on.
    Car(const CarSetup& setup, double min_a, double voltage_v, int charger_phases);

    void plug(bool plugged);
    /// As told by the vehicle link; a car that is unplugged forgets it.
    void allow(bool allowed) { allowed_ = allowed; }
    /// One second passes under this offer.
    void step(double offered_a);

    bool plugged() const { return plugged_; }
    double drawn_a() const { return drawn_a_; }
    int phases() const { return phases_; }
    double power_w() const { return drawn_a_ * ampere_w_; }
    std::optional<double> soc_pct() const;
    /// In the words of `vehicle/<alias>/state`.
    const char* charging_state() const;

private:
    bool full() const;
    double wanted_a() const;

    CarSetup setup_;
    double min_a_;
    int phases_;
    double ampere_w_;
    double soc_pct_;
    bool plugged_ = false;
    bool allowed_ = true;
    std::array<double, 2> on_its_way_{};  ///< An offer travels for as many seconds.
    std::size_t place_ = 0;
    int powered_s_ = 0;
    double drawn_a_ = 0;
};

class SiteBattery {
public:
    explicit SiteBattery(const BatterySetup& setup) : setup_(setup), soc_pct_(setup.soc_pct) {}

    /// What it gives (+) or takes (−) in a second in which the rest of the site would import `balance_w`.
    double answer_w(double balance_w) const;
    /// A second of that power passes.
    void step(double power_w);

    double soc_pct() const { return soc_pct_; }

private:
    BatterySetup setup_;
    double soc_pct_;
};

}  // namespace policy_engine::simulation
