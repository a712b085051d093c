#include "policy-engine/decide.hpp"

#include <algorithm>
#include <cmath>

#include "policy-engine/charger_memory.hpp"
#include "policy-engine/limits.hpp"
#include "policy-engine/low_current.hpp"
#include "policy-engine/modes.hpp"
#include "policy-engine/plans.hpp"
#include "policy-engine/share.hpp"
#include "policy-engine/site_memory.hpp"
#include "policy-engine/staleness.hpp"
#include "policy-engine/start_stop.hpp"
#include "policy-engine/surplus.hpp"
#include "policy-engine/tariff.hpp"
#include "policy-engine/vehicle_control.hpp"
#include "policy-engine/vehicle_limit.hpp"
#include "policy-engine/vehicle_match.hpp"

namespace policy_engine {

namespace {

using namespace std::chrono_literals;

constexpr int default_priority = 5;
// A car that has not begun to draw by then is full or asleep: others may have what it leaves.
constexpr Duration start_patience = 90s;
// A charger that hears no master opens its contactor by then (TWC protocol notes 7.1).
constexpr Duration kept_while_lost = 30s;
// TWC protocol notes 6.1: below, cars do not charge reliably.
constexpr double lowest_order_a = 5;
// A fuse stands a small overload for minutes; a contactor is not opened for a kettle.
constexpr Duration shortage_grace = 10s;
constexpr Duration shortage_retry = 60s;
// What the home battery has started it keeps down to so much below, unless a buffer says otherwise.
constexpr double battery_start_band_pct = 5;

/// One decision in progress.
class Decider {
public:
    /// Fills `decision`, whose memory is the one to start from.
    Decider(const Config& config, const Settings& settings, const Inputs& inputs, Decision& decision)
        : config_(config), settings_(settings), inputs_(inputs), decision_(decision), memory_(decision.memory) {}

    void run();

private:
    /// A charger's part that `Claim` does not hold.
    struct Case {
        Wish wish;
        double amount_w = 0;  ///< Surplus it may count on.
        Limit blocked_by = Limit::none;
        Guest guest;
        bool needs_site = false;
        bool is_unused = false;          ///< The car has long taken nothing of its offer.
        bool holds_for_vehicle = false;  ///< Kept at the minimum until the car has stopped.
    };

    /// Where a charger stands in the queue of its priority.
    struct Place {
        int group = 0;  ///< 0 in its turn, 1 waiting, 2 its turn is over.
        Instant since{};
        std::size_t index = 0;
    };

    void measure(std::size_t index);
    void make_claim(std::size_t index);
    void refuse(std::size_t index, Reason reason);
    void hold_while_lost(std::size_t index);
    void set_priority(std::size_t index, const ChargerSettings* chosen);
    void choose_rule();
    void call_webhooks();
    void call_webhook(const std::string Webhooks::*event, const char* name, const Rule& rule,
                      const std::string& charger = "");
    Wish wish_of(std::size_t index, const ChargerSettings* chosen) const;
    double lifted_w(std::size_t index, double surplus_w, double minimum_w);
    void note_use_of_offer(std::size_t index);
    Place place_of(std::size_t index);
    void assign_turns();
    void apply_age();
    void apply_age(std::size_t index, Freshness freshness);
    void apply_start_stop();
    StartStop judge(std::size_t index, double surplus_w);
    void start_or_stop(std::size_t index, double& left_w);
    void hold_for_vehicles();
    double usable_surplus_w() const;
    Budget least_needed() const;
    void keep_through_shortage(Budget& budget);
    void block_starts();
    void steer_vehicle(std::size_t index);
    void conclude(std::size_t index);
    Reason reason_for(std::size_t index) const;
    const Vehicle* commandable_vehicle(const ChargerMemory& memory) const;

    bool fresh() const { return freshness_ == Freshness::fresh; }

    const Config& config_;
    const Settings& settings_;
    const Inputs& inputs_;
    Decision& decision_;
    Memory& memory_;
    Duration elapsed_{0};
    Freshness freshness_ = Freshness::ageing;
    double weight_ = 1;
    std::vector<Claim> claims_;
    std::vector<Case> cases_;
    const Rule* rule_ = nullptr;  ///< The active one.
    bool is_emergency_ = false;
    double top_up_a_ = 0;           ///< Left of what the grid may add.
    double battery_support_w_ = 0;  ///< Left of what the home battery may add.
};

double start_power_w(const Claim& claim) {
    return std::max(1.0,
                    claim.low_a > 0 ? claim.low_a * claim.ampere_w : (claim.minimum_a - claim.gap_a) * claim.ampere_w);
}

void Decider::run() {
    const std::size_t count = inputs_.chargers.size();
    elapsed_ = memory_.decided_at ? std::max(inputs_.now - *memory_.decided_at, Duration::zero()) : Duration::zero();
    weight_ = grid_weight(settings_, prices_in_force(settings_, inputs_));
    follow_chargers(config_, settings_, inputs_, memory_);
    claims_.resize(count);
    cases_.resize(count);
    for (std::size_t i = 0; i < count; ++i) {
        measure(i);
    }
    take_in_site(config_, settings_, inputs_, claims_, memory_);
    match_vehicles(config_, inputs_, memory_);
    if (settings_.quarter_hour_w) {
        count_quarter_hour(inputs_, elapsed_, memory_);
    }
    choose_rule();
    freshness_ = site_freshness(config_.stale, inputs_, memory_.site_at);

    for (std::size_t i = 0; i < count; ++i) {
        make_claim(i);
    }
    const auto grid_w = fresh() ? memory_.grid_w : std::nullopt;
    account_sessions(settings_, inputs_, claims_, grid_w, elapsed_, memory_);
    assign_turns();
    apply_start_stop();
    apply_age();
    hold_for_vehicles();
    SharedLimits limits = shared_limits(config_, settings_, inputs_, memory_);
    decision_.limits = std::move(limits.in_force);
    keep_through_shortage(limits.budget);
    share_out(claims_, limits.budget, usable_surplus_w(), round_up_from(weight_));

    decision_.chargers.reserve(count);
    for (std::size_t i = 0; i < count; ++i) {
        conclude(i);
    }
    apply_vehicle_limit(rule_ == nullptr ? std::nullopt : rule_->action.vehicle_limit_pct, inputs_, decision_);
    call_webhooks();
    if (memory_.site_at && freshness_ <= Freshness::ageing) {
        decision_.surplus_w = memory_.available_w;
    }
    memory_.decided_at = inputs_.now;
    memory_.local_day = inputs_.local_day;
}

// Phases and watts per ampere. The car may use fewer phases than its charger has.
void Decider::measure(std::size_t index) {
    const Charger& charger = inputs_.chargers[index];
    const std::string& alias = memory_.chargers[index].vehicle;
    const auto* configured = config_of(config_, charger.id);
    const auto* vehicle = alias.empty() ? nullptr : vehicle_config_of(config_, alias);
    Claim& claim = claims_[index];
    claim.phases = configured != nullptr && configured->phases ? *configured->phases
                                                               : charger.phases.value_or(config_.site.phases);
    if (vehicle != nullptr && vehicle->phases) {
        claim.phases = std::min(claim.phases, *vehicle->phases);
    }
    claim.first_line = configured != nullptr && configured->first_line ? *configured->first_line - 1 : -1;
    claim.ampere_w = claim.phases * volts(config_.site, inputs_.site, charger);
    if (inputs_.site && config_.site.chargers_inside_meter && !line_is_known(config_.site, claim)) {
        claim.line_drawn_a = memory_.chargers[index].drawn.at(inputs_.site->measured_at - config_.site.meter_delay);
    }
}

void Decider::refuse(std::size_t index, Reason reason) {
    cases_[index].wish = {.kind = Wish::Kind::none, .reason = reason};
}

// A restart of twc-bus takes seconds and its cars charge on: what they had stays theirs, and never more.
void Decider::hold_while_lost(std::size_t index) {
    const ChargerMemory& memory = memory_.chargers[index];
    Wish& wish = cases_[index].wish;
    if (!inputs_.bus.takes_limits) {
        refuse(index, Reason::other_master);
        return;
    }
    const bool goes_on = wish.kind != Wish::Kind::none && memory.drawing && memory.target_a > 0 &&
                         inputs_.now - *memory.lost_at < kept_while_lost;
    if (!goes_on) {
        refuse(index, Reason::offline);
        return;
    }
    wish = {.kind = Wish::Kind::firm,
            .amps = std::min(memory.target_a, wish.amps.value_or(memory.target_a)),
            .reason = Reason::offline};
}

void Decider::set_priority(std::size_t index, const ChargerSettings* chosen) {
    const auto* configured = config_of(config_, inputs_.chargers[index].id);
    int& priority = claims_[index].priority;
    priority = configured != nullptr ? configured->priority : default_priority;
    priority = priority_of(cases_[index].guest).value_or(priority);
    if (chosen != nullptr && chosen->priority) {
        priority = *chosen->priority;
    }
}

// Of emergencies always; of the others only where somebody wants to go by them.
void Decider::choose_rule() {
    const RuleSet& rules = config_.rules;
    const bool all = uses_rules(settings_);
    const auto before = memory_.rules.active;
    memory_.rules.active.reset();
    if (all || rules.emergencies > 0) {
        memory_.rules.active =
            active_rule(rules, {config_, settings_, inputs_, memory_}, inputs_.now, !all, memory_.rules);
    }
    const auto& active = memory_.rules.active;
    if (before != active && before && *before < rules.list.size()) {
        call_webhook(&Webhooks::exit, "exit", rules.list[*before]);
    }
    if (!active) {
        return;
    }
    rule_ = &rules.list[*active];
    is_emergency_ = *active < rules.emergencies;
    decision_.rule = rule_->name;
    if (before != active) {
        call_webhook(&Webhooks::enter, "enter", *rule_);
    }
}

void Decider::call_webhook(const std::string Webhooks::*event, const char* name, const Rule& rule,
                           const std::string& charger) {
    if (const std::string& url = rule.webhooks.*event; !url.empty()) {
        decision_.webhooks.push_back({url, name, rule.name, charger});
    }
}

void Decider::call_webhooks() {
    for (const auto& charger : memory_.chargers) {
        if (rule_ != nullptr && charger.has_drawn && charger.drawing_since == inputs_.now && memory_.decided_at) {
            call_webhook(charger.drawing ? &Webhooks::start : &Webhooks::stop, charger.drawing ? "start" : "stop",
                         *rule_, charger.id);
        }
    }
}

Wish Decider::wish_of(std::size_t index, const ChargerSettings* chosen) const {
    const Circumstances all{config_, settings_, inputs_, memory_};
    return wish_for({.all = all,
                     .chosen = chosen,
                     .rule = rule_,
                     .is_emergency = is_emergency_,
                     .plan = leading_plan(memory_.chargers[index].plans, inputs_.wall),
                     .guest = cases_[index].guest,
                     .ampere_w = claims_[index].ampere_w});
}

void Decider::make_claim(std::size_t index) {
    const Charger& charger = inputs_.chargers[index];
    ChargerMemory& memory = memory_.chargers[index];
    Claim& claim = claims_[index];
    Case& state = cases_[index];
    const auto* chosen = settings_of(settings_, charger.id);

    state.guest = guest_on(config_, settings_, inputs_, charger, memory);
    claim.minimum_a = minimum_a(settings_, inputs_.bus);
    if (!memory.plans.empty() || !settings_.plans.empty()) {
        constexpr double usual_a = 32;  // of a unit that has not said what it can
        const double cap_a = std::min({charger_cap(config_, settings_, inputs_, charger, state.guest, nullptr).amps,
                                       charger.max_a.value_or(usual_a), inputs_.bus.wiring_max_a.value_or(unlimited),
                                       config_.site.wiring_max_a.value_or(unlimited)});
        follow_plans(config_, settings_, inputs_, state.guest, claim, cap_a, index, elapsed_, memory_);
    }
    state.wish = wish_of(index, chosen);
    set_priority(index, chosen);
    if (memory.lost_at) {
        hold_while_lost(index);
    } else if (charger.fault) {
        refuse(index, Reason::fault);
    }
    Cap cap = charger_cap(config_, settings_, inputs_, charger, state.guest, state.wish.rule);
    if (state.wish.amps) {
        // An order below the site's preferred minimum is an order.
        claim.minimum_a =
            std::min(claim.minimum_a, std::max(*state.wish.amps, inputs_.bus.charger_min_a.value_or(lowest_order_a)));
        cap.lower_to(state.wish.amps, Limit::none);
    }
    claim.cap_a = cap.amps;
    claim.cap_name = cap.name;
    claim.gap_a = memory.gap_a;
    claim.kind = state.wish.kind;
    claim.on = state.wish.kind == Wish::Kind::solar ? memory.on : state.wish.kind != Wish::Kind::none;
    const bool by_sun = claim.kind == Wish::Kind::solar || claim.kind == Wish::Kind::floored;
    state.needs_site = by_sun || config_.site.main_fuse_a || settings_.import_cap_w || settings_.quarter_hour_w ||
                       (settings_.grid_max_a && claim.kind == Wish::Kind::firm);
    if (claim.kind == Wish::Kind::solar && state.guest.config != nullptr && state.guest.config->low_a &&
        commandable_vehicle(memory) != nullptr) {
        claim.low_a = *state.guest.config->low_a;
    }
    if (charger.plugged == false && claim.kind != Wish::Kind::none) {
        state.wish.reason = Reason::not_plugged;
    }
    note_use_of_offer(index);
}

void Decider::note_use_of_offer(std::size_t index) {
    const ChargerMemory& memory = memory_.chargers[index];
    const auto& drawn_a = inputs_.chargers[index].drawn_a;
    Claim& claim = claims_[index];
    if (!drawn_a || memory.target_a <= 0) {
        return;
    }
    const Duration unchanged = inputs_.now - memory.target_changed_at;
    const Duration idle = memory.drawing ? Duration::zero() : std::min(unchanged, inputs_.now - memory.drawing_since);
    const double expected_a = memory.vehicle_a > 0 ? std::min(memory.vehicle_a, memory.target_a) : memory.target_a;
    if (*drawn_a >= expected_a - not_following_a) {
        return;
    }
    if (idle > start_patience) {
        claim.most_used_a = 0;
        cases_[index].is_unused = true;
    } else if (memory.drawing && unchanged > settling_time(memory)) {
        claim.most_used_a = *drawn_a + not_following_a;
    }
    // More is offered only to a car that follows.
    if (claim.kind == Wish::Kind::solar || claim.kind == Wish::Kind::floored) {
        const double as_before_a = std::max(claim.minimum_a, memory.target_a);
        if (as_before_a < claim.cap_a) {
            claim.cap_a = as_before_a;
            claim.cap_name = Limit::none;  // the car's own doing
        }
    }
}

// Who is being served stays first until its turn is over; then whoever has waited longest.
Decider::Place Decider::place_of(std::size_t index) {
    auto& memory = memory_.chargers[index];
    const bool served = claims_[index].kind == Wish::Kind::solar ? memory.on : memory.target_a > 0;
    if (!served) {
        if (memory.turn_since) {
            memory.turn_ended_at = inputs_.now;
        }
        memory.turn_since.reset();
        return {.group = 1, .since = memory.turn_ended_at, .index = index};
    }
    memory.turn_since = memory.turn_since.value_or(inputs_.now);
    const bool over = inputs_.now - *memory.turn_since >= from_seconds(settings_.rotation_s);
    return {.group = over ? 2 : 0, .since = *memory.turn_since, .index = index};
}

void Decider::assign_turns() {
    if (claims_.size() < 2) {
        return;
    }
    std::vector<Place> places;
    for (std::size_t i = 0; i < claims_.size(); ++i) {
        places.push_back(place_of(i));
    }
    std::ranges::sort(places, [](const Place& a, const Place& b) {
        return std::tuple(a.group, a.since, a.index) < std::tuple(b.group, b.since, b.index);
    });
    for (std::size_t turn = 0; turn < places.size(); ++turn) {
        claims_[places[turn].index].turn = static_cast<int>(turn);
    }
}

void Decider::apply_start_stop() {
    double left_w = memory_.available_w;
    top_up_a_ = rule_ != nullptr ? rule_->action.top_up_a.value_or(settings_.top_up_a) : settings_.top_up_a;
    battery_support_w_ = config_.site.battery_max_w.value_or(unlimited);
    for (std::size_t i = 0; i < claims_.size(); ++i) {
        const Claim& claim = claims_[i];
        if (claim.kind == Wish::Kind::firm) {
            left_w -= used_w(claim, std::max(memory_.chargers[i].target_a, claim.minimum_a));
        } else if (claim.kind == Wish::Kind::floored) {
            left_w -= used_w(claim, claim.minimum_a);
        }
    }
    for (const std::size_t index : serving_order(claims_)) {
        start_or_stop(index, left_w);
    }
}

// What the grid (`top_up_a`) or a full home battery may add to the sun, so that it is enough for the minimum.
double Decider::lifted_w(std::size_t index, double surplus_w, double minimum_w) {
    const bool on = memory_.chargers[index].on;
    const double missing_w = minimum_w - std::max(0.0, surplus_w);
    if (missing_w <= 0) {
        return surplus_w;
    }
    const double ampere_w = claims_[index].ampere_w;
    if ((on || settings_.top_up_starts) && missing_w <= top_up_a_ * ampere_w) {
        top_up_a_ -= missing_w / ampere_w;
        return minimum_w;
    }
    auto needed_pct = on ? settings_.battery_buffer_pct : settings_.battery_start_pct;
    if (on && !needed_pct && settings_.battery_start_pct) {
        needed_pct = *settings_.battery_start_pct - battery_start_band_pct;
    }
    const auto charge_pct = inputs_.site ? inputs_.site->battery_soc_pct : std::nullopt;
    if (needed_pct && charge_pct && *charge_pct >= *needed_pct && missing_w <= battery_support_w_) {
        battery_support_w_ -= missing_w;
        return minimum_w;
    }
    return surplus_w;
}

StartStop Decider::judge(std::size_t index, double surplus_w) {
    const Claim& claim = claims_[index];
    const Charger& charger = inputs_.chargers[index];
    const ChargerMemory& memory = memory_.chargers[index];
    const Duration since = inputs_.now - memory.drawing_since;
    const double minimum_w = start_power_w(claim);
    return start_stop(config_.value, settings_, memory,
                      {.surplus_w = lifted_w(index, surplus_w, minimum_w),
                       .minimum_w = minimum_w,
                       .grid_weight = weight_,
                       .may_start = charger.plugged != false && is_fresh(config_.stale, charger, inputs_.now),
                       .displaced = surplus_w < minimum_w && memory_.available_w >= minimum_w,
                       .elapsed = elapsed_,
                       .drawing_for = memory.drawing ? since : Duration::zero(),
                       .stopped_for = memory.drawing || !memory.has_drawn ? long_ago : since});
}

void Decider::start_or_stop(std::size_t index, double& left_w) {
    Claim& claim = claims_[index];
    ChargerMemory& memory = memory_.chargers[index];
    Case& state = cases_[index];
    if (claim.kind != Wish::Kind::solar) {
        state.amount_w = claim.kind == Wish::Kind::floored ? left_w + used_w(claim, claim.minimum_a) : left_w;
        memory.on = false;
        return;
    }
    state.amount_w = left_w;
    const bool unplugged = inputs_.chargers[index].plugged == false;
    if (unplugged) {
        memory.on = false;
    }
    if (fresh()) {
        const StartStop result = judge(index, left_w);
        memory.on = result.on;
        memory.value = result.value;
        memory.sky = result.sky;
        if (!unplugged) {
            state.wish.reason = result.reason;
            state.wish.countdown_s = result.countdown_s;
        }
    }
    claim.on = memory.on;
    if (claim.on) {
        left_w -= claim.low_a > 0 ? start_power_w(claim) : used_w(claim, claim.minimum_a);
    }
}

void Decider::apply_age() {
    for (std::size_t i = 0; i < claims_.size(); ++i) {
        const Charger& charger = inputs_.chargers[i];
        Freshness freshness = cases_[i].needs_site ? freshness_ : Freshness::fresh;
        const bool by_sun = claims_[i].kind == Wish::Kind::solar || claims_[i].kind == Wish::Kind::floored;
        if (by_sun && !is_fresh(config_.stale, charger, inputs_.now)) {
            freshness = std::max(freshness, Freshness::ageing);
        }
        if (charger.plugged == false) {
            claims_[i].kind = Wish::Kind::none;
            claims_[i].on = false;
        } else if (claims_[i].kind != Wish::Kind::none && freshness != Freshness::fresh) {
            apply_age(i, freshness);
        }
    }
}

void Decider::apply_age(std::size_t index, Freshness freshness) {
    Claim& claim = claims_[index];
    Wish& wish = cases_[index].wish;
    ChargerMemory& memory = memory_.chargers[index];
    const double before_a = memory.target_a;
    const auto lower_cap = [&](double amps) {
        if (amps < claim.cap_a) {
            claim.cap_a = amps;
            claim.cap_name = Limit::stale_data;
        }
    };
    switch (freshness) {
        case Freshness::fresh:
            return;
        case Freshness::ageing:
            lower_cap(before_a);
            wish.reason = Reason::stale_hold;
            break;
        case Freshness::stale:
            lower_cap(std::min(before_a, claim.minimum_a));
            wish.reason = Reason::stale_minimum;
            break;
        case Freshness::expired:
            claim.kind = Wish::Kind::none;
            claim.on = false;
            memory.on = false;
            wish.reason = Reason::stale_stop;
            break;
    }
    wish.countdown_s.reset();
    if (before_a <= 0 && freshness != Freshness::expired) {
        claim.on = false;
        memory.on = false;
        wish.reason = Reason::stale_hold;
    }
}

const Vehicle* Decider::commandable_vehicle(const ChargerMemory& memory) const {
    if (memory.vehicle.empty() || memory.vehicle_confidence < confident) {
        return nullptr;
    }
    const auto* vehicle = vehicle_of(inputs_, memory.vehicle);
    return vehicle != nullptr && vehicle->can_command ? vehicle : nullptr;
}

// The charger's share of the limits is kept for it while its car is being stopped.
void Decider::hold_for_vehicles() {
    for (std::size_t i = 0; i < claims_.size(); ++i) {
        const auto& memory = memory_.chargers[i];
        const auto& charger = inputs_.chargers[i];
        const bool drawing = charger.online && !charger.fault && memory.drawing && charger.plugged != false;
        if (claims_[i].on || !drawing || !settings_.stop_by_vehicle || memory.stop == StopStep::failed ||
            commandable_vehicle(memory) == nullptr) {
            continue;
        }
        cases_[i].holds_for_vehicle = true;
        claims_[i].kind = Wish::Kind::firm;
        claims_[i].on = true;
        claims_[i].cap_a = std::min(claims_[i].cap_a, claims_[i].minimum_a);
    }
}

double Decider::usable_surplus_w() const {
    double in_use_w = 0;
    double step_w = unlimited;
    for (std::size_t i = 0; i < claims_.size(); ++i) {
        if (claims_[i].kind != Wish::Kind::none && claims_[i].on) {
            in_use_w += used_w(claims_[i], memory_.chargers[i].target_a);
            step_w = std::min(step_w, claims_[i].ampere_w);
        }
    }
    if (step_w == unlimited || !fresh()) {
        return in_use_w;
    }
    return usable_w(memory_.available_w,
                    memory_.room.lowest_since(inputs_.now - config_.raise_hold, &SiteRoom::available_w), in_use_w,
                    step_w, weight_);
}

// What those that charge need at least of the shared budgets.
Budget Decider::least_needed() const {
    Budget needed{.wiring_a = 0, .line_a = {}, .import_w = 0};
    for (std::size_t i = 0; i < claims_.size(); ++i) {
        if (claims_[i].on && memory_.chargers[i].target_a > 0) {
            for (std::size_t line = 0; line < needed.line_a.size(); ++line) {
                const double least_a = claims_[i].minimum_a - claims_[i].line_drawn_a;
                needed.line_a[line] += uses_line(claims_[i], static_cast<int>(line)) ? least_a : 0;
            }
            needed.import_w += claims_[i].minimum_a * claims_[i].ampere_w;
        }
    }
    return needed;
}

// For a few seconds what is charging keeps its minimum although a shared limit does not allow it; after a stop for
// that reason nothing starts again for a while.
void Decider::keep_through_shortage(Budget& budget) {
    const Budget needed = least_needed();
    const bool line_short = std::ranges::any_of(
        std::array{0U, 1U, 2U}, [&](unsigned line) { return needed.line_a[line] > budget.line_a[line]; });
    if (!line_short && needed.import_w <= budget.import_w && needed.import_w <= budget.total_w) {
        memory_.shortage_since.reset();
    } else {
        memory_.shortage_since = memory_.shortage_since.value_or(inputs_.now);
        memory_.shortage_of = line_short                          ? Limit::house_l1
                              : needed.import_w > budget.import_w ? budget.import_name
                                                                  : Limit::dimming;
        if (inputs_.now - *memory_.shortage_since < shortage_grace) {
            budget.import_w = std::max(budget.import_w, needed.import_w);
            budget.total_w = std::max(budget.total_w, needed.import_w);
            for (std::size_t line = 0; line < needed.line_a.size(); ++line) {
                budget.line_a[line] = std::max(budget.line_a[line], needed.line_a[line]);
            }
        } else {
            memory_.shortage_stop_at = inputs_.now;
        }
    }
    if (memory_.shortage_stop_at && inputs_.now - *memory_.shortage_stop_at < shortage_retry) {
        block_starts();
    }
}

void Decider::block_starts() {
    for (std::size_t i = 0; i < claims_.size(); ++i) {
        if (claims_[i].on && memory_.chargers[i].target_a <= 0) {
            claims_[i].on = false;
            cases_[i].blocked_by = memory_.shortage_of;
        }
    }
}

Reason Decider::reason_for(std::size_t index) const {
    const Claim& claim = claims_[index];
    const Case& state = cases_[index];
    if (state.blocked_by != Limit::none) {
        return Reason::no_room;
    }
    if (claim.on && claim.target_a <= 0) {
        const bool shared = claim.binding == Limit::wiring &&
                            std::ranges::any_of(claims_, [](const Claim& other) { return other.target_a > 0; });
        return shared ? Reason::waits_for_turn : Reason::no_room;
    }
    if (state.is_unused && state.wish.reason >= Reason::surplus) {
        return Reason::not_taken;
    }
    const bool at_minimum = claim.kind == Wish::Kind::floored && claim.target_a <= claim.minimum_a;
    return at_minimum && state.wish.reason == Reason::surplus ? Reason::minimum : state.wish.reason;
}

// Below what the charger can offer the car itself is told.
void Decider::steer_vehicle(std::size_t index) {
    ChargerMemory& memory = memory_.chargers[index];
    const auto* configured = cases_[index].guest.config;
    const auto* vehicle = commandable_vehicle(memory);
    if (configured == nullptr || !configured->low_a || vehicle == nullptr || !memory.drawing) {
        memory.vehicle_a = memory.drawing ? memory.vehicle_a : 0;  // cars forget it with the session
        return;
    }
    if (const auto amps = low_current(claims_[index], cases_[index].amount_w, inputs_.now, memory)) {
        memory.vehicle_a = *amps >= claims_[index].cap_a ? 0 : *amps;
        memory.vehicle_a_at = inputs_.now;
        decision_.commands.push_back({memory.vehicle, "set_amps", *amps});
    }
}

void Decider::conclude(std::size_t index) {
    const Charger& charger = inputs_.chargers[index];
    ChargerMemory& memory = memory_.chargers[index];
    Claim& claim = claims_[index];
    const Case& state = cases_[index];
    ChargerDecision result{.id = charger.id,
                           .reason = reason_for(index),
                           .countdown_s = state.wish.countdown_s,
                           .binding = claim.target_a > 0 || claim.on ? claim.binding : Limit::none,
                           .amount_w = state.amount_w,
                           .asked_a = state.wish.amps.value_or(0),
                           .priority = claim.priority,
                           .max_a = charger_cap(config_, settings_, inputs_, charger, state.guest, nullptr).amps,
                           .vehicle = memory.vehicle,
                           .rule = state.wish.rule != nullptr ? state.wish.rule->name : ""};
    if (state.blocked_by != Limit::none) {
        result.binding = state.blocked_by;
        result.countdown_s = seconds(shortage_retry - (inputs_.now - *memory_.shortage_stop_at));
    }
    const double wanted_a = state.holds_for_vehicle ? 0 : claim.target_a;
    const StopStart means =
        stop_or_start(settings_, charger, commandable_vehicle(memory), wanted_a, claim.target_a, inputs_.now, memory);
    result.target_a = means.target_a;
    result.warning = means.warning;
    if (means.reason && charger.online) {
        result.reason = *means.reason;
        result.countdown_s = means.countdown_s;
    }
    if (!means.command.empty()) {
        decision_.commands.push_back({memory.vehicle, means.command});
    }
    steer_vehicle(index);
    const bool takes_from_grid = claim.kind == Wish::Kind::firm && memory.drawing && result.target_a > 0;
    decision_.battery_hold = decision_.battery_hold || (settings_.battery_protect && takes_from_grid);
    if (result.target_a != memory.target_a) {
        memory.target_a = result.target_a;
        memory.target_changed_at = inputs_.now;
    }
    decision_.chargers.push_back(std::move(result));
}

}  // namespace

Decision decide(const Config& config, const Settings& settings, const Inputs& inputs, Memory memory) {
    Decision decision;
    decision.memory = std::move(memory);
    Decider(config, settings, inputs, decision).run();
    return decision;
}

}  // namespace policy_engine
