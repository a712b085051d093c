#include "twc-bus/line_view.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "twc-bus/home_assistant.hpp"

namespace twc_bus {

namespace {

using namespace std::chrono_literals;
using scheduling::Instant;

constexpr service::Pace bus_pace{.at_most_every = 1s, .at_least_every = 5s, .qos = 0};
constexpr auto save_period = 10s;
constexpr auto bytes_are_fresh_for = 10s;
constexpr auto noise_after = 5s;

constexpr double amps(int ca) { return ca / 100.0; }

// Limits of a master whose bus this is not: nothing a unit does is a fault by them.
Limits no_limits() { return {.wiring_ca = 0, .charger_max_ca = 0xFFFF}; }

int drawn_ca(const HeardUnit& unit) {
    if (unit.last) {
        return unit.last->drawn_ca;
    }
    constexpr int half_amp_ca = 50;
    const auto& half_amps = unit.power ? unit.power->half_amps : std::nullopt;
    return half_amps ? *std::ranges::max_element(*half_amps) * half_amp_ca : 0;
}

}  // namespace

LineView::LineView(const RoleConfig& config, const std::string& role, service::Environment& environment,
                   service::ServiceHost::AddMetrics more_metrics)
    : environment_(environment),
      port_(config.port),
      mains_(config.mains),
      more_metrics_(std::move(more_metrics)),
      host_(environment, [this](nlohmann::json& metrics) { add_metrics(metrics); }),
      bus_state_(
          service::make_state_publisher<contract::BusState>(environment, environment.topics.bus_state(), bus_pace)),
      keeper_(environment, host_, config.state_file),
      discovery_(
          environment, [this] { return announced_devices(environment_.topics, ids_of(desks_), false); },
          [this] { repeat_states(); }),
      scope_(environment.loop) {
    for (const auto& [id, charger] : keeper_.saved().chargers) {
        desks_.try_emplace(id, environment_, host_, id, charger.totals);
    }
    refuse_command(environment_.topics.bus_limit_set(), role);
    refuse_command(environment_.topics.bus_estop_set(), role);
    scope_.call_every(save_period, [this] { save(); });
}

LineView::~LineView() {
    for (auto& [id, desk] : desks_) {
        desk.publish_offline();
    }
    keeper_.save_before_exit(state_to_save());
}

void LineView::refuse_command(const std::string& topic, const std::string& role) {
    host_.on_command(topic, [role](const messaging::Delivery& /*command*/) -> nlohmann::json {
        throw service::Rejected(
            fmt::format("this twc-bus has the role {}: another master decides what chargers may draw", role),
            "bus.role: master in the configuration of twc-bus");
    });
}

// --- the line ---------------------------------------------------------------------------------------------------

void LineView::on_up() {
    spdlog::info("{}: open", port_);
    link_up_ = true;
    was_up_ = true;
    link_reason_.clear();
    frameless_since_.reset();
    decoder_.reset();
}

void LineView::on_down(const std::string& why) {
    spdlog::warn("{}", why);
    link_losses_ += link_up_ ? 1U : 0U;
    link_up_ = false;
    link_reason_ = why;
}

std::vector<Message> LineView::on_bytes(std::span<const std::uint8_t> bytes) {
    const Instant now = environment_.loop.now();
    bytes_at_ = now;
    std::vector<Message> messages;
    for (const auto& body : decoder_.feed(bytes)) {
        frameless_since_.reset();
        const auto message = decode_message(body);
        if (!message) {
            ++unknown_frames_;
            continue;
        }
        messages.push_back(*message);
        if (const auto id = picture_.on_message(*message, now)) {
            take_reading(*id);
            publish_unit(*id, &picture_.units().at(*id));
        }
    }
    if (messages.empty() && !frameless_since_) {
        frameless_since_ = now;
    }
    return messages;
}

bool LineView::hears_only_noise() const {
    const Instant now = environment_.loop.now();
    return frameless_since_ && now - *frameless_since_ >= noise_after && now - *bytes_at_ <= bytes_are_fresh_for;
}

// --- what is shown ----------------------------------------------------------------------------------------------

void LineView::leave_out(UnitId id) {
    picture_.leave_out(id);
    left_out_.insert(id);
}

ChargerDesk& LineView::desk(UnitId id) {
    const auto [place, is_new] = desks_.try_emplace(id, environment_, host_, id);
    if (is_new) {
        discovery_.refresh();
    }
    return place->second;
}

void LineView::repeat_states() {
    for (auto& [id, shown] : desks_) {
        shown.repeat();
    }
    bus_state_.repeat();
}

// In the terms of the master role, so that both are published alike. A master that reports about itself answers no
// heartbeats: its state is what can be told from its currents and its plug.
Charger LineView::as_charger(UnitId id, const HeardUnit& unit) const {
    Charger charger;
    charger.id = id;
    charger.linked = BusPicture::is_present(unit, environment_.loop.now());
    charger.protocol = unit.protocol;
    charger.rating_ca = unit.rating_ca;
    charger.last = unit.last;
    charger.last_answer = unit.last_answer;
    charger.inquiry = unit.inquiry;
    if (!charger.last && picture_.is_master(id) && unit.power) {
        const int drawn = drawn_ca(unit);
        const std::uint8_t state = drawn >= drawing_ca ? 0x01 : picture_.is_plugged_master(id) ? 0x03 : 0x00;
        charger.last = SlaveHeartbeat{.slave = id, .master = id, .state = state, .drawn_ca = drawn};
    }
    return charger;
}

void LineView::take_reading(UnitId id) {
    const auto& unit = picture_.units().at(id);
    const auto charger = as_charger(id, unit);
    if (!charger.last) {
        return;
    }
    const auto plugged =
        unit.last ? unit.inquiry.plugged() : std::optional(picture_.is_plugged_master(id) || charger.drawing());
    if (desk(id).on_reading(power_w(charger, mains_), plugged)) {
        save();
    }
}

void LineView::publish_unit(UnitId id, const HeardUnit* unit) {
    Charger charger;
    charger.id = id;
    charger.linked = false;
    if (unit != nullptr) {
        charger = as_charger(id, *unit);
    }
    auto& shown = desk(id);
    auto state = describe(charger, shown.totals(), mains_, no_limits());
    state.granted_a.reset();
    if (unit != nullptr && charger.linked) {
        if (!unit->last && charger.last) {
            state.state_code.reset();
            state.limit_a.reset();
            state.plugged = picture_.is_plugged_master(id);
        }
        if (unit->newest_command) {
            state.order_code = *unit->newest_command;
        }
        if (unit->told) {
            state.granted_a = amps(unit->told->limit_ca);
        }
    }
    shown.publish(state, charger.linked);
}

void LineView::publish(contract::BusState state) {
    const Instant now = environment_.loop.now();
    picture_.expire(now);
    for (const auto& [id, unit] : picture_.units()) {
        if (unit.heard) {
            publish_unit(id, &unit);
        }
    }
    // Known from the file or silent since: their counters stay visible.
    std::vector<UnitId> silent;
    for (const auto& [id, shown] : desks_) {
        const auto found = picture_.units().find(id);
        if ((found == picture_.units().end() || !found->second.heard) && !left_out_.contains(id)) {
            silent.push_back(id);
        }
    }
    for (const auto id : silent) {
        publish_unit(id, nullptr);
    }

    state.ts = environment_.loop.wall_now();
    for (const auto id : present_units()) {
        state.chargers.push_back(to_text(id));
    }
    std::ranges::sort(state.chargers);
    bus_state_.update(state);
}

std::vector<UnitId> LineView::present_units() const {
    std::vector<UnitId> ids;
    for (const auto& [id, unit] : picture_.units()) {
        if (BusPicture::is_present(unit, environment_.loop.now())) {
            ids.push_back(id);
        }
    }
    return ids;
}

int LineView::limit_sum_ca() const {
    int sum_ca = 0;
    for (const auto id : present_units()) {
        const auto& last = picture_.units().at(id).last;
        sum_ca += last ? last->limit_ca : 0;
    }
    return sum_ca;
}

int LineView::drawn_sum_ca() const {
    int sum_ca = 0;
    for (const auto id : present_units()) {
        const int drawn = drawn_ca(picture_.units().at(id));
        sum_ca += drawn >= drawing_ca ? drawn : 0;
    }
    return sum_ca;
}

void LineView::add_metrics(nlohmann::json& metrics) const {
    const auto& frames = decoder_.counters();
    metrics["frames_received"] = frames.frames;
    metrics["checksum_errors"] = frames.bad_checksums;
    metrics["short_segments"] = frames.short_segments;
    metrics["escape_errors"] = frames.bad_escapes;
    metrics["length_errors"] = frames.bad_lengths;
    metrics["unknown_frames"] = unknown_frames_;
    metrics["link_losses"] = link_losses_;
    if (more_metrics_) {
        more_metrics_(metrics);
    }
}

// --- the state file ---------------------------------------------------------------------------------------------

// Nobody here is a charger of ours: after a change to the role master all of them are asked first what they work to.
SavedState LineView::state_to_save() const {
    SavedState state{.estop = keeper_.saved().estop, .chargers = keeper_.saved().chargers};
    for (auto& [id, charger] : state.chargers) {
        charger.linked = false;
        charger.granted_ca = 0;
    }
    for (const auto& [id, shown] : desks_) {
        if (!left_out_.contains(id)) {
            state.chargers[id].totals = shown.totals();
        }
    }
    for (const auto& [id, unit] : picture_.units()) {
        if (unit.heard && unit.protocol) {
            state.chargers[id].protocol = unit.protocol;
        }
    }
    for (const auto& [id, energy_kwh] : energy_kwh_) {
        state.chargers[id].totals.energy_kwh = energy_kwh;
    }
    return state;
}

}  // namespace twc_bus
