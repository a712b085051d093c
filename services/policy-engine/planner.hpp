#pragma once

#include <string>

#include "policy-engine/types.hpp"

namespace policy_engine {

/// An energy to be charged by a deadline, as things stand now.
struct ChargeTask {
    WallTime now{};
    WallTime deadline{};
    double needed_kwh = 0;               ///< Still to be drawn from the wall; 0 or less: reached.
    double full_w = 0;                   ///< At full current.
    double minimum_w = 0;                ///< At the lowest current: less sun than this charges nothing.
    double house_w = 0;                  ///< Expected load of the house without chargers.
    std::optional<double> export_price;  ///< Per kWh, where the tariff names none; none: 0.
    PlanStrategy strategy = PlanStrategy::cheapest;
    /// The last part before the deadline that is kept for charging, so that the battery is warm when the car leaves.
    Duration precondition{0};
    /// Since when plans have had it charge without a break; none: they have not.
    std::optional<WallTime> running_since;
};

/// Chooses when to charge. Rules, in this order:
///
/// - Never late. A reserve of 10 min and a quarter of the time that charging takes at full current is kept before the
///   deadline: enough for a car that takes only 80 % of what is planned for. When the time left is down to that,
///   charging begins and prices do not count. So a plan that is renewed at least every few minutes, with the energy
///   really still needed, reaches every goal that could be reached when it was set. After the deadline charging goes
///   on until the goal is reached.
/// - The cheapest hours first, the later ones first of equal ones; hours of unknown price only when the others are not
///   enough. Without a tariff, that is as late as is safe.
/// - What the sun is expected to give outside the chosen hours needs no hours: `sun_confidence` of the forecast less
///   the house, where that is enough for the minimum current. In chosen hours, sun costs what feeding it in would earn.
/// - Once running: for at least 10 min, and on through hours that cost no more than 5 % of the mean price above better
///   ones; `continuous` until the end. No run and no pause is planned that is shorter than 20 min, unless nothing else
///   is left: prices that change every quarter of an hour must not cost a start each.
///
/// With `precondition`, 80 % of what the last part could take is held back for it (it must be enough for a slow car);
/// `continuous` then means one stretch up to the deadline, as late as is safe.
///
/// Slots must be in order and without overlaps, as types.hpp says; they are absolute, so that a night of 23 or 25 hours
/// is like any other.
Plan plan_charge(const ChargeTask& task, const Tariff& tariff, const Forecast& forecast);

/// Share of the forecast that is counted on. A forecast for one roof is off by a quarter of the day's energy or so on
/// changeable days; energy that was wrongly counted on must be bought late at any price, energy that was not counted
/// on costs only the difference between two prices.
inline constexpr double sun_confidence = 0.7;

/// How long before the deadline charging that takes `charging_time` must begin at the latest, beyond that time.
Duration plan_reserve(Duration charging_time);

}  // namespace policy_engine
