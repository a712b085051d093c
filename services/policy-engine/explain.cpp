#include "policy-engine/explain.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include <fmt/format.h>

namespace policy_engine {

namespace {

std::string limited_by(const ChargerDecision& decision) {
    return decision.binding == Limit::none ? "" : fmt::format(", limited by {}", name_of(decision.binding));
}

std::string for_another(const ChargerDecision& decision) {
    return decision.countdown_s ? fmt::format(" for another {}", duration_text(*decision.countdown_s)) : "";
}

std::string in_time(const ChargerDecision& decision) {
    return decision.countdown_s ? fmt::format(" in {}", duration_text(*decision.countdown_s)) : "";
}

std::string order_sentence(const ChargerDecision& decision) {
    switch (decision.reason) {
        case Reason::override_off:
            return fmt::format("stopped by an override{}", for_another(decision));
        case Reason::override_amps:
            return fmt::format("{:g} A: override of {:g} A{}{}", decision.target_a, decision.asked_a,
                               for_another(decision), limited_by(decision));
        case Reason::override_max:
            return fmt::format("{:g} A: override to the maximum{}{}", decision.target_a, for_another(decision),
                               limited_by(decision));
        case Reason::fast:
            return fmt::format("{:g} A: fast charging{}", decision.target_a, limited_by(decision));
        case Reason::scheduled:
            return fmt::format("{:g} A: inside a scheduled window{}{}", decision.target_a, for_another(decision),
                               limited_by(decision));
        case Reason::outside_schedule:
            return fmt::format("outside the scheduled windows, the next one opens{}",
                               decision.countdown_s ? in_time(decision) : " never: there are none");
        case Reason::rule_off:
            return fmt::format("not now, by the rule {}", decision.rule);
        case Reason::rule_amps:
            return fmt::format("{:g} A: {:g} A by the rule {}{}", decision.target_a, decision.asked_a, decision.rule,
                               limited_by(decision));
        case Reason::rule_max:
            return fmt::format("{:g} A: the maximum by the rule {}{}", decision.target_a, decision.rule,
                               limited_by(decision));
        case Reason::no_rule:
            return "no rule matches";
        case Reason::plan:
            return fmt::format("{:g} A: the plan charges now{}{}", decision.target_a, for_another(decision),
                               limited_by(decision));
        case Reason::plan_late:
            return fmt::format("{:g} A: the plan cannot wait any longer{}", decision.target_a, limited_by(decision));
        case Reason::cheap:
            return fmt::format("{:g} A: the price is low{}{}", decision.target_a, for_another(decision),
                               limited_by(decision));
        case Reason::minimum_charge:
            return fmt::format("{:g} A: the car is below its least charge{}", decision.target_a, limited_by(decision));
        case Reason::not_allowed:
            return "this car may not charge here";
        case Reason::mode_off:
            return "charging is switched off";
        case Reason::disabled:
            return "this charger or its vehicle is disabled";
        case Reason::not_plugged:
            return "no car is plugged in";
        case Reason::other_master:
            return "another master decides about this charger: twc-bus takes no limits";
        case Reason::offline:
            return decision.target_a > 0
                       ? fmt::format("{:g} A, kept for now: the charger does not answer", decision.target_a)
                       : "the charger does not answer";
        default:
            return "the charger reports a fault";
    }
}

std::string sun_sentence(const ChargerDecision& decision) {
    const std::string surplus = power_text(decision.amount_w);
    switch (decision.reason) {
        case Reason::surplus:
            return fmt::format("{:g} A: follows {} of surplus{}", decision.target_a, surplus, limited_by(decision));
        case Reason::minimum:
            return fmt::format("{:g} A: minimum, the surplus of {} does not carry more{}", decision.target_a, surplus,
                               limited_by(decision));
        case Reason::no_surplus:
            return fmt::format("waits for sun: {} of surplus is not worth a start", surplus);
        case Reason::starting_soon:
            return fmt::format("starts{}: {} of surplus must last a little longer", in_time(decision), surplus);
        case Reason::riding_out:
            return fmt::format("{:g} A: rides out a cloud with {} of surplus, stops{}", decision.target_a, surplus,
                               decision.countdown_s ? in_time(decision) : " if it lasts");
        case Reason::minimum_on_time:
            return fmt::format("{:g} A: surplus is down to {}, but it charges{} to spare contactor and car",
                               decision.target_a, surplus, for_another(decision));
        case Reason::minimum_off_time:
            return fmt::format("starts{}: {} of surplus, but it has stopped only just now", in_time(decision), surplus);
        case Reason::start_budget:
            return fmt::format("{} of surplus, but all starts of today are used up", surplus);
        default:
            return fmt::format("waits for its turn: {} of surplus go to other chargers first", surplus);
    }
}

}  // namespace

const char* kind_of(Reason reason) {
    switch (reason) {
        case Reason::mode_off:
        case Reason::disabled:
        case Reason::not_allowed:
        case Reason::override_off:
        case Reason::rule_off:
        case Reason::no_rule:
            return "off";
        case Reason::offline:
        case Reason::other_master:
        case Reason::fault:
        case Reason::not_plugged:
        case Reason::not_taken:
            return "absent";
        case Reason::override_amps:
        case Reason::override_max:
        case Reason::fast:
        case Reason::scheduled:
        case Reason::rule_amps:
        case Reason::rule_max:
        case Reason::plan:
        case Reason::plan_late:
        case Reason::cheap:
        case Reason::minimum_charge:
            return "order";
        case Reason::surplus:
        case Reason::minimum:
        case Reason::riding_out:
        case Reason::minimum_on_time:
            return "sun";
        case Reason::outside_schedule:
        case Reason::no_surplus:
        case Reason::starting_soon:
        case Reason::minimum_off_time:
        case Reason::start_budget:
        case Reason::waits_for_turn:
            return "waiting";
        case Reason::no_room:
            return "limit";
        case Reason::stale_hold:
        case Reason::stale_minimum:
        case Reason::stale_stop:
            return "data";
        case Reason::stopping_by_vehicle:
        case Reason::stop_without_vehicle:
            break;
    }
    return "stopping";
}

const char* origin_of(Limit limit) {
    switch (limit) {
        case Limit::wiring:
            return "wiring of all chargers";
        case Limit::house_l1:
            return "main fuse, phase 1";
        case Limit::house_l2:
            return "main fuse, phase 2";
        case Limit::house_l3:
            return "main fuse, phase 3";
        case Limit::house_unknown:
            return "main fuse, and the currents of the phases are not known";
        case Limit::import_cap:
            return "highest import from the grid";
        case Limit::quarter_hour:
            return "highest mean import of a quarter of an hour";
        case Limit::dimming:
            return "dimming by the grid operator";
        case Limit::grid_maximum:
            return "highest import per phase for what does not follow the sun";
        default:
            return "limit of one charger";
    }
}

std::string duration_text(double duration_s) {
    const auto whole = static_cast<long long>(std::ceil(std::clamp(duration_s, 0.0, 1e9)));
    if (whole < 120) {
        return fmt::format("{} s", whole);
    }
    const long long minutes = (whole + 30) / 60;
    if (minutes < 120) {
        return fmt::format("{} min", minutes);
    }
    return minutes % 60 == 0 ? fmt::format("{} h", minutes / 60)
                             : fmt::format("{} h {} min", minutes / 60, minutes % 60);
}

std::string power_text(double power_w) {
    return std::abs(power_w) < 1000 ? fmt::format("{:.0f} W", power_w == 0 ? 0.0 : power_w)
                                    : fmt::format("{:.1f} kW", power_w / 1000);
}

std::string sentence(const ChargerDecision& decision) {
    switch (decision.reason) {
        case Reason::no_room:
            return fmt::format("the limit {} leaves less than the minimum current{}",
                               decision.binding == Limit::none ? "of the order" : name_of(decision.binding),
                               decision.countdown_s ? ", next try" + in_time(decision) : "");
        case Reason::stale_hold:
            return decision.target_a > 0
                       ? fmt::format("{:g} A: the measurements are getting old, no increase", decision.target_a)
                       : "waits for fresh measurements";
        case Reason::stale_minimum:
            return fmt::format("{:g} A: the measurements are stale, fail-safe minimum", decision.target_a);
        case Reason::stale_stop:
            return "the measurements are lost: stopped";
        case Reason::stopping_by_vehicle:
            return fmt::format("{:g} A: the car has been told to stop{}", decision.target_a,
                               decision.countdown_s ? fmt::format(", the charger follows within {}",
                                                                  duration_text(*decision.countdown_s))
                                                    : "");
        case Reason::not_taken:
            return fmt::format(
                "{:g} A offered, but the car takes nothing: it is full, asleep, or waits for its own timer",
                decision.target_a);
        case Reason::stop_without_vehicle:
            return "set to 0 A without a vehicle link: this Wall Connector may let the car go on near 6 A";
        default:
            break;
    }
    return decision.reason >= Reason::surplus ? sun_sentence(decision) : order_sentence(decision);
}

const char* name_of(Mode mode) {
    constexpr std::array<const char*, 6> names{"off", "solar", "min_solar", "fast", "scheduled", "rules"};
    return names.at(static_cast<std::size_t>(mode));
}

std::optional<Mode> mode_named(const std::string& name) {
    for (const Mode mode : {Mode::off, Mode::solar, Mode::min_solar, Mode::fast, Mode::scheduled, Mode::rules}) {
        if (name == name_of(mode)) {
            return mode;
        }
    }
    return std::nullopt;
}

const char* name_of(Limit limit) {
    constexpr std::array<const char*, 15> names{nullptr,           "wiring",       "charger",    "user_maximum",
                                                "vehicle_maximum", "house_l1",     "house_l2",   "house_l3",
                                                "house_unknown",   "import_cap",   "stale_data", "quarter_hour",
                                                "dimming",         "grid_maximum", "rule"};
    return names.at(static_cast<std::size_t>(limit));
}

const char* name_of(Reason reason) {
    constexpr std::array<const char*, 37> names{"mode_off",
                                                "disabled",
                                                "offline",
                                                "other_master",
                                                "fault",
                                                "not_plugged",
                                                "override_off",
                                                "override_amps",
                                                "override_max",
                                                "fast",
                                                "scheduled",
                                                "outside_schedule",
                                                "rule_off",
                                                "rule_amps",
                                                "rule_max",
                                                "no_rule",
                                                "plan",
                                                "plan_late",
                                                "cheap",
                                                "minimum_charge",
                                                "not_allowed",
                                                "surplus",
                                                "minimum",
                                                "no_surplus",
                                                "starting_soon",
                                                "riding_out",
                                                "minimum_on_time",
                                                "minimum_off_time",
                                                "start_budget",
                                                "waits_for_turn",
                                                "no_room",
                                                "stale_hold",
                                                "stale_minimum",
                                                "stale_stop",
                                                "stopping_by_vehicle",
                                                "not_taken",
                                                "stop_without_vehicle"};
    return names.at(static_cast<std::size_t>(reason));
}

}  // namespace policy_engine
