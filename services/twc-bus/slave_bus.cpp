#include "twc-bus/slave_bus.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <spdlog/spdlog.h>

#include "twc-bus/describe.hpp"

namespace twc_bus {

namespace {

using namespace std::chrono_literals;
using scheduling::Instant;

constexpr auto publish_period = 1s;
constexpr auto answered_within = 10s;

constexpr double amps(int ca) { return ca / 100.0; }

double saved_energy_kwh(const SavedState& saved, UnitId id) {
    const auto found = saved.chargers.find(id);
    return found == saved.chargers.end() ? 0 : found->second.totals.energy_kwh;
}

}  // namespace

SlaveBus::SlaveBus(const RoleConfig& config, service::Environment& environment, ByteLink& link)
    : config_(config),
      environment_(environment),
      transmitter_(link, config.slave.rating_ca),
      view_(config, "slave", environment,
            [this](nlohmann::json& metrics) {
                metrics["frames_sent"] = transmitter_.sent();
                metrics["frames_refused"] = transmitter_.refused();
            }),
      unit_(config.slave, config.mains, saved_energy_kwh(view_.saved(), config.slave.id), environment.loop.now()),
      shown_id_(config.slave.id),
      timer_(environment.loop),
      scope_(environment.loop) {
    view_.leave_out(unit_.id());
    scope_.call_every(publish_period, [this] {
        pump();
        publish();
    });
    open_link();
    pump();
    publish();
}

SlaveBus::~SlaveBus() {
    transmitter_.close();
    view_.set_energy(config_.slave.id, unit_.energy_kwh());
}

// --- the line ---------------------------------------------------------------------------------------------------

void SlaveBus::open_link() {
    transmitter_.open({.bytes = [this](std::span<const std::uint8_t> bytes) { on_bytes(bytes); },
                       .up =
                           [this] {
                               view_.on_up();
                               unit_.on_link(true, environment_.loop.now());
                               pump();
                               publish();
                           },
                       .down =
                           [this](const std::string& why) {
                               view_.on_down(why);
                               unit_.on_link(false, environment_.loop.now());
                               pump();
                               publish();
                           }});
}

void SlaveBus::on_bytes(std::span<const std::uint8_t> bytes) {
    const Instant now = environment_.loop.now();
    unit_.on_activity(now);
    for (const auto& message : view_.on_bytes(bytes)) {
        unit_.on_message(message, now);
        follow_id();
    }
    pump();
}

void SlaveBus::pump() {
    const Instant now = environment_.loop.now();
    auto step = unit_.next(now);
    while (step.message) {
        transmitter_.send(encode_message(*step.message), unit_.id());
        step = unit_.next(now);
    }
    timer_.set(step.wake, [this] { pump(); });
    note_changes();
}

void SlaveBus::follow_id() {
    if (unit_.id() == shown_id_) {
        return;
    }
    const auto words = fmt::format("someone else on the line uses it; {} from now on", to_text(unit_.id()));
    spdlog::warn("{}: {}", to_text(shown_id_), words);
    view_.host().event("id_conflict", {{"charger", to_text(shown_id_)}, {"reason", words}});
    view_.desk(shown_id_).publish({.state = "unknown", .energy_kwh = unit_.energy_kwh(), .fault = words}, false);
    shown_id_ = unit_.id();
    view_.leave_out(shown_id_);
}

// What stands behind must hear of less at once, not with the next second.
void SlaveBus::note_changes() {
    const Instant now = environment_.loop.now();
    const auto words = reason();
    if (words == shown_words_ && unit_.granted_ca() == shown_granted_ca_) {
        return;
    }
    if (const auto standing = unit_.standing(now); standing != logged_standing_) {
        logged_standing_ = standing;
        const bool is_bad = standing == Standing::error || standing == Standing::silent || standing == Standing::gone;
        spdlog::log(is_bad ? spdlog::level::warn : spdlog::level::info, "{}", unit_.words(now));
    }
    shown_words_ = words;
    shown_granted_ca_ = unit_.granted_ca();
    publish();
}

// --- state ------------------------------------------------------------------------------------------------------

void SlaveBus::publish_own() {
    const int granted_ca = unit_.granted_ca();
    const int drawn_ca = unit_.drawn_ca();
    Charger charger;
    charger.id = unit_.id();
    charger.protocol = config_.slave.protocol;
    charger.rating_ca = config_.slave.rating_ca;
    charger.last =
        SlaveHeartbeat{.slave = unit_.id(), .state = unit_.state(), .limit_ca = granted_ca, .drawn_ca = drawn_ca};
    auto state = describe(charger, {.energy_kwh = unit_.energy_kwh()}, config_.mains,
                          {.wiring_ca = 0, .charger_max_ca = config_.slave.rating_ca});
    state.granted_a = amps(granted_ca);
    state.plugged.reset();  // what stands behind is no car that we see
    state.phases = config_.mains.phases;
    state.fault = unit_.fault();
    if (const auto command = unit_.newest_command()) {
        state.order_code = *command;
    }
    view_.desk(unit_.id()).publish(state, view_.link_up() && unit_.has_master());
}

std::string SlaveBus::link_word() const {
    if (!view_.link_up()) {
        return view_.link_word();
    }
    const auto heard_at = unit_.heard_at();
    return heard_at && environment_.loop.now() - *heard_at <= answered_within ? "ok" : "no_answer";
}

std::string SlaveBus::reason() const {
    if (!view_.link_up()) {
        return view_.link_reason();
    }
    if (view_.hears_only_noise()) {
        return "bytes come, but no frame is among them; check A and B, the ground and the baud rate";
    }
    std::vector<std::string> masters;
    for (const auto id : view_.picture().masters()) {
        masters.push_back(to_text(id));
    }
    auto words = unit_.words(environment_.loop.now());
    if (masters.size() > 1) {
        words += fmt::format("; masters {} are on one line, which is a fault", fmt::join(masters, " and "));
    }
    return words;
}

void SlaveBus::publish() {
    view_.set_energy(config_.slave.id, unit_.energy_kwh());
    publish_own();
    const auto master = unit_.master();
    contract::BusState state{.link = link_word(),
                             .role = "slave",
                             .master = master ? std::optional(to_text(*master)) : std::nullopt,
                             .granted_a = amps(unit_.granted_ca()),
                             .drawn_a = amps(unit_.drawn_ca()),
                             .limit_a = amps(config_.slave.rating_ca),
                             .reason = reason()};
    if (unit_.has_master()) {
        state.chargers.push_back(to_text(unit_.id()));
    }
    view_.publish(std::move(state));
}

}  // namespace twc_bus
