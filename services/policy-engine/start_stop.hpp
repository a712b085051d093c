#pragma once

#include "policy-engine/types.hpp"

namespace policy_engine {

/// What one charger's solar start and stop are decided on.
struct StartStopInputs {
    double surplus_w = 0;     ///< For this charger, after all that come before it.
    double minimum_w = 0;     ///< Power at the minimum current.
    double grid_weight = 1;   ///< See surplus.hpp.
    bool may_start = true;    ///< Data is fresh.
    bool displaced = false;   ///< The sun would do for this charger, but others come first.
    Duration elapsed{0};      ///< Since the last decision.
    Duration drawing_for{0};  ///< By measured current; 0: is not drawing.
    Duration stopped_for{0};  ///< By measured current; large when it has not drawn yet.
};

struct StartStop {
    bool on = false;
    double value = 0;
    double sky = 1;
    Reason reason = Reason::no_surplus;
    std::optional<double> countdown_s;
};

/// The worth of charging at the minimum current now: 1 when the sun covers it, −weight when the grid does.
double value_of_minimum(double surplus_w, double minimum_w, double grid_weight);

/// The value rule. While off, a fading average (`start_memory`) of the value must reach `start_level`; while on, a
/// slower one (`stop_memory`, up to three times as long as the starts of the day are used up) must fall below 0. So a
/// stop comes when the sun of the last minutes no longer pays for what the grid adds: soon with a high price of import
/// or deep shade, late in passing clouds. Waiting for the sun only pays where it comes back: the memory of stops
/// shrinks to half a minute as the mean value of the last hour (`sky`) falls from 0.3 to −0.3. Minimum on and off
/// times count from the measured current, not from what was offered.
StartStop start_stop(const ValueRule& rule, const Settings& settings, const ChargerMemory& memory,
                     const StartStopInputs& inputs);

}  // namespace policy_engine
