#include "twc-bus/twc_bus.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <sstream>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <spdlog/spdlog.h>

#include "service/command_value.hpp"
#include "twc-bus/describe.hpp"
#include "twc-bus/home_assistant.hpp"

namespace twc_bus {

namespace {

using namespace std::chrono_literals;
using scheduling::Instant;

constexpr service::Pace bus_pace{.at_most_every = 1s, .at_least_every = 5s, .qos = 0};
constexpr auto publish_period = 1s;
constexpr auto save_period = 10s;
constexpr auto online_within = 15s;
constexpr auto shown_after_raw = 1500ms;

constexpr double amps(int ca) { return ca / 100.0; }

std::vector<FleetLine> fleet_lines(const std::vector<LineConfig>& lines, const SavedState& saved) {
    std::vector<FleetLine> fleet;
    for (const auto& line : lines) {
        FleetLine& one = fleet.emplace_back(FleetLine{.master_id = line.master_id, .listen = line.listen, .known = {}});
        for (const auto& [id, charger] : saved.chargers) {
            if ((charger.linked || charger.silenced) && charger.line == line.name) {
                one.known.push_back({.id = id,
                                     .protocol = charger.protocol,
                                     .granted_ca = charger.granted_ca,
                                     .silenced = charger.silenced});
            }
        }
    }
    return fleet;
}

const char* name_of(NoticeKind kind) {
    switch (kind) {
        case NoticeKind::linked:
            return "charger_linked";
        case NoticeKind::lost:
            return "charger_lost";
        case NoticeKind::reset:
            return "charger_reset";
        case NoticeKind::foreign_master:
            return "other_master";
        case NoticeKind::foreign_master_gone:
            return "other_master_gone";
        case NoticeKind::id_conflict:
            return "id_conflict";
        case NoticeKind::id_shared:
            return "id_shared";
        case NoticeKind::too_many:
            return "too_many_chargers";
        case NoticeKind::relay_chatter:
            return "relay_chatter";
        case NoticeKind::contactor:
            return "contactor_command";
        case NoticeKind::silenced:
            return "charger_silenced";
        case NoticeKind::stop_refused:
            return "stop_refused";
    }
    return "";
}

}  // namespace

TwcBus::TwcBus(Config config, service::Environment& environment, const std::vector<ByteLink*>& links)
    : config_(std::move(config)),
      environment_(environment),
      started_(environment.loop.now()),
      host_(environment, [this](nlohmann::json& metrics) { add_metrics(metrics); }),
      keeper_(environment, host_, config_.state_file),
      setpoints_(config_.limits, keeper_.saved().estop, started_),
      fleet_(config_.limits, fleet_lines(config_.lines, keeper_.saved()), started_, config_.care),
      bus_state_(
          service::make_state_publisher<contract::BusState>(environment, environment.topics.bus_state(), bus_pace)),
      discovery_(
          environment, [this] { return announced_devices(environment_.topics, ids_of(desks_), true); },
          [this] { repeat_states(); }),
      timer_(environment.loop),
      scope_(environment.loop) {
    if (setpoints_.estop()) {
        spdlog::warn("the emergency stop is still in force; publish release to {}",
                     environment_.topics.bus_estop_set());
    }
    for (const auto& [id, charger] : keeper_.saved().chargers) {
        desks_.try_emplace(id, environment_, host_, id, charger.totals);
    }
    host_.on_command(environment_.topics.bus_limit_set(),
                     [this](const messaging::Delivery& command) { return on_limit_set(command); });
    host_.on_command(environment_.topics.bus_estop_set(),
                     [this](const messaging::Delivery& command) { return on_estop_set(command); });
    host_.on_command(environment_.topics.bus_raw_set(),
                     [this](const messaging::Delivery& command) { return on_raw_set(command); });
    if (config_.house_fuse_ca) {
        fuse_.emplace(*config_.house_fuse_ca, started_);
        environment_.bus.subscribe(scope_, environment_.topics.ems_state(), 0,
                                   [this](const messaging::Delivery& delivery) { on_site(delivery); });
    }
    scope_.call_every(publish_period, [this] { publish_all(); });
    scope_.call_every(save_period, [this] { save_if_changed(); });
    for (std::size_t index = 0; index < config_.lines.size(); ++index) {
        lines_.emplace_back(
            config_.lines[index], *links.at(index),
            TransmitRules{.limits = config_.limits, .contactor_commands = contactor_chargers(config_.care)});
    }
    for (std::size_t index = 0; index < lines_.size(); ++index) {
        open_link(index);
    }
    pump();
    publish_all();
}

TwcBus::~TwcBus() {
    for (auto& line : lines_) {
        line.transmitter().close();
    }
    for (auto& [id, desk] : desks_) {
        desk.publish_offline();
    }
    keeper_.save_before_exit(state_to_save());
}

// --- the line ---------------------------------------------------------------------------------------------------

void TwcBus::open_link(std::size_t index) {
    lines_[index].transmitter().open(
        {.bytes = [this, index](std::span<const std::uint8_t> bytes) { on_bytes(index, bytes); },
         .up = [this, index] { on_link(index, true, ""); },
         .down = [this, index](const std::string& why) { on_link(index, false, why); }});
}

void TwcBus::on_link(std::size_t index, bool up, const std::string& why) {
    if (up) {
        lines_[index].on_up();
    } else {
        lines_[index].on_down(why, fleet_.line(index).link_up());
    }
    fleet_.on_link(index, up, environment_.loop.now());
    pump();
    publish_bus();
}

void TwcBus::on_bytes(std::size_t index, std::span<const std::uint8_t> bytes) {
    const Instant now = environment_.loop.now();
    fleet_.on_activity(index, now);
    for (const auto& body : lines_[index].on_bytes(bytes)) {
        if (raw_sent_ && now - *raw_sent_ <= shown_after_raw) {
            const auto message = decode_message(body);
            host_.event("raw_heard", {{"frame", fmt::format("{:02X}", fmt::join(body, " "))},
                                      {"words", message ? describe(*message) : "no message we know"}});
        }
        if (const auto answered = fleet_.on_body(index, body, now)) {
            on_answer(*answered);
        }
    }
    pump();
}

void TwcBus::on_answer(UnitId id) {
    const auto& charger = *fleet_.find(id);
    auto& shown = desk(id);
    if (const auto unit_kwh = charger.inquiry.lifetime_kwh()) {
        shown.on_unit_counter(*unit_kwh);
    }
    const bool changed = shown.on_reading(power_w(charger, config_.mains), charger.inquiry.plugged());
    publish_charger(charger);
    if (changed) {
        save_if_changed();
    }
}

void TwcBus::pump() {
    const Instant now = environment_.loop.now();
    watch_lease(now);
    look_around(now);
    fleet_.set_wishes(wishes(now));
    fleet_.allow_spikes(setpoints_.lease().in_force(now) && !setpoints_.estop());
    Instant wake = std::min(setpoints_.changes_at(now), fuse_ ? fuse_->changes_at(now) : Instant::max());
    for (std::size_t index = 0; index < lines_.size(); ++index) {
        auto step = fleet_.next(index, now);
        while (step.body) {
            lines_[index].transmitter().send(*step.body);
            step = fleet_.next(index, now);
        }
        wake = std::min(wake, step.wake);
    }
    handle_notices();
    timer_.set(wake, [this] { pump(); });

    std::set<UnitId> granted_nothing;
    for (const auto* charger : fleet_.chargers()) {
        if (charger->claim.heard() && charger->grant.ca == 0) {
            granted_nothing.insert(charger->id);
        }
    }
    if (granted_nothing != granted_nothing_) {
        granted_nothing_ = std::move(granted_nothing);
        save_if_changed();
    }
}

std::map<UnitId, int> TwcBus::wishes(Instant now) {
    std::map<UnitId, int> wishes;
    for (const auto* charger : fleet_.chargers()) {
        if (!charger->claim.heard() && !charger->silenced) {
            continue;
        }
        wishes[charger->id] = setpoints_.wish_ca(charger->id, charger->grant.ca, fuse_ && fuse_->is_lost(now), now);
    }
    return wishes;
}

// --- the house connection ---------------------------------------------------------------------------------------

// A stored message says nothing about now; the next one comes within seconds.
void TwcBus::on_site(const messaging::Delivery& delivery) {
    if (delivery.retained || delivery.payload.empty()) {
        return;
    }
    const Instant now = environment_.loop.now();
    try {
        const auto site = contract::from_text<contract::SitePower>(delivery.payload);
        std::array<std::optional<int>, 3> grid_ca;
        for (std::size_t line = 0; line < grid_ca.size(); ++line) {
            if (site.grid_a.at(line)) {
                grid_ca.at(line) = static_cast<int>(std::lround(*site.grid_a.at(line) * 100));
            }
        }
        const std::chrono::duration<double> age(site.grid_age_s.value_or(site.age_s.value_or(0)));
        fuse_->on_sample(grid_ca, now - std::chrono::duration_cast<scheduling::Duration>(age), now);
    } catch (const contract::Invalid& error) {
        if (++sites_refused_ == 1) {
            spdlog::warn("refused {}: {}", delivery.topic, error.what());
        }
        host_.event("message_refused", {{"topic", delivery.topic}, {"reason", error.what()}});
        return;
    }
    pump();
}

// What holds at this moment beside the configured limits.
void TwcBus::look_around(Instant now) {
    auto passing = setpoints_.limits();
    if (fuse_) {
        fuse_->on_drawn(drawn_by_line(fleet_.chargers(), config_.limits, config_.mains), now);
        std::ranges::move(fuse_->limits(), std::back_inserter(passing));
        report_fuse();
    }
    fleet_.set_surroundings(std::move(passing), fuse_ && fuse_->is_blind(now));
}

void TwcBus::report_fuse() {
    const bool overloaded = fuse_->overloaded_line().has_value();
    if (overloaded && !fuse_overloaded_) {
        const auto words = fmt::format("more than {:g} A flow on L{} of the house connection",
                                       amps(*config_.house_fuse_ca), *fuse_->overloaded_line() + 1);
        spdlog::warn("{}", words);
        host_.event("house_fuse_overload", {{"reason", words}});
    }
    fuse_overloaded_ = overloaded;
}

void TwcBus::handle_notices() {
    for (const auto& notice : fleet_.take_notices()) {
        const bool is_good = notice.kind == NoticeKind::linked || notice.kind == NoticeKind::foreign_master_gone;
        spdlog::log(is_good ? spdlog::level::info : spdlog::level::warn, "{}: {}", to_text(notice.id), notice.words);
        host_.event(name_of(notice.kind), {{"charger", to_text(notice.id)}, {"reason", notice.words}});
        scope_.post([this] {
            publish_all();
            save_if_changed();
        });
    }
}

// --- commands ---------------------------------------------------------------------------------------------------

nlohmann::json TwcBus::on_limit_set(const messaging::Delivery& command) {
    const Instant now = environment_.loop.now();
    const auto limits = contract::from_text<contract::LimitSet>(command.payload);
    setpoints_.accept(limits, now);
    report_refused_wishes(limits);
    pump();
    publish_all();

    std::vector<std::string> unknown;
    for (const auto& [name, amps] : limits.chargers) {
        const auto id = unit_id_from_text(name);
        if (!id || name != to_text(*id) || (fleet_.find(*id) == nullptr && !desks_.contains(*id))) {
            unknown.push_back(name);
        }
    }
    if (!unknown.empty()) {
        std::vector<std::string> known;
        for (const auto& [id, shown] : desks_) {
            known.push_back(to_text(id));
        }
        throw service::Rejected(
            fmt::format("no such charger: {}; the rest of the message is in force", fmt::join(unknown, ", ")),
            known.empty() ? "the id of a charger; none was found yet"
                          : fmt::format("ids out of {}", fmt::join(known, ", ")));
    }
    return {{"lease_s", limits.ttl_s}, {"seq", limits.seq}};
}

// MQTT lowers the hard limit, never raises it: what is above is cut, and said once for every new value.
void TwcBus::report_refused_wishes(const contract::LimitSet& limits) {
    for (const auto& [name, wish_a] : limits.chargers) {
        const auto id = unit_id_from_text(name);
        const auto found = id ? desks_.find(*id) : desks_.end();
        if (found == desks_.end()) {
            continue;
        }
        auto& refused = refused_wishes_ca_[*id];
        const int wish_ca = setpoints_.lease().wish_ca(*id);
        const int most_ca = config_.limits.max_ca(*id);
        if (wish_ca > most_ca && refused != wish_ca) {
            spdlog::warn("{}: {:g} A wanted, limited to {:g} A", name, wish_a, amps(most_ca));
            found->second.event("limited",
                                {{"wanted_a", wish_a}, {"limit_a", amps(most_ca)}, {"reason", "limits.charger_max_a"}});
        }
        refused = wish_ca > most_ca ? std::optional(wish_ca) : std::nullopt;
    }
}

nlohmann::json TwcBus::on_estop_set(const messaging::Delivery& command) {
    static constexpr std::array<const char*, 2> words{"stop", "release"};
    const bool stop = service::parse_choice(command.payload, words) == "stop";
    if (stop != setpoints_.estop()) {
        setpoints_.set_estop(stop);
        spdlog::warn("emergency stop {}", stop ? "in force" : "released");
        host_.event(stop ? "estop" : "estop_released");
    }
    pump();
    publish_all();
    save_if_changed();
    return {{"estop", setpoints_.estop()}};
}

// `FB EB 77 77 77 44`, with zeros to the full length added; with several lines led by the line's name.
nlohmann::json TwcBus::on_raw_set(const messaging::Delivery& command) {
    const std::string expected = "the bytes of a frame without delimiters and checksum, in hex" +
                                 std::string(lines_.size() > 1 ? ", led by the name of the line" : "");
    std::istringstream words(command.payload);
    std::size_t index = 0;
    if (lines_.size() > 1) {
        std::string name;
        words >> name;
        while (index < lines_.size() && lines_[index].config().name != name) {
            ++index;
        }
    }
    if (index == lines_.size()) {
        throw service::Rejected("no line of that name", expected);
    }
    if (!lines_[index].config().raw_send) {
        throw service::Rejected("bus.raw_send is off", "true in the configuration file");
    }
    Bytes body;
    for (std::string word; words >> word;) {
        const auto value = word.size() == 2 ? unit_id_from_text("00" + word) : std::nullopt;
        if (!value) {
            throw service::Rejected(fmt::format("\"{}\" is no byte", word), expected);
        }
        body.push_back(static_cast<std::uint8_t>(*value));
    }
    constexpr std::size_t full_length = 15;
    body.resize(std::max(body.size(), full_length));
    auto refusal = refusal_of_raw(body);
    if (!refusal) {
        refusal = lines_[index].transmitter().refusal(body);
    }
    if (refusal) {
        throw service::Rejected(*refusal, "a frame of the list that may be sent");
    }
    spdlog::warn("{}: sending {:02X} as typed in", lines_[index].config().port, fmt::join(body, " "));
    raw_sent_ = environment_.loop.now();
    fleet_.send_raw(index, body);
    pump();
    return {{"sent", fmt::format("{:02X}", fmt::join(body, " "))}};
}

void TwcBus::watch_lease(Instant now) {
    const bool failsafe = setpoints_.failsafe(now);
    if (failsafe == failsafe_) {
        return;
    }
    failsafe_ = failsafe;
    if (failsafe) {
        const char* why = setpoints_.lease().ever() ? "the limits were not renewed in time" : "no limits have arrived";
        spdlog::warn("{}: no charger gets more than {:g} A now", why, amps(config_.limits.failsafe_ca));
        host_.event("failsafe", {{"reason", why}, {"failsafe_a", amps(config_.limits.failsafe_ca)}});
    } else {
        spdlog::info("limits arrive again");
        host_.event("failsafe_ended");
    }
    scope_.post([this] { publish_all(); });
}

// --- state ------------------------------------------------------------------------------------------------------

void TwcBus::publish_all() {
    for (const auto* charger : fleet_.chargers()) {
        publish_charger(*charger);
    }
    // Known from the file or lost since: their counters stay visible.
    for (auto& [id, shown] : desks_) {
        if (fleet_.find(id) == nullptr) {
            Charger absent;
            absent.id = id;
            absent.linked = false;
            publish_charger(absent);
        }
    }
    publish_bus();
}

bool TwcBus::is_online(const Charger& charger, Instant now) {
    if (charger.silenced) {
        return true;
    }
    return charger.linked && charger.last_answer && now - *charger.last_answer <= online_within;
}

ChargerDesk& TwcBus::desk(UnitId id) {
    const auto [place, is_new] = desks_.try_emplace(id, environment_, host_, id);
    if (is_new) {
        discovery_.refresh();
    }
    return place->second;
}

void TwcBus::repeat_states() {
    for (auto& [id, shown] : desks_) {
        shown.repeat();
    }
    bus_state_.repeat();
}

void TwcBus::publish_charger(const Charger& charger) {
    auto& shown = desk(charger.id);
    shown.publish(describe(charger, shown.totals(), config_.mains, config_.limits),
                  is_online(charger, environment_.loop.now()));
}

std::string TwcBus::reason(Instant now) const {
    if (!fleet_.any_link_up()) {
        return lines_.front().down_because();
    }
    if (setpoints_.estop()) {
        return "emergency stop";
    }
    if (fleet_.hears_other_master()) {
        return "another master is on the bus: nothing is offered beside it";
    }
    if (failsafe_) {
        return fmt::format("{}: at most {:g} A each",
                           setpoints_.lease().ever() ? "limits not renewed in time" : "no limits have arrived",
                           amps(config_.limits.failsafe_ca));
    }
    if (fuse_ && fuse_->is_lost(now)) {
        return fmt::format("no phase currents of the house: at most {:g} A each", amps(config_.limits.failsafe_ca));
    }
    if (fuse_ && fuse_->is_blind(now)) {
        return "no fresh phase currents of the house: nothing is raised";
    }
    if (fleet_.listening(now)) {
        return "listening who is on the bus before anything is offered";
    }
    for (const auto* charger : fleet_.chargers()) {
        if (!charger->grant.reason.empty()) {
            return fmt::format("{}: {}", to_text(charger->id), charger->grant.reason);
        }
    }
    return setpoints_.lease().in_force(now) ? "limits in force" : "waiting for limits";
}

std::map<std::string, contract::BusLine> TwcBus::line_states(Instant now) const {
    std::map<std::string, contract::BusLine> states;
    for (std::size_t index = 0; index < lines_.size(); ++index) {
        std::vector<std::string> chargers;
        for (const auto& [id, charger] : fleet_.line(index).chargers()) {
            if (is_online(charger, now)) {
                chargers.push_back(to_text(id));
            }
        }
        const auto& line = lines_[index];
        states.emplace(line.config().name, line.state(fleet_.line(index), std::move(chargers), now));
    }
    return states;
}

void TwcBus::publish_bus() {
    const Instant now = environment_.loop.now();
    contract::BusState state{.ts = environment_.loop.wall_now(),
                             .granted_a = amps(fleet_.granted_sum_ca()),
                             .limit_a = amps(config_.limits.wiring_ca),
                             .charger_min_a = amps(config_.limits.charger_min_ca),
                             .charger_max_a = amps(config_.limits.charger_max_ca),
                             .failsafe_a = amps(config_.limits.failsafe_ca),
                             .failsafe = failsafe_,
                             .estop = setpoints_.estop(),
                             .reason = reason(now)};
    for (std::size_t index = 0; index < lines_.size(); ++index) {
        lines_[index].sample(fleet_.line(index), now);
    }
    auto lines = line_states(now);
    state.healthy = std::ranges::all_of(lines, [](const auto& item) { return *item.second.healthy; });
    for (const auto& [name, line] : lines) {
        if (*line.healthy == *state.healthy) {  // the first that is as bad as all together
            state.health = name.empty() ? *line.health : fmt::format("{}: {}", name, *line.health);
            break;
        }
    }
    for (const char* link : {"down", "opening", "no_answer", "ok"}) {  // the best of them
        const bool any = std::ranges::any_of(lines, [&](const auto& item) { return item.second.link == link; });
        state.link = any ? link : state.link;
    }
    state.role = fleet_.hears_other_master() ? "other master heard" : "master";
    for (const auto* charger : fleet_.chargers()) {
        if (is_online(*charger, now)) {
            state.chargers.push_back(to_text(charger->id));
            state.drawn_a += charger->drawing() ? amps(charger->last->drawn_ca) : 0;
        }
    }
    if (setpoints_.lease().in_force(now)) {
        state.lease_s = std::chrono::duration<double>(*setpoints_.lease().ends() - now).count();
    }
    if (lines.size() > 1) {
        state.lines = std::move(lines);
    }
    bus_state_.update(state);
}

void TwcBus::add_metrics(nlohmann::json& metrics) const {
    const Instant now = environment_.loop.now();
    if (lines_.size() == 1) {
        metrics.update(lines_.front().metrics(fleet_.line(0), now));
        return;
    }
    for (std::size_t index = 0; index < lines_.size(); ++index) {
        metrics["lines"][lines_[index].config().name] = lines_[index].metrics(fleet_.line(index), now);
    }
}

// --- the state file ---------------------------------------------------------------------------------------------

SavedState TwcBus::state_to_save() const {
    SavedState state{.estop = setpoints_.estop(), .chargers = keeper_.saved().chargers};
    for (auto& [id, charger] : state.chargers) {
        charger.linked = false;
        charger.silenced = false;
    }
    for (std::size_t index = 0; index < lines_.size(); ++index) {
        for (const auto& [id, charger] : fleet_.line(index).chargers()) {
            auto& saved = state.chargers[id];
            saved.linked = !charger.silenced;
            saved.silenced = charger.silenced;
            saved.line = lines_[index].config().name;
            saved.protocol = charger.protocol;
            if (charger.claim.heard()) {
                saved.granted_ca = charger.grant.ca;
            }
        }
    }
    for (const auto& [id, shown] : desks_) {
        state.chargers[id].totals = shown.totals();
    }
    return state;
}

}  // namespace twc_bus
