#include "tesla-bridge/vehicle_session.hpp"

#include <spdlog/spdlog.h>

namespace tesla_bridge {

namespace {

using namespace std::chrono_literals;
using Kind = Verdict::Kind;

constexpr auto republish_period = 10s;  // keeps age_s true in what is repeated
constexpr auto effect_shows_after = 20s;
constexpr auto wake_shows_after = 30s;
constexpr int failures_until_unhealthy = 3;

template <class Result>
Result result_or(scheduling::Outcome<Result> outcome, Result (*failed)(const std::string&)) {
    if (auto* result = std::get_if<Result>(&outcome)) {
        return std::move(*result);
    }
    try {
        std::rethrow_exception(std::get<std::exception_ptr>(outcome));
    } catch (const std::exception& error) {
        return failed(error.what());
    }
}

Verdict failed_call(const std::string& why) { return {Kind::retry, "the call failed: " + why}; }
ReadResult failed_read(const std::string& why) { return {failed_call(why), {}}; }

const char* event_type(Outcome::Kind kind) {
    switch (kind) {
        case Outcome::Kind::done:
            return "command_done";
        case Outcome::Kind::failed:
            return "command_failed";
        case Outcome::Kind::replaced:
            return "command_replaced";
    }
    return "";
}

}  // namespace

VehicleSession::VehicleSession(const Config& config, VehicleConfig vehicle, service::Environment& environment,
                               service::ServiceHost& host, CallCounters& counters, std::shared_ptr<VehicleLink> link,
                               HoldAccount hold_account)
    : vehicle_(std::move(vehicle)),
      environment_(environment),
      host_(host),
      counters_(counters),
      hold_account_(std::move(hold_account)),
      queue_(config.pacing),
      polls_(config.poll),
      publisher_(service::make_state_publisher<contract::VehicleState>(
          environment, environment.topics.vehicle_state(vehicle_.alias))),
      link_(std::move(link)),
      worker_(link_ ? environment.workers.make_worker("car-" + vehicle_.alias) : nullptr),
      scope_(environment.loop),
      timer_(environment.loop) {
    publish();
    scope_.call_every(republish_period, [this] { publish(); });
    scope_.post([this] { proceed(); });
}

void VehicleSession::order(const Command& command) {
    last_command_ = to_words(command);
    if (const auto replaced = queue_.accept(command, environment_.loop.now())) {
        report(*replaced);
    }
    proceed();
}

void VehicleSession::on_news(const VehicleFacts& news) {
    merge(facts_, news);
    publish();
    proceed();
}

void VehicleSession::on_bad_news(const std::string& problem) {
    ++counters_.bad_messages;
    if (problem != last_problem_) {
        spdlog::warn("{}: ignored {}", vehicle_.alias, problem);
        last_problem_ = problem;
    }
}

void VehicleSession::hold_until(scheduling::Instant until, const std::string& reason) {
    queue_.hold_until(until, reason);
    polls_.hold_until(until);
}

// The only place that decides what happens next. Runs after everything that may have changed the answer.
void VehicleSession::proceed() {
    if (!link_ || is_calling_) {
        return;
    }
    const auto now = environment_.loop.now();
    const Step step = queue_.next_command(facts_, now);
    for (const auto& outcome : step.finished) {
        report(outcome);
    }
    if (step.send) {
        send(*step.send);
        return;
    }
    if (step.read_first) {
        polls_.want_read_at(now);
    }
    const Poll poll = polls_.next_poll(facts_, now);
    if (poll.at <= now) {
        read(poll.depth);
        return;
    }
    timer_.set(step.again_at ? std::min(*step.again_at, poll.at) : poll.at, [this] { proceed(); });
}

void VehicleSession::send(const Command& command) {
    const CallTime time{environment_.loop.now(), environment_.loop.wall_now()};
    queue_.sent(command, time.now);
    ++counters_.commands_sent;
    counters_.wakes += command.kind == CommandKind::wake ? 1 : 0;
    is_calling_ = true;
    scheduling::run_on(
        *worker_, scope_, [link = link_, command, time] { return link->send(command, time); },
        [this, command](scheduling::Outcome<Verdict> outcome) {
            on_command_answer(command, result_or<Verdict>(std::move(outcome), failed_call));
        });
}

void VehicleSession::read(ReadDepth depth) {
    const CallTime time{environment_.loop.now(), environment_.loop.wall_now()};
    polls_.started(depth, time.now);
    ++counters_.reads;
    is_calling_ = true;
    scheduling::run_on(
        *worker_, scope_, [link = link_, depth, time] { return link->read(depth, time); },
        [this, depth](scheduling::Outcome<ReadResult> outcome) {
            on_read_answer(depth, result_or<ReadResult>(std::move(outcome), failed_read));
        });
}

void VehicleSession::on_command_answer(const Command& command, Verdict verdict) {
    is_calling_ = false;
    note_effect(command, verdict);
    note_limits(verdict);
    if (verdict.kind != Kind::done) {
        spdlog::debug("{}: {}: {}", vehicle_.alias, to_words(command), verdict.reason);
    }
    if (const auto outcome = queue_.answered(command, verdict, facts_, environment_.loop.now())) {
        report(*outcome);
    }
    publish();
    proceed();
}

void VehicleSession::on_read_answer(ReadDepth depth, const ReadResult& result) {
    is_calling_ = false;
    merge(facts_, result.news);
    polls_.answered(depth, result.verdict, facts_, environment_.loop.now());
    note_limits(result.verdict);
    note_link(result.verdict);
    publish();
    proceed();
}

void VehicleSession::note_limits(const Verdict& verdict) {
    if (verdict.kind != Kind::rate_limited) {
        return;
    }
    const auto until = environment_.loop.now() + verdict.retry_after;
    hold_until(until, verdict.reason);
    if (verdict.whole_account) {
        hold_account_(until, verdict.reason);
    }
}

// What an answer to a command says about the car.
void VehicleSession::note_effect(const Command& command, const Verdict& verdict) {
    const auto now = environment_.loop.now();
    VehicleFacts news;
    if (verdict.kind == Kind::asleep) {
        news.sleep_state = Report<SleepState>{SleepState::asleep, now};
    } else if (verdict.kind == Kind::done && command.kind == CommandKind::wake) {
        polls_.want_read_at(now + wake_shows_after);
    } else if (verdict.kind == Kind::done) {
        news.sleep_state = Report<SleepState>{SleepState::online, now};
    }
    if (verdict.kind == Kind::done && command.kind == CommandKind::set_amps) {
        news.charge_amps_set = Report<double>{command.value, now};
    } else if (verdict.kind == Kind::done && command.kind == CommandKind::set_limit) {
        news.charge_limit_pct = Report<double>{command.value, now};
    } else if (verdict.kind == Kind::done && command.kind != CommandKind::wake) {
        polls_.want_read_at(now + effect_shows_after);
    }
    merge(facts_, news);
}

void VehicleSession::note_link(const Verdict& verdict) {
    const bool is_good = verdict.kind == Kind::done || verdict.kind == Kind::asleep;
    if (!is_good) {
        ++counters_.read_failures;
        if (verdict.reason != link_error_) {
            spdlog::warn("{}: state cannot be read: {}", vehicle_.alias, verdict.reason);
        }
        link_error_ = verdict.reason;
        return;
    }
    if (!link_error_.empty() || !has_answered_) {
        spdlog::info("{}: the link answers", vehicle_.alias);
    }
    has_answered_ = true;
    link_error_.clear();
    if (verdict.kind == Kind::done && !verdict.reason.empty()) {
        on_bad_news(verdict.reason);
    }
}

void VehicleSession::report(const Outcome& outcome) {
    const bool is_failure = outcome.kind == Outcome::Kind::failed;
    const std::string words = to_words(outcome.command);
    if (is_failure) {
        ++counters_.command_failures;
        spdlog::warn("{}: {} failed: {}", vehicle_.alias, words, outcome.reason);
    } else if (outcome.attempts > 0 && outcome.kind == Outcome::Kind::done) {
        spdlog::info("{}: {} done", vehicle_.alias, words);
    }
    if (outcome.kind != Outcome::Kind::replaced) {
        command_error_ = is_failure ? words + ": " + outcome.reason : "";
    }
    const std::chrono::duration<double> took = environment_.loop.now() - outcome.ordered_at;
    nlohmann::json details{{"command", to_word(outcome.command.kind)},
                           {"attempts", outcome.attempts},
                           {"took_s", std::round(took.count() * 10) / 10},
                           {"reason", outcome.reason}};
    if (outcome.command.kind == CommandKind::set_amps || outcome.command.kind == CommandKind::set_limit) {
        details["value"] = outcome.command.value;
    }
    if (!outcome.was_ordered) {
        details["needed_by"] = to_word(CommandKind::charge_start);
    }
    host_.event_on(environment_.topics.vehicle_event(vehicle_.alias), event_type(outcome.kind), std::move(details));
}

bool VehicleSession::is_link_healthy() const {
    return link_ && !queue_.is_blocked() && polls_.failures() < failures_until_unhealthy;
}

void VehicleSession::publish() {
    auto state = to_state(facts_, environment_.loop.now(), environment_.loop.wall_now());
    if (!vehicle_.vin.empty()) {
        state.vin = vehicle_.vin;
    }
    state.can_command = is_link_healthy();
    if (!last_command_.empty()) {
        state.last_command = last_command_;
    }
    if (!command_error_.empty() || !link_error_.empty()) {
        state.last_error = command_error_.empty() ? link_error_ : command_error_;
    }
    publisher_.update(state);

    const bool link_works = has_answered_ && polls_.failures() < failures_until_unhealthy;
    const bool is_online = link_works || (vehicle_.teslamate_car_id && facts_ != VehicleFacts{});
    const std::string availability = is_online ? "online" : "offline";
    if (availability != availability_) {
        availability_ = availability;
        environment_.bus.publish({.topic = environment_.topics.vehicle_availability(vehicle_.alias),
                                  .payload = availability,
                                  .retained = true,
                                  .qos = 1});
    }
}

}  // namespace tesla_bridge
