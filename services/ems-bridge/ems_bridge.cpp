#include "ems-bridge/ems_bridge.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <spdlog/spdlog.h>

#include "ems-bridge/home_assistant.hpp"
#include "ems-bridge/push_input.hpp"

namespace ems_bridge {

namespace {

using namespace std::chrono_literals;

// From a sample to amps counts in milliseconds, so samples hardly wait for each other; a flood is still thinned out.
constexpr service::Pace site_pace{.at_most_every = 20ms, .at_least_every = 2s};
constexpr auto tick_period = 1s;
// twc-bus repeats its states at least once a minute.
constexpr auto charger_stale_after = 130s;

}  // namespace

EmsBridge::EmsBridge(Config config, service::Environment& environment, Io& io)
    : environment_(environment),
      config_(std::move(config)),
      host_(environment, [this](nlohmann::json& metrics) { add_metrics(metrics); }),
      site_publisher_(
          service::make_state_publisher<contract::SitePower>(environment, environment.topics.ems_state(), site_pace)),
      scope_(environment.loop),
      expiry_(environment.loop),
      prices_(config_.tariffs, environment, io.http),
      forecasts_(config_.forecasts, environment, io.http),
      discovery_(
          environment, [this] { return announced_devices(environment_.topics, config_); },
          [this] { site_publisher_.repeat(); }) {
    site_publisher_.refresh_with([this] { return site_state(); });
    for (const auto& source : config_.sources) {
        start(sources_.emplace_back(source, config_.limits), io);
    }
    listen_to_topics();
    listen_to_chargers();
    host_.on_command(environment_.topics.ems_input_set("+"),
                     [this](const messaging::Delivery& command) { return on_push(command); });
    update_picture();  // at once: what the broker kept from the last run is not true any more
    scope_.call_every(tick_period, [this] { update_picture(); });
}

void EmsBridge::start(Running& source, Io& io) {
    const std::string& name = source.config.member.name;
    source.publisher = std::make_unique<service::StatePublisher>(
        environment_, environment_.topics.ems_source_state(name), contract::field_traits<contract::SourceState>());
    source.publisher->refresh_with([this, &source] { return source_state(source); });
    if (auto* const polled = std::get_if<Polled>(&source.config.access)) {
        start_polling(source, *polled, io);
    } else if (auto* const subscribed = std::get_if<Subscribed>(&source.config.access)) {
        source.feed = std::make_unique<MqttFeed>(subscribed->program, subscribed->mapping);
    }
}

void EmsBridge::start_polling(Running& source, Polled polled, Io& io) {
    source.poller = std::make_unique<Poller>(
        environment_.loop, environment_.workers, source.config.member.name, std::move(polled.make), io, polled.cadence,
        Poller::Listener{
            .on_reading = [this, &source](const Reading& reading,
                                          scheduling::Instant asked_at) { on_reading(source, reading, asked_at); },
            .on_failure = [this, &source](ErrorKind kind,
                                          const std::string& what) { on_failure(source, kind, what); }});
}

// Filters of one bus must not overlap, so a topic that several sources use is subscribed to once.
void EmsBridge::listen_to_topics() {
    std::map<std::string, std::vector<Running*>> listeners;
    for (auto& source : sources_) {
        if (!source.feed) {
            continue;
        }
        for (const auto& [document, topic] : source.feed->program().topics) {
            auto& sources = listeners[topic];
            if (std::ranges::find(sources, &source) == sources.end()) {
                sources.push_back(&source);
            }
        }
    }
    for (auto& [topic, sources] : listeners) {
        environment_.bus.subscribe(
            scope_, topic, 0,
            [this, sources = std::move(sources)](const messaging::Delivery& message) { on_topic(sources, message); });
    }
}

// Only where a meter does not see the chargers: their power then comes from twc-bus.
void EmsBridge::listen_to_chargers() {
    const bool is_needed =
        std::ranges::any_of(sources_, [](const Running& source) { return !source.config.member.includes_chargers; });
    if (is_needed) {
        environment_.bus.subscribe(scope_, environment_.topics.charger_state("+"), 0,
                                   [this](const messaging::Delivery& message) { on_charger(message); });
    }
}

void EmsBridge::on_reading(Running& source, const Reading& reading, scheduling::Instant asked_at) {
    std::vector<std::string> problems;
    const Reading plausible = source.filter.accept(reading, problems);
    note_problems(source, problems);
    const auto said = reading.measured_at
                          ? instant_of(*reading.measured_at, environment_.loop.now(), environment_.loop.wall_now())
                          : asked_at;
    source.statements.accept(plausible, std::min(said, asked_at));
    ++source.samples;
    on_recovery(source);
    source.publisher->update(source_state(source));
    picture_changed();
}

void EmsBridge::on_recovery(Running& source) {
    if (source.error) {
        spdlog::info("{}: answers again", source.config.member.name);
    }
    source.error.reset();
    source.error_kind.reset();
}

void EmsBridge::on_failure(Running& source, ErrorKind kind, const std::string& what) {
    if (source.error_kind != kind) {
        spdlog::warn("{}: {}", source.config.member.name, what);
    }
    source.error = what;
    source.error_kind = kind;
    ++source.errors[name_of(kind)];
    source.publisher->update(source_state(source));
    picture_changed();
}

void EmsBridge::note_problems(Running& source, const std::vector<std::string>& problems) {
    const std::string problem = problems.empty() ? "" : problems.front();
    if (problems.empty() != source.last_problem.empty()) {
        if (problems.empty()) {
            spdlog::info("{}: plausible again", source.config.member.name);
        } else {
            spdlog::warn("{}: {}", source.config.member.name, problem);
        }
    }
    source.last_problem = problem;
}

void EmsBridge::on_topic(const std::vector<Running*>& sources, const messaging::Delivery& message) {
    for (Running* const source : sources) {
        try {
            const auto values = source->feed->accept({.topic = message.topic,
                                                      .payload = message.payload,
                                                      .retained = message.retained,
                                                      .now = environment_.loop.now(),
                                                      .wall_now = environment_.loop.wall_now()});
            if (values.empty()) {
                continue;
            }
            std::vector<std::string> problems;
            for (const auto& [quantity, value, at] : values) {
                Reading single;
                value_of(single, quantity) = value;
                single = source->filter.accept(single, problems);
                source->statements.accept(quantity, value_of(single, quantity), at);
            }
            note_problems(*source, problems);
            ++source->samples;
            on_recovery(*source);
            source->publisher->update(source_state(*source));
            picture_changed();
        } catch (const SourceError& error) {
            on_failure(*source, error.kind(), error.what());
        }
    }
}

nlohmann::json EmsBridge::on_push(const messaging::Delivery& command) {
    const auto source = std::ranges::find_if(
        sources_, [](const Running& running) { return std::holds_alternative<Pushed>(running.config.access); });
    if (source == sources_.end()) {
        throw service::Rejected("there is no source of type push", "a source of type push in the configuration");
    }
    const auto name =
        contract::Topics::wildcard_level(environment_.topics.ems_input_set("+"), command.topic).value_or("");
    const PushRules rules{.roles = source->config.member.roles,
                          .stale_after = source->config.member.stale_after,
                          .limits = config_.limits};
    const auto pushed = read_push(name, command.payload, rules, environment_.loop.now(), environment_.loop.wall_now());
    source->statements.accept(pushed.quantity, pushed.value, pushed.at);
    ++source->samples;
    source->publisher->update(source_state(*source));
    picture_changed();
    return {{std::string(name_of(pushed.quantity)), pushed.value}};
}

void EmsBridge::on_charger(const messaging::Delivery& message) {
    const auto id = contract::Topics::wildcard_level(environment_.topics.charger_state("+"), message.topic);
    if (!id) {
        return;
    }
    if (message.payload.empty()) {
        chargers_.erase(*id);
        return;
    }
    try {
        const auto state = contract::from_text<contract::ChargerState>(message.payload);
        chargers_[*id] = {.power_w = state.power_w, .at = environment_.loop.now()};
    } catch (const contract::Invalid& error) {
        spdlog::debug("{}: {}", message.topic, error.what());
        chargers_[*id] = {.power_w = {}, .at = environment_.loop.now()};
    }
    picture_changed();
}

std::optional<double> EmsBridge::charger_w() const {
    if (chargers_.empty()) {
        return std::nullopt;
    }
    double sum = 0;
    for (const auto& [id, charger] : chargers_) {
        if (!charger.power_w || environment_.loop.now() - charger.at > charger_stale_after) {
            return std::nullopt;
        }
        sum += *charger.power_w;
    }
    return sum;
}

void EmsBridge::picture_changed() {
    if (!update_pending_) {
        update_pending_ = true;
        scope_.post([this] { update_picture(); });
    }
}

void EmsBridge::update_picture() {
    update_pending_ = false;
    ++pictures_;
    const auto picture = take_picture();
    site_memory_ = picture.memory;
    if (picture.power.quality != last_quality_) {
        spdlog::log(picture.power.quality == "ok" ? spdlog::level::info : spdlog::level::warn, "site: quality {}{}",
                    picture.power.quality,
                    picture.power.missing.empty()
                        ? ""
                        : fmt::format(", nothing from {}", fmt::join(picture.power.missing, ", ")));
        last_quality_ = picture.power.quality;
    }
    site_publisher_.update(site_state());
    for (auto& source : sources_) {
        source.publisher->update(source_state(source));
    }
    if (picture.valid_until) {
        expiry_.set(std::max(*picture.valid_until, environment_.loop.now()) + 1ms, [this] { update_picture(); });
    } else {
        expiry_.cancel();
    }
}

SitePicture EmsBridge::take_picture() {
    std::vector<SourceView> views;
    views.reserve(sources_.size());
    for (const auto& source : sources_) {
        views.push_back({.member = source.config.member, .statements = source.statements});
    }
    const Surroundings surroundings{
        .charger_w = charger_w(),
        .sun_is_down = config_.place && sun_is_down(*config_.place, environment_.loop.wall_now())};
    return combine(views, surroundings, site_memory_, environment_.loop.now());
}

nlohmann::json EmsBridge::site_state() {
    auto power = take_picture().power;
    power.ts = environment_.loop.wall_now();
    return contract::to_json(power);
}

nlohmann::json EmsBridge::source_state(const Running& source) const {
    contract::SourceState state{.type = source.config.type, .error = source.error};
    const auto now = environment_.loop.now();
    Reading shown;
    std::optional<scheduling::Instant> oldest;
    for (const Quantity quantity : all_quantities()) {
        if (const auto statement = source.statements.fresh(quantity, source.config.member.stale_after, now)) {
            value_of(shown, quantity) = statement->value;
            oldest = std::min(oldest.value_or(statement->at), statement->at);
        }
    }
    const bool is_stale = !oldest && source.statements.heard();
    if (!state.error && is_stale) {
        const bool is_waiting = source.poller && source.poller->asked_at();
        state.error = is_waiting ? "no answer" : "no news";
    }
    if (!state.error && !source.last_problem.empty()) {
        state.error = source.last_problem;
    }
    state.ok = oldest && !source.error;
    state.ts = environment_.loop.wall_now();
    if (oldest) {
        state.age_s = std::max(0.0, std::chrono::duration<double>(now - *oldest).count());
    }
    state.grid_w = shown.grid_w;
    state.pv_w = shown.pv_w;
    state.house_w = shown.house_w;
    state.battery_w = shown.battery_w;
    state.battery_soc_pct = shown.battery_soc_pct;
    state.grid_a = shown.grid_a;
    state.voltage_v = shown.voltage_v;
    state.import_kwh = shown.import_kwh;
    state.export_kwh = shown.export_kwh;
    state.pv_kwh = shown.pv_kwh;
    return contract::to_json(state);
}

void EmsBridge::add_metrics(nlohmann::json& metrics) const {
    metrics["pictures"] = pictures_;
    metrics["tariffs"] = prices_.metrics();
    metrics["forecasts"] = forecasts_.metrics();
    auto& sources = metrics["sources"] = nlohmann::json::object();
    for (const auto& source : sources_) {
        auto& entry = sources[source.config.member.name];
        entry = {{"samples", source.samples}, {"errors", source.errors}};
        const auto state = source_state(source);
        entry["age_s"] = state.at("age_s");
        if (source.poller) {
            const auto& counts = source.poller->counts();
            entry["polls"] = counts.polls;
            entry["latency_ms"] = counts.latency_ms ? nlohmann::json(std::round(*counts.latency_ms)) : nlohmann::json();
        }
    }
}

}  // namespace ems_bridge
