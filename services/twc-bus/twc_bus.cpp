#include "twc-bus/twc_bus.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <spdlog/spdlog.h>

#include "service/command_value.hpp"
#include "storage/atomic_file.hpp"

namespace twc_bus {

namespace {

using namespace std::chrono_literals;
using scheduling::Instant;

constexpr service::Pace bus_pace{.at_most_every = 1s, .at_least_every = 5s, .qos = 0};
constexpr service::Pace charger_pace{.at_most_every = 1s, .at_least_every = 10s, .qos = 0};
constexpr auto publish_period = 1s;
constexpr auto save_period = 10s;
constexpr auto online_within = 15s;
constexpr auto no_answer_after = 10s;

constexpr double amps(int ca) { return ca / 100.0; }

// A file that cannot be used is set aside, so that its energy counters can be rescued by hand.
SavedState load_state(const std::filesystem::path& file) {
    try {
        const auto text = storage::read_if_present(file);
        return text ? saved_state_from_text(*text) : SavedState{};
    } catch (const std::exception& error) {
        spdlog::error("state file {}: {}; starting with empty counters", file.string(), error.what());
        std::error_code ignored;
        std::filesystem::rename(file, file.string() + ".unreadable", ignored);
        return {};
    }
}

std::vector<KnownCharger> linked_chargers(const SavedState& saved) {
    std::vector<KnownCharger> known;
    for (const auto& [id, charger] : saved.chargers) {
        if (charger.linked) {
            known.push_back({.id = id, .protocol = charger.protocol, .granted_ca = charger.granted_ca});
        }
    }
    return known;
}

const char* name_of(SessionEvent event) {
    switch (event) {
        case SessionEvent::plugged:
            return "plugged";
        case SessionEvent::unplugged:
            return "unplugged";
        case SessionEvent::session_started:
            return "session_started";
        case SessionEvent::session_ended:
            return "session_ended";
    }
    return "";
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
    }
    return "";
}

double percentile(std::vector<double> values, double share) {
    std::ranges::sort(values);
    return values.at(static_cast<std::size_t>(share * static_cast<double>(values.size() - 1)));
}

}  // namespace

TwcBus::Published::Published(const service::Environment& environment, const std::string& topic)
    : state(service::make_state_publisher<contract::ChargerState>(environment, topic, charger_pace)) {}

TwcBus::TwcBus(Config config, service::Environment& environment, ByteLink& link)
    : config_(std::move(config)),
      environment_(environment),
      started_(environment.loop.now()),
      saved_(load_state(config_.state_file)),
      setpoints_(config_.limits, saved_.estop, started_),
      master_({.master_id = config_.master_id, .limits = config_.limits, .listen = config_.listen},
              linked_chargers(saved_), started_),
      transmitter_(link, config_.limits.charger_max_ca),
      host_(environment, [this](nlohmann::json& metrics) { add_metrics(metrics); }),
      bus_state_(
          service::make_state_publisher<contract::BusState>(environment, environment.topics.bus_state(), bus_pace)),
      disk_(environment.workers.make_worker("twc-disk")),
      timer_(environment.loop),
      scope_(environment.loop) {
    if (setpoints_.estop()) {
        spdlog::warn("the emergency stop is still in force; publish release to {}",
                     environment_.topics.bus_estop_set());
    }
    for (const auto& [id, charger] : saved_.chargers) {
        published(id).meter = SessionMeter(charger.totals);
    }
    host_.on_command(environment_.topics.bus_limit_set(),
                     [this](const messaging::Delivery& command) { return on_limit_set(command); });
    host_.on_command(environment_.topics.bus_estop_set(),
                     [this](const messaging::Delivery& command) { return on_estop_set(command); });
    if (config_.house_fuse_ca) {
        fuse_.emplace(*config_.house_fuse_ca, started_);
        environment_.bus.subscribe(scope_, environment_.topics.ems_state(), 0,
                                   [this](const messaging::Delivery& delivery) { on_site(delivery); });
    }
    scope_.call_every(publish_period, [this] { publish_all(); });
    scope_.call_every(save_period, [this] { save_if_changed(); });
    open_link();
    pump();
    publish_all();
}

TwcBus::~TwcBus() {
    transmitter_.close();
    for (auto& [id, shown] : published_) {
        environment_.bus.publish({.topic = environment_.topics.charger_availability(to_text(id)),
                                  .payload = "offline",
                                  .retained = true,
                                  .qos = 1});
    }
    save_before_exit();
}

TwcBus::Published& TwcBus::published(UnitId id) {
    const auto found = published_.find(id);
    if (found != published_.end()) {
        return found->second;
    }
    return published_.try_emplace(id, environment_, environment_.topics.charger_state(to_text(id))).first->second;
}

// --- the line ---------------------------------------------------------------------------------------------------

void TwcBus::open_link() {
    transmitter_.open({.bytes = [this](std::span<const std::uint8_t> bytes) { on_bytes(bytes); },
                       .up =
                           [this] {
                               spdlog::info("{}: open", config_.port);
                               link_reason_.clear();
                               was_up_ = true;
                               decoder_.reset();
                               master_.on_link(true, environment_.loop.now());
                               pump();
                               publish_bus();
                           },
                       .down =
                           [this](const std::string& why) {
                               spdlog::warn("{}", why);
                               link_reason_ = why;
                               link_losses_ += master_.link_up() ? 1U : 0U;
                               master_.on_link(false, environment_.loop.now());
                               pump();
                               publish_bus();
                           }});
}

void TwcBus::on_bytes(std::span<const std::uint8_t> bytes) {
    const Instant now = environment_.loop.now();
    master_.on_activity(now);
    for (const auto& body : decoder_.feed(bytes)) {
        if (const auto answered = master_.on_body(body, now)) {
            on_answer(*answered);
        }
    }
    pump();
}

void TwcBus::on_answer(UnitId id) {
    const auto& charger = master_.chargers().at(id);
    auto& shown = published(id);
    const auto events = shown.meter.on_reading({.power_w = power_w(charger, config_.mains),
                                                .plugged = charger.inquiry.plugged(),
                                                .now = environment_.loop.now(),
                                                .wall_now = environment_.loop.wall_now()});
    for (const auto event : events) {
        const auto& totals = shown.meter.totals();
        charger_event(id, name_of(event),
                      {{"energy_kwh", totals.energy_kwh}, {"session_kwh", totals.session_kwh.value_or(0)}});
        spdlog::info("{}: {}", to_text(id), name_of(event));
    }
    publish_charger(charger);
    if (!events.empty()) {
        save_if_changed();
    }
}

void TwcBus::pump() {
    const Instant now = environment_.loop.now();
    watch_lease(now);
    watch_fuse(now);
    master_.set_wishes(wishes(now));
    auto step = master_.next(now);
    while (step.body) {
        transmitter_.send(*step.body);
        step = master_.next(now);
    }
    handle_notices();
    const Instant fuse_change = fuse_ ? fuse_->changes_at(now) : Instant::max();
    timer_.set(std::min({step.wake, setpoints_.changes_at(now), fuse_change}), [this] { pump(); });

    std::set<UnitId> granted_nothing;
    for (const auto& [id, charger] : master_.chargers()) {
        if (charger.claim.heard() && charger.grant.ca == 0) {
            granted_nothing.insert(id);
        }
    }
    if (granted_nothing != granted_nothing_) {
        granted_nothing_ = std::move(granted_nothing);
        save_if_changed();
    }
}

std::map<UnitId, int> TwcBus::wishes(Instant now) {
    std::map<UnitId, int> wishes;
    for (const auto& [id, charger] : master_.chargers()) {
        if (!charger.claim.heard()) {
            continue;
        }
        wishes[id] = setpoints_.wish_ca(id, charger.grant.ca, fuse_ && fuse_->is_lost(now), now);
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

void TwcBus::watch_fuse(Instant now) {
    if (!fuse_) {
        return;
    }
    fuse_->on_drawn(drawn_by_line(master_.chargers(), config_.limits, config_.mains), now);
    master_.set_surroundings(fuse_->limits(), fuse_->is_blind(now));

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
    for (const auto& notice : master_.take_notices()) {
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
        if (!id || name != to_text(*id) || (!master_.chargers().contains(*id) && !published_.contains(*id))) {
            unknown.push_back(name);
        }
    }
    if (!unknown.empty()) {
        std::vector<std::string> known;
        for (const auto& [id, shown] : published_) {
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
        const auto found = id ? published_.find(*id) : published_.end();
        if (found == published_.end()) {
            continue;
        }
        auto& refused = found->second.refused_wish_ca;
        const int wish_ca = setpoints_.lease().wish_ca(*id);
        const int most_ca = config_.limits.max_ca(*id);
        if (wish_ca > most_ca && refused != wish_ca) {
            spdlog::warn("{}: {:g} A wanted, limited to {:g} A", name, wish_a, amps(most_ca));
            charger_event(*id, "limited",
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
    for (const auto& [id, charger] : master_.chargers()) {
        publish_charger(charger);
    }
    // Known from the file or lost since: their counters stay visible.
    for (auto& [id, shown] : published_) {
        if (!master_.chargers().contains(id)) {
            Charger absent;
            absent.id = id;
            absent.linked = false;
            publish_charger(absent);
        }
    }
    publish_bus();
}

bool TwcBus::is_online(const Charger& charger, Instant now) {
    return charger.linked && charger.last_answer && now - *charger.last_answer <= online_within;
}

void TwcBus::publish_charger(const Charger& charger) {
    const Instant now = environment_.loop.now();
    auto& shown = published(charger.id);
    auto state = describe(charger, shown.meter.totals(), config_.mains, config_.limits);
    state.ts = environment_.loop.wall_now();
    shown.state.update(state);

    const bool online = is_online(charger, now);
    if (shown.online != online) {
        shown.online = online;
        environment_.bus.publish({.topic = environment_.topics.charger_availability(to_text(charger.id)),
                                  .payload = online ? "online" : "offline",
                                  .retained = true,
                                  .qos = 1});
    }
    if (state.fault != shown.fault) {
        shown.fault = state.fault;
        if (state.fault && shown.online == true) {
            spdlog::warn("{}: {}", to_text(charger.id), *state.fault);
            charger_event(charger.id, "fault", {{"reason", *state.fault}});
        }
    }
}

std::string TwcBus::link_word(Instant now) const {
    if (!master_.link_up()) {
        return was_up_ || link_reason_ != "opening the port" ? "down" : "opening";
    }
    const bool any_answer = std::ranges::any_of(master_.chargers(), [&](const auto& item) {
        const auto& answer = item.second.last_answer;
        return answer && now - *answer <= no_answer_after;
    });
    return any_answer ? "ok" : "no_answer";
}

std::string TwcBus::reason(Instant now) const {
    if (!master_.link_up()) {
        return link_reason_;
    }
    if (setpoints_.estop()) {
        return "emergency stop";
    }
    if (master_.hears_other_master()) {
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
    if (master_.listening(now)) {
        return "listening who is on the bus before anything is offered";
    }
    for (const auto& [id, charger] : master_.chargers()) {
        if (!charger.grant.reason.empty()) {
            return fmt::format("{}: {}", to_text(id), charger.grant.reason);
        }
    }
    return setpoints_.lease().in_force(now) ? "limits in force" : "waiting for limits";
}

void TwcBus::publish_bus() {
    const Instant now = environment_.loop.now();
    contract::BusState state{.ts = environment_.loop.wall_now(),
                             .link = link_word(now),
                             .role = master_.hears_other_master() ? "other master heard" : "master",
                             .granted_a = amps(master_.granted_sum_ca()),
                             .limit_a = amps(config_.limits.wiring_ca),
                             .charger_min_a = amps(config_.limits.charger_min_ca),
                             .charger_max_a = amps(config_.limits.charger_max_ca),
                             .failsafe_a = amps(config_.limits.failsafe_ca),
                             .failsafe = failsafe_,
                             .estop = setpoints_.estop(),
                             .reason = reason(now)};
    for (const auto& [id, charger] : master_.chargers()) {
        if (is_online(charger, now)) {
            state.chargers.push_back(to_text(id));
            state.drawn_a += charger.drawing() ? amps(charger.last->drawn_ca) : 0;
        }
    }
    if (setpoints_.lease().in_force(now)) {
        state.lease_s = std::chrono::duration<double>(*setpoints_.lease().ends() - now).count();
    }
    bus_state_.update(state);
}

void TwcBus::charger_event(UnitId id, const std::string& event_type, nlohmann::json details) {
    host_.event_on(environment_.topics.charger_event(to_text(id)), event_type, std::move(details));
}

void TwcBus::add_metrics(nlohmann::json& metrics) const {
    const auto& frames = decoder_.counters();
    const auto& statistics = master_.statistics();
    metrics["frames_sent"] = transmitter_.sent();
    metrics["frames_refused"] = transmitter_.refused();
    metrics["frames_received"] = frames.frames;
    metrics["checksum_errors"] = frames.bad_checksums;
    metrics["short_segments"] = frames.short_segments;
    metrics["escape_errors"] = frames.bad_escapes;
    metrics["length_errors"] = frames.bad_lengths;
    metrics["unknown_frames"] = statistics.unknown_frames;
    metrics["own_echoes"] = statistics.own_echoes;
    metrics["heartbeats_sent"] = statistics.heartbeats;
    metrics["queries_sent"] = statistics.queries;
    metrics["lost_answers"] = statistics.lost_answers;
    metrics["late_answers"] = statistics.late_answers;
    metrics["link_losses"] = link_losses_;
    if (!statistics.answer_delays_ms.empty()) {
        const std::vector<double> delays(statistics.answer_delays_ms.begin(), statistics.answer_delays_ms.end());
        metrics["answer_delay_ms"] = {
            {"p50", percentile(delays, 0.5)}, {"p95", percentile(delays, 0.95)}, {"p99", percentile(delays, 0.99)}};
    }
    auto ages = nlohmann::json::object();
    for (const auto& [id, charger] : master_.chargers()) {
        if (charger.last_answer) {
            ages[to_text(id)] = std::chrono::duration<double>(environment_.loop.now() - *charger.last_answer).count();
        }
    }
    metrics["heartbeat_age_s"] = std::move(ages);
}

// --- the state file ---------------------------------------------------------------------------------------------

SavedState TwcBus::state_to_save() const {
    SavedState state{.estop = setpoints_.estop(), .chargers = saved_.chargers};
    for (auto& [id, charger] : state.chargers) {
        charger.linked = false;
    }
    for (const auto& [id, charger] : master_.chargers()) {
        auto& saved = state.chargers[id];
        saved.linked = charger.linked;
        saved.protocol = charger.protocol;
        if (charger.claim.heard()) {
            saved.granted_ca = charger.grant.ca;
        }
    }
    for (const auto& [id, shown] : published_) {
        state.chargers[id].totals = shown.meter.totals();
    }
    return state;
}

void TwcBus::save_if_changed() {
    if (saving_) {
        save_again_ = true;
        return;
    }
    auto state = state_to_save();
    if (state == saved_) {
        return;
    }
    saving_ = true;
    auto text = to_json_text(state);  // before the state is moved below
    scheduling::run_on(
        *disk_, scope_,
        [file = config_.state_file, text = std::move(text)] {
            storage::write_atomically(file, text);
            return true;
        },
        [this, state = std::move(state)](const scheduling::Outcome<bool>& outcome) {
            saving_ = false;
            if (const auto* error = std::get_if<std::exception_ptr>(&outcome)) {
                try {
                    std::rethrow_exception(*error);
                } catch (const std::exception& problem) {
                    if (!std::exchange(save_failed_, true)) {
                        spdlog::error("state not saved: {}", problem.what());
                        host_.event("state_not_saved", {{"reason", problem.what()}});
                    }
                }
                return;
            }
            if (std::exchange(save_failed_, false)) {
                spdlog::info("state is saved again");
            }
            saved_ = state;
            if (std::exchange(save_again_, false)) {
                save_if_changed();
            }
        });
}

void TwcBus::save_before_exit() {
    disk_.reset();
    const auto state = state_to_save();
    if (state == saved_) {
        return;
    }
    try {
        storage::write_atomically(config_.state_file, to_json_text(state));
    } catch (const storage::StorageError& error) {
        spdlog::error("state not saved: {}", error.what());
    }
}

}  // namespace twc_bus
