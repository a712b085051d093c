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
    double value = 0;  ///< Off: the average. On: the share of the credit that is left.
    double sky = 1;
    Reason reason = Reason::no_surplus;
    std::optional<double> countdown_s;
};

/// The worth of charging at the minimum current now: 1 when the sun covers it, −weight when the grid does.
double value_of_minimum(double surplus_w, double minimum_w, double grid_weight);

/// The value rule. While off, a fading average (`start_memory`) of the value must reach `start_level`; sun beyond the
/// minimum counts up to 1.7, shade only as far as −0.5. While on, there is a credit for sitting out clouds, about
/// what a stop and a new start would cost (`stop_memory` times 750 W); charging at the minimum draws on it by what it
/// loses and fills it again by what it gains, and a stop comes when it is used up. So a cloud is sat out for seconds
/// where it is dear (three phases, high price of import), for many minutes where it is not. The credit grows up to
/// twenty times as the starts of the day are used up, and shrinks to a twentieth under a grey sky, when in the last
/// hour
/// (`sky`) the sun did for the minimum less than 15 % of the time: waiting only pays where the sun comes back.
/// Minimum on and off times count from the measured current, not from what was offered.
StartStop start_stop(const ValueRule& rule, const Settings& settings, const ChargerMemory& memory,
                     const StartStopInputs& inputs);

}  // namespace policy_engine
