#include "policy-engine/policy_engine.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <spdlog/spdlog.h>

#include "contract/messages.hpp"
#include "policy-engine/decide.hpp"
#include "policy-engine/explain.hpp"
#include "policy-engine/home_assistant.hpp"
#include "policy-engine/modes.hpp"
#include "policy-engine/override.hpp"
#include "policy-engine/plan_goal.hpp"
#include "policy-engine/plans.hpp"
#include "policy-engine/published_states.hpp"
#include "policy-engine/schedule.hpp"
#include "policy-engine/settings.hpp"
#include "policy-engine/staleness.hpp"
#include "storage/atomic_file.hpp"

namespace policy_engine {

namespace {

using namespace std::chrono_literals;

constexpr Duration tick = 1s;
constexpr Duration save_interval = 500ms;  // at least, between two writes
constexpr Duration save_retry = 30s;
constexpr double worth_a_write_kwh = 0.5;  // SD cards wear
constexpr auto vehicle_command_expiry = 60s;
// What a command changes is shown without delay.
constexpr service::Pace at_once{.at_most_every = 0s, .qos = 1};
// So far ahead is `next_seq` kept on disk: one write for months of limits.
constexpr std::int64_t seq_reserve = 100'000'000;

// Where numbering begins when the state file is lost: beyond anything sent before, inside the contract's range.
std::int64_t hundredths_since_1970(WallTime time) {
    return std::chrono::duration_cast<std::chrono::duration<std::int64_t, std::centi>>(time.time_since_epoch()).count();
}

bool is_bad(const std::string& quality) { return quality == "stale" || quality == "error"; }

// Throws contract::Invalid for slots that overlap or end before they begin.
template <class Slot>
std::vector<Slot> in_order(const char* topic, const std::vector<Slot>& slots) {
    for (std::size_t i = 0; i < slots.size(); ++i) {
        if (slots[i].end <= slots[i].start || (i > 0 && slots[i].start < slots[i - 1].end)) {
            throw contract::Invalid(fmt::format(
                "{}: slots[{}] begins at {} and ends at {}: expected slots in order "
                "without overlaps",
                topic, i, contract::format_timestamp(slots[i].start), contract::format_timestamp(slots[i].end)));
        }
    }
    return slots;
}

}  // namespace

PolicyEngine::PolicyEngine(ServiceConfig config, service::Environment& environment, MakeHttpClient make_http_client)
    : config_(std::move(config)),
      environment_(environment),
      topics_(environment.topics),
      host_(environment,
            [this](nlohmann::json& metrics) {
                metrics["decisions"] = decisions_;
                metrics["messages_refused"] = messages_refused_;
                metrics["slowest_decision_ms"] = slowest_decision_ms_;
                metrics["limits_sent"] = limits_sent_at_.has_value();
                slowest_decision_ms_ = 0;
            }),
      state_publisher_(service::make_state_publisher<contract::PolicyState>(environment, topics_.policy_state())),
      override_publisher_(service::make_state_publisher<contract::OverrideState>(
          environment, topics_.policy_override_state(), at_once)),
      plan_publisher_(service::make_state_publisher<contract::PlansState>(environment, topics_.policy_plan_state(),
                                                                          service::Pace{.qos = 1})),
      webhooks_(environment, std::move(make_http_client), host_),
      twcmanager_(config_.twcmanager, environment, host_,
                  [this](const messaging::Delivery& command) {
                      command_setting(command);
                      settings_changed();
                      decide_now();
                  }),
      discovery_(
          environment, [this] { return devices(); }, [this] { repeat_states(); }),
      disk_(environment.workers.make_worker("policy-disk")),
      save_timer_(environment.loop),
      scope_(environment.loop) {
    inputs_.started_at = environment_.loop.now();
    restore_state();
    subscribe_to_world();
    subscribe_to_commands();
    environment_.bus.on_connection_change(scope_, [this](bool connected) {
        if (connected) {
            limits_sent_at_.reset();
            decide_soon();
        }
    });
    scope_.call_every(tick, [this] { decide_now(); });
    settings_changed();
}

PolicyEngine::~PolicyEngine() {
    disk_.reset();  // what is being written must not land on top of what follows
    keep_plans(0);
    if (!unsaved_ || config_.state_file.empty()) {
        return;
    }
    try {
        storage::write_atomically(config_.state_file, to_text(kept_));
    } catch (const storage::StorageError& error) {
        spdlog::error("settings are lost: {}", error.what());
    }
}

void PolicyEngine::restore_state() {
    auto restored = restore(config_.state_file, config_.defaults, environment_.loop.wall_now());
    kept_ = std::move(restored.state);
    kept_starts_ = kept_.starts;
    for (const auto& [charger, plans] : kept_.pursued) {
        auto& progress = memory_.kept_plans[charger];
        std::ranges::transform(plans, std::back_inserter(progress), [](const KeptPlan& plan) {
            return PlanProgress{.goal = plan.goal, .deadline = plan.deadline, .charged_kwh = plan.charged_kwh};
        });
    }
    for (const auto& problem : restored.problems) {
        spdlog::error("{}", problem);
        host_.event("settings_problem", {{"reason", problem}});
    }
    seq_ = std::max(kept_.next_seq, hundredths_since_1970(environment_.loop.wall_now()));
    kept_.next_seq = seq_ + seq_reserve;
    save_soon();
}

// A payload that breaks the contract is counted and changes nothing; what we knew grows older.
template <class Message>
void PolicyEngine::on_state(const std::string& filter,
                            void (PolicyEngine::*take)(const messaging::Delivery&, const Message&)) {
    environment_.bus.subscribe(scope_, filter, 0, [this, take](const messaging::Delivery& delivery) {
        if (delivery.payload.empty()) {
            return;  // its sender withdraws the topic
        }
        try {
            (this->*take)(delivery, contract::from_text<Message>(delivery.payload));
        } catch (const contract::Invalid& error) {
            if (++messages_refused_ == 1) {
                spdlog::warn("refused {}: {}", delivery.topic, error.what());
            }
            host_.event("message_refused", {{"topic", delivery.topic}, {"reason", error.what()}});
            return;
        }
        decide_soon();
    });
}

void PolicyEngine::subscribe_to_world() {
    on_state<contract::SitePower>(topics_.ems_state(), &PolicyEngine::take_site);
    on_state<contract::TariffState>(topics_.ems_tariff_state(), &PolicyEngine::take_tariff);
    on_state<contract::ForecastState>(topics_.ems_forecast_state(), &PolicyEngine::take_forecast);
    on_state<contract::BusState>(topics_.bus_state(), &PolicyEngine::take_bus);
    on_state<contract::ChargerState>(topics_.charger_state("+"), &PolicyEngine::take_charger);
    on_state<contract::VehicleState>(topics_.vehicle_state("+"), &PolicyEngine::take_vehicle);
    const auto availability = [this](const messaging::Delivery& delivery) { take_availability(delivery); };
    environment_.bus.subscribe(scope_, topics_.charger_availability("+"), 1, availability);
    environment_.bus.subscribe(scope_, topics_.vehicle_availability("+"), 1, availability);
    environment_.bus.subscribe(scope_, topics_.service_status("+"), 1,
                               [this](const messaging::Delivery& delivery) { take_service_status(delivery); });
}

void PolicyEngine::subscribe_to_commands() {
    using Handler = nlohmann::json (PolicyEngine::*)(const messaging::Delivery&);
    const auto on = [this](const std::string& filter, Handler handler) {
        host_.on_command(filter, [this, handler](const messaging::Delivery& command) {
            nlohmann::json result = (this->*handler)(command);
            settings_changed();
            decide_now();
            return result;
        });
    };
    on(topics_.policy_set("+"), &PolicyEngine::command_setting);
    on(topics_.policy_charger_set("+", "+"), &PolicyEngine::command_charger);
    on(topics_.policy_vehicle_set("+", "+"), &PolicyEngine::command_vehicle);
    on(topics_.policy_override_set("+"), &PolicyEngine::command_override);
}

void PolicyEngine::take_site(const messaging::Delivery& delivery, const contract::SitePower& power) {
    const bool can_be_derived = power.pv_w && (power.house_w || config_.core.site.assumed_house_w);
    site_reports_loss_ = is_bad(power.quality) || (!power.grid_w && !can_be_derived);
    inputs_.site =
        Site{.measured_at = measured_at(environment_.loop.now(), environment_.loop.wall_now(), delivery.retained,
                                        power.ts, power.grid_age_s ? power.grid_age_s : power.age_s),
             .grid_w = power.grid_w,
             .pv_w = power.pv_w,
             .house_w = power.house_w,
             .battery_w = power.battery_w,
             .battery_soc_pct = power.battery_soc_pct,
             .grid_a = power.grid_a,
             .voltage_v = power.voltage_v};
}

// A price that was announced stays true when its source falls silent, or when ems-bridge starts again without it.
void PolicyEngine::take_tariff(const messaging::Delivery& /*delivery*/, const contract::TariffState& tariff) {
    if (!tariff.slots.empty() || tariff.quality != "error") {
        inputs_.tariff = in_order("ems/tariff/state", tariff.slots);
    }
}

void PolicyEngine::take_forecast(const messaging::Delivery& /*delivery*/, const contract::ForecastState& forecast) {
    if (!forecast.slots.empty() || forecast.quality != "error") {
        inputs_.forecast = in_order("ems/forecast/state", forecast.slots);
    }
}

void PolicyEngine::take_bus(const messaging::Delivery& /*delivery*/, const contract::BusState& bus) {
    twcmanager_.update(bus);
    const auto known = [](double amps) { return amps > 0 ? std::optional(amps) : std::nullopt; };
    const bool takes_limits = bus.role != "listen" && bus.role != "slave";
    inputs_.bus = {.wiring_max_a = known(bus.limit_a),
                   .charger_min_a = bus.charger_min_a,
                   .charger_max_a = bus.charger_max_a,
                   .takes_limits = takes_limits};
}

void PolicyEngine::take_charger(const messaging::Delivery& delivery, const contract::ChargerState& state) {
    const auto id = contract::Topics::wildcard_level(topics_.charger_state("+"), delivery.topic);
    if (!id || !contract::is_valid_id(*id)) {
        throw contract::Invalid("the topic holds no charger id");
    }
    auto& source = chargers_[*id];
    if (!std::exchange(source.heard, true)) {
        discovery_.refresh();
    }
    twcmanager_.update(*id, state);
    source.charger = {
        .id = *id,
        .received_at = measured_at(environment_.loop.now(), environment_.loop.wall_now(), delivery.retained, state.ts,
                                   std::nullopt),
        .fault = state.state == "fault" || state.fault.has_value(),
        .plugged = state.plugged,
        .drawn_a = state.current_a,
        .offered_a = state.granted_a ? state.granted_a : state.limit_a,
        .max_a = state.max_a && *state.max_a > 0 ? state.max_a : std::nullopt,
        .phases = state.phases,
        .protocol = state.protocol,
        .voltage_v = {state.voltage_l1_v, state.voltage_l2_v, state.voltage_l3_v},
        .vin = state.vin,
    };
}

void PolicyEngine::take_vehicle(const messaging::Delivery& delivery, const contract::VehicleState& state) {
    const auto alias = contract::Topics::wildcard_level(topics_.vehicle_state("+"), delivery.topic);
    if (!alias || !contract::is_valid_id(*alias)) {
        throw contract::Invalid("the topic holds no vehicle alias");
    }
    const auto [place, is_new] = vehicles_.try_emplace(*alias);
    place->second.state = state;
    if (is_new) {
        discovery_.refresh();
    }
}

void PolicyEngine::take_availability(const messaging::Delivery& delivery) {
    const bool online = delivery.payload == "online";
    if (const auto id = contract::Topics::wildcard_level(topics_.charger_availability("+"), delivery.topic)) {
        chargers_[*id].available = online;
        if (!online) {
            twcmanager_.forget(*id);
        }
    } else if (const auto alias = contract::Topics::wildcard_level(topics_.vehicle_availability("+"), delivery.topic)) {
        vehicles_[*alias].available = online;
    }
    decide_soon();
}

void PolicyEngine::take_service_status(const messaging::Delivery& delivery) {
    const auto name = contract::Topics::wildcard_level(topics_.service_status("+"), delivery.topic);
    if (!name || *name == environment_.name) {
        return;
    }
    const bool offline = delivery.payload != "online";
    const bool was_offline = std::exchange(services_offline_[*name], offline);
    if (*name == "twc-bus" && was_offline && !offline) {
        limits_sent_at_.reset();  // it has just started and holds no lease of ours
    }
    if (was_offline != offline) {
        spdlog::info("{} is {}", *name, offline ? "offline" : "online");
    }
    decide_soon();
}

nlohmann::json PolicyEngine::command_setting(const messaging::Delivery& command) {
    const auto name = contract::Topics::wildcard_level(topics_.policy_set("+"), command.topic);
    if (name == "override") {
        return command_override(command);
    }
    if (name == "plan") {
        return command_plan(command);
    }
    if (name == "dim_w") {
        kept_.settings.dimming = parse_timed_limit(command.payload, environment_.loop.wall_now());
    } else {
        change_setting(kept_.settings, name.value_or(""), command.payload);
    }
    return settings_to_json(kept_.settings).at(*name);
}

nlohmann::json PolicyEngine::command_plan(const messaging::Delivery& command) {
    const auto wanted = parse_plan(command.payload, environment_.loop.wall_now());
    const auto& named = wanted.goal ? *wanted.goal : PlanGoal{.vehicle = wanted.vehicle, .charger = wanted.charger};
    if (!named.charger.empty()) {
        require_charger(named.charger);
    }
    if (!named.vehicle.empty()) {
        require_vehicle(named.vehicle);
    }
    const bool by_charge = wanted.goal && wanted.goal->soc_pct;
    const auto* vehicle = by_charge ? vehicle_config_of(config_.core, named.vehicle) : nullptr;
    if (by_charge && (vehicle == nullptr || !vehicle->battery_kwh)) {
        throw service::Rejected(
            "soc_pct cannot be turned into energy",
            fmt::format("vehicles.{}.battery_kwh in the configuration, or a plan with energy_kwh", named.vehicle));
    }
    apply_plan(kept_.settings.plans, wanted);
    spdlog::info("plan: {}", wanted.goal ? contract::to_text(plan_to_json(*wanted.goal)) : "cleared");
    return plans_to_json(kept_.settings.plans);
}

nlohmann::json PolicyEngine::command_charger(const messaging::Delivery& command) {
    const std::string filter = topics_.policy_charger_set("+", "+");
    const auto id = contract::Topics::wildcard_level(filter, command.topic, 0).value_or("");
    const auto name = contract::Topics::wildcard_level(filter, command.topic, 1).value_or("");
    require_charger(id);
    change_charger_setting(kept_.settings, id, name, command.payload);
    return settings_to_json(kept_.settings).at("charger").at(id).at(name);
}

nlohmann::json PolicyEngine::command_vehicle(const messaging::Delivery& command) {
    const std::string filter = topics_.policy_vehicle_set("+", "+");
    const auto alias = contract::Topics::wildcard_level(filter, command.topic, 0).value_or("");
    const auto name = contract::Topics::wildcard_level(filter, command.topic, 1).value_or("");
    require_vehicle(alias);
    change_vehicle_setting(kept_.settings, alias, name, command.payload);
    return settings_to_json(kept_.settings).at("vehicle").at(alias).at(name);
}

nlohmann::json PolicyEngine::command_override(const messaging::Delivery& command) {
    auto wanted = parse_override(command.payload, environment_.loop.wall_now(), "mqtt");
    const auto by_topic = contract::Topics::wildcard_level(topics_.policy_override_set("+"), command.topic);
    if (by_topic && wanted.charger && wanted.charger != by_topic) {
        throw service::Rejected("topic and payload name different chargers", "the same charger, or only one of them");
    }
    const auto charger = by_topic ? by_topic : wanted.charger;
    if (charger) {
        require_charger(*charger);
    }
    change_override(kept_.settings, charger, wanted.order);
    spdlog::info("override for {}: {}", charger.value_or("all"),
                 wanted.order ? contract::to_text(override_to_json(*wanted.order)) : "cleared");
    return wanted.order ? override_to_json(*wanted.order) : nlohmann::json("cleared");
}

void PolicyEngine::require_charger(const std::string& id) const {
    const bool known =
        chargers_.contains(id) || config_of(config_.core, id) != nullptr || settings_of(kept_.settings, id) != nullptr;
    if (!known) {
        std::vector<std::string> ids;
        std::ranges::transform(chargers_, std::back_inserter(ids), [](const auto& item) { return item.first; });
        throw service::Rejected("no such charger", ids.empty() ? "a charger that is linked; none is"
                                                               : fmt::format("one of {}", fmt::join(ids, ", ")));
    }
}

void PolicyEngine::require_vehicle(const std::string& alias) const {
    const bool known = vehicles_.contains(alias) || vehicle_config_of(config_.core, alias) != nullptr ||
                       vehicle_settings_of(kept_.settings, alias) != nullptr;
    if (!known) {
        std::vector<std::string> aliases;
        std::ranges::transform(vehicles_, std::back_inserter(aliases), [](const auto& item) { return item.first; });
        throw service::Rejected("no such vehicle", aliases.empty()
                                                       ? "a vehicle that tesla-bridge knows; there is none"
                                                       : fmt::format("one of {}", fmt::join(aliases, ", ")));
    }
}

// Keeps and shows what is now in force.
void PolicyEngine::settings_changed() {
    save_soon();
    const std::string settings = settings_to_json(kept_.settings).dump();
    if (settings != settings_sent_) {
        settings_sent_ = settings;
        publish_settings();
    }
    publish_overrides();
}

void PolicyEngine::publish_settings() {
    environment_.bus.publish(
        {.topic = topics_.policy_settings(), .payload = settings_sent_, .retained = true, .qos = 1});
}

std::vector<home_assistant::Device> PolicyEngine::devices() const {
    std::vector<std::string> chargers;
    for (const auto& [id, source] : chargers_) {
        if (source.heard) {
            chargers.push_back(id);
        }
    }
    std::set<std::string> vehicles;
    for (const auto& vehicle : config_.core.vehicles) {
        vehicles.insert(vehicle.alias);
    }
    for (const auto& [alias, source] : vehicles_) {
        if (contract::is_valid_id(alias)) {
            vehicles.insert(alias);
        }
    }
    return announced_devices(topics_, chargers, {vehicles.begin(), vehicles.end()});
}

// For a Home Assistant that has just started.
void PolicyEngine::repeat_states() {
    publish_settings();
    state_publisher_.repeat();
    override_publisher_.repeat();
    for (auto* publishers : {&charger_publishers_, &charger_override_publishers_}) {
        for (auto& [id, publisher] : *publishers) {
            publisher.repeat();
        }
    }
}

void PolicyEngine::publish_overrides() {
    std::optional<Override> shown = kept_.settings.override_order;
    std::string scope = "all";
    for (const auto& charger : kept_.settings.chargers) {
        if (!shown && charger.override_order) {
            shown = charger.override_order;
            scope = charger.id;
        }
        auto publisher = charger_override_publishers_.find(charger.id);
        if (publisher == charger_override_publishers_.end() && charger.override_order) {
            publisher = charger_override_publishers_
                            .try_emplace(charger.id, environment_, topics_.policy_override_state(charger.id),
                                         contract::field_traits<contract::OverrideState>(), at_once)
                            .first;
        }
        if (publisher != charger_override_publishers_.end()) {
            publisher->second.update(override_report(charger.override_order, charger.id));
        }
    }
    override_publisher_.update(override_report(shown, scope));
}

// Several samples that arrive together are one picture.
void PolicyEngine::decide_soon() {
    if (!std::exchange(decision_pending_, true)) {
        scope_.post([this] { decide_now(); });
    }
}

void PolicyEngine::fill_inputs() {
    inputs_.now = environment_.loop.now();
    inputs_.wall = environment_.loop.wall_now();
    inputs_.local_day = civil_time(inputs_.wall).day;
    const auto offline = [&](const char* name) {
        const auto found = services_offline_.find(name);
        return found != services_offline_.end() && found->second;
    };
    if (inputs_.site) {
        inputs_.site->lost = site_reports_loss_ || offline("ems-bridge");
    }
    inputs_.chargers.clear();
    for (const auto& [id, source] : chargers_) {
        if (source.heard) {
            inputs_.chargers.push_back(source.charger);
            inputs_.chargers.back().online = source.available && !offline("twc-bus") && inputs_.bus.takes_limits;
        }
    }
    inputs_.vehicles.clear();
    for (const auto& [alias, source] : vehicles_) {
        const auto& state = source.state;
        inputs_.vehicles.push_back({.alias = alias,
                                    .can_command = source.available && state.can_command && !offline("tesla-bridge"),
                                    .vin = state.vin,
                                    .plugged = state.plugged,
                                    .at_home = state.at_home,
                                    .charge_amps = state.charge_amps,
                                    .charging_state = state.charging_state,
                                    .soc_pct = state.soc_pct,
                                    .charge_limit_pct = state.charge_limit_pct});
    }
    const auto is_over = [&](const auto& slot) { return slot.end <= inputs_.wall; };
    std::erase_if(inputs_.tariff, is_over);
    std::erase_if(inputs_.forecast, is_over);
}

void PolicyEngine::decide_now() {
    decision_pending_ = false;
    const auto begun = std::chrono::steady_clock::now();
    if (drop_ended_overrides(kept_.settings, environment_.loop.wall_now())) {
        spdlog::info("an override has ended");
        settings_changed();
    }
    if (drop_ended_plans(kept_.settings.plans, environment_.loop.wall_now())) {
        spdlog::info("a plan has ended");
        settings_changed();
    }
    fill_inputs();
    Decision decision = decide(config_.core, kept_.settings, inputs_, std::move(memory_));
    memory_ = std::move(decision.memory);
    add_kept_starts();
    keep_plans(worth_a_write_kwh);
    publish_limits(decision);
    for (const auto& command : decision.commands) {
        spdlog::info("{} {:g} for vehicle {}", command.command, command.value, command.alias);
        environment_.bus.publish({.topic = topics_.vehicle_command_set(command.alias, command.command),
                                  .payload = fmt::format("{:g}", command.value),
                                  .qos = 1,
                                  .expires_after = vehicle_command_expiry});
    }
    for (const auto& call : decision.webhooks) {
        webhooks_.call(call, last_state_);
    }
    publish_states(decision);
    note_changes(decision);
    ++decisions_;
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - begun;
    slowest_decision_ms_ = std::max(slowest_decision_ms_, took.count());
}

// Starts of today that were counted before a restart, and the count to keep for the next one.
void PolicyEngine::add_kept_starts() {
    if (kept_.starts_day != inputs_.local_day) {
        kept_.starts_day = inputs_.local_day;
        kept_.starts.clear();
        kept_starts_.clear();
        save_soon();
    }
    for (auto& charger : memory_.chargers) {
        if (const auto before = kept_starts_.extract(charger.id)) {
            charger.starts_today += before.mapped();
        }
        if (charger.starts_today > 0 && kept_.starts[charger.id] != charger.starts_today) {
            kept_.starts[charger.id] = charger.starts_today;
            save_soon();
        }
    }
}

// What was charged towards the goals, for the next start.
void PolicyEngine::keep_plans(double worth_kwh) {
    for (const auto& charger : memory_.chargers) {
        std::vector<KeptPlan> now;
        std::ranges::transform(charger.plans, std::back_inserter(now), [](const PlanProgress& progress) {
            return KeptPlan{progress.goal, progress.deadline, progress.charged_kwh};
        });
        auto& kept = kept_.pursued[charger.id];
        const bool is_same = std::ranges::equal(kept, now, [&](const KeptPlan& a, const KeptPlan& b) {
            return a.goal == b.goal && a.deadline == b.deadline && std::abs(a.charged_kwh - b.charged_kwh) <= worth_kwh;
        });
        if (!is_same) {
            kept = std::move(now);
            save_soon();
        }
    }
}

void PolicyEngine::publish_limits(const Decision& decision) {
    std::map<std::string, double> limits;
    for (std::size_t i = 0; i < decision.chargers.size(); ++i) {
        if (inputs_.chargers[i].online) {
            limits.emplace(decision.chargers[i].id, decision.chargers[i].target_a);
        }
    }
    constexpr int renewals_per_lease = 3;
    const bool due = !limits_sent_at_ || inputs_.now - *limits_sent_at_ >= config_.lease / renewals_per_lease;
    if (limits.empty() || (limits == limits_sent_ && !due)) {
        return;
    }
    if (++seq_ >= kept_.next_seq) {
        kept_.next_seq = seq_ + seq_reserve;
        save_soon();
    }
    const contract::LimitSet message{.ttl_s = seconds(config_.lease), .seq = seq_, .chargers = limits};
    environment_.bus.publish({.topic = topics_.bus_limit_set(),
                              .payload = contract::to_json(message).dump(),
                              .qos = 1,
                              .expires_after = std::chrono::duration_cast<std::chrono::seconds>(config_.lease)});
    limits_sent_ = std::move(limits);
    limits_sent_at_ = inputs_.now;
}

void PolicyEngine::publish_states(const Decision& decision) {
    for (std::size_t i = 0; i < decision.chargers.size(); ++i) {
        publish_charger(decision.chargers[i], memory_.chargers[i]);
    }
    const auto state = site_report(config_.core, kept_.settings, inputs_, decision, memory_);
    last_state_ = contract::to_json(state);
    twcmanager_.update(state);
    state_publisher_.update(state);
    auto plans = plans_report(kept_.settings, inputs_, memory_);
    for (const auto& [type, plan] : plan_events(plans_, plans)) {
        host_.event(type, contract::to_json(plan));
    }
    plan_publisher_.update(plans);
    plans_ = std::move(plans);
}

void PolicyEngine::publish_charger(const ChargerDecision& charger, const ChargerMemory& memory) {
    auto publisher = charger_publishers_.find(charger.id);
    if (publisher == charger_publishers_.end()) {
        publisher = charger_publishers_
                        .try_emplace(charger.id, environment_, topics_.policy_charger_state(charger.id),
                                     contract::field_traits<contract::PolicyChargerState>(), service::Pace{.qos = 1})
                        .first;
    }
    const auto state = charger_report(kept_.settings, inputs_, charger, memory);
    twcmanager_.update(charger.id, state);
    publisher->second.update(state);
}

void PolicyEngine::note_changes(const Decision& decision) {
    for (const auto& charger : decision.chargers) {
        const auto [reason, is_new] = reasons_.try_emplace(charger.id, charger.reason);
        if (is_new || reason->second != charger.reason) {
            const bool other_kind = is_new || std::string_view(kind_of(reason->second)) != kind_of(charger.reason);
            reason->second = charger.reason;
            spdlog::info("{}: {}", charger.id, sentence(charger));
            if (other_kind) {
                host_.event("reason_changed", {{"charger", charger.id},
                                               {"kind", kind_of(charger.reason)},
                                               {"reason_code", name_of(charger.reason)},
                                               {"reason", sentence(charger)}});
            }
        }
        bool& warned = warnings_[charger.id];
        if (charger.warning && !warned) {
            spdlog::warn("{}: {}", charger.id, sentence(charger));
            host_.event(
                "warning",
                {{"charger", charger.id}, {"reason_code", name_of(charger.reason)}, {"reason", sentence(charger)}});
        }
        warned = charger.warning;
    }
}

void PolicyEngine::save_soon() {
    unsaved_ = true;
    if (config_.state_file.empty() || save_timer_.pending()) {
        return;
    }
    // At once when nothing was written lately: what a person has just set must survive a power cut.
    const auto now = environment_.loop.now();
    const auto due = saved_at_ ? std::max(now, *saved_at_ + save_interval) : now;
    save_timer_.set(due, [this] { save(); });
}

void PolicyEngine::save() {
    unsaved_ = false;
    saved_at_ = environment_.loop.now();
    const auto write = [file = config_.state_file, text = to_text(kept_)] {
        storage::write_atomically(file, text);
        return true;
    };
    scheduling::run_on(*disk_, scope_, write, [this](const scheduling::Outcome<bool>& outcome) {
        if (const auto* failure = std::get_if<std::exception_ptr>(&outcome)) {
            unsaved_ = true;
            save_timer_.set_after(save_retry, [this] { save(); });
            try {
                std::rethrow_exception(*failure);
            } catch (const std::exception& error) {
                if (!std::exchange(save_failed_, true)) {
                    spdlog::error("settings are not kept: {}", error.what());
                    host_.event("settings_problem", {{"reason", error.what()}});
                }
            }
        } else if (std::exchange(save_failed_, false)) {
            spdlog::info("settings are kept again");
        }
    });
}

}  // namespace policy_engine
