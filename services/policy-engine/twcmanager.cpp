#include "policy-engine/twcmanager.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "service/command_value.hpp"

namespace policy_engine {

namespace {

using namespace std::chrono_literals;

constexpr scheduling::Duration pace = 1s;
constexpr const char* expected_control =
    R"(chargeNow "amps,seconds", chargeNowEnd, nonScheduledAmpsMax (amps) or nonScheduledAction (1, 2 or 3))";
constexpr const char* expected_charge_now = R"("amps,seconds" in whole numbers: 5 to 80 A, 1 second to 366 days)";
constexpr int longest_s = 366 * 24 * 3600;

// Digits only, as TWCManager's int() has them but for signs.
std::optional<int> whole_number(std::string_view text) {
    const std::string word = service::normalised(text);
    int value = 0;
    const char* const end = word.data() + word.size();
    const auto parsed = std::from_chars(word.data(), end, value);
    const bool good = !word.empty() && word.front() != '-' && parsed.ec == std::errc{} && parsed.ptr == end;
    return good ? std::optional(value) : std::nullopt;
}

bool is_between(std::optional<int> value, int low, int high) { return value && *value >= low && *value <= high; }

OwnCommand charge_now(std::string_view payload) {
    const auto comma = payload.find(',');
    const auto amps = whole_number(payload.substr(0, comma));
    const auto duration_s = comma == std::string_view::npos ? std::nullopt : whole_number(payload.substr(comma + 1));
    if (!is_between(amps, 5, 80) || !is_between(duration_s, 1, longest_s)) {
        throw service::Rejected("not an amount and a time that can be charged with", expected_charge_now);
    }
    return {"override",
            nlohmann::json{{"amps", *amps}, {"duration_s", *duration_s}, {"source", "TWCManager topic"}}.dump()};
}

OwnCommand non_scheduled_amps(std::string_view payload) {
    const auto amps = whole_number(payload);
    if (!is_between(amps, 0, 80)) {
        throw service::Rejected("not a current", "a whole number from 0 to 80");
    }
    return {"non_scheduled_a", std::to_string(*amps)};
}

OwnCommand non_scheduled_action(std::string_view payload) {
    constexpr std::array<const char*, 3> actions{"fixed", "none", "solar"};
    const auto number = whole_number(payload);
    if (!is_between(number, 1, 3)) {
        throw service::Rejected("not an action", "1 (fixed amps), 2 (no charging) or 3 (solar)");
    }
    return {"non_scheduled_action", actions.at(static_cast<std::size_t>(*number - 1))};
}

// As Python writes a float: 16.0, 15.25.
std::string decimal(std::optional<double> value) {
    if (!value) {
        return "";
    }
    std::string text = fmt::format("{:.2f}", *value);
    if (text.back() == '0') {
        text.pop_back();
    }
    return text;
}

std::string whole(std::optional<double> value) { return value ? fmt::format("{:.0f}", *value) : ""; }

std::string twc_id(std::string id) {
    std::ranges::transform(id, id.begin(), [](char c) { return c >= 'a' && c <= 'z' ? char(c - 32) : c; });
    return id;
}

// `charge_now` becomes "Charge Now"; a name that somebody chose for people stays as it is.
std::string policy_name(const std::string& rule) {
    if (rule == "non_scheduled_green") {
        return "Track Green Energy";  // two rules of TWCManager bear this name
    }
    const auto is_code = [](char c) { return c == '_' || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
    if (!std::ranges::all_of(rule, is_code)) {
        return rule;
    }
    std::string name = rule;
    char before = '_';
    for (char& c : name) {
        const char code = c;
        c = code == '_' ? ' ' : before == '_' && code >= 'a' && code <= 'z' ? char(code - 32) : code;
        before = code;
    }
    return name;
}

std::string policy_of_mode(const std::string& mode) {
    if (mode == "fast") {
        return "Charge Now";
    }
    if (mode == "scheduled") {
        return "Scheduled Charging";
    }
    return mode == "off" ? "Non Scheduled Charging" : "Track Green Energy";
}

}  // namespace

OwnCommand own_command(std::string_view control, std::string_view payload) {
    if (control == "chargeNow") {
        return charge_now(payload);
    }
    if (control == "chargeNowEnd") {
        return {"override", "clear"};
    }
    if (control == "nonScheduledAmpsMax") {
        return non_scheduled_amps(payload);
    }
    if (control == "nonScheduledAction") {
        return non_scheduled_action(payload);
    }
    if (control == "stop") {
        throw service::Rejected("a message does not end this service", "to end charging: off on policy/override/set");
    }
    throw service::Rejected("not a control of TWCManager", expected_control);
}

MirrorTopics mirror_of(const std::string& charger_id, const contract::ChargerState& state) {
    const std::string under = twc_id(charger_id) + "/";
    MirrorTopics topics{
        {under + "ampsMax", decimal(state.max_a)},
        {under + "ampsInUse", decimal(state.current_a)},
        {under + "ampsOffered", decimal(state.granted_a ? state.granted_a : state.limit_a)},
        {under + "state", state.state_code ? std::to_string(*state.state_code) : ""},
        {under + "carsCharging", !state.charging   ? ""
                                 : *state.charging ? "True"
                                                   : "False"},
        {under + "chargerLoadInW", whole(state.power_w)},
        {under + "lifetimekWh", whole(state.lifetime_kwh)},
        {under + "voltagePhaseA", whole(state.voltage_l1_v)},
        {under + "voltagePhaseB", whole(state.voltage_l2_v)},
        {under + "voltagePhaseC", whole(state.voltage_l3_v)},
        {under + "currentVehicleVIN", state.vin.value_or("")},
    };
    if (state.vin && !state.vin->empty()) {
        topics[under + "lastVehicleVIN"] = *state.vin;
    }
    return topics;
}

MirrorTopics mirror_of(const std::string& charger_id, const contract::PolicyChargerState& state) {
    return {{twc_id(charger_id) + "/ampsDesired", decimal(state.target_a)}};
}

MirrorTopics mirror_of(const contract::BusState& state) {
    return {{"all/totalAmpsInUse", decimal(state.drawn_a)}, {"config/minAmpsPerTWC", decimal(state.charger_min_a)}};
}

MirrorTopics mirror_of(const contract::PolicyState& state) {
    return {{"all/maxAmpsForSlaves", decimal(state.allocated_a)},
            {"all/currentPolicy", state.rule ? policy_name(*state.rule) : policy_of_mode(state.mode)}};
}

TwcManagerMirror::TwcManagerMirror(TwcManagerConfig config, service::Environment& environment,
                                   service::ServiceHost& host, Obey obey)
    : config_(std::move(config)),
      environment_(environment),
      host_(host),
      obey_(std::move(obey)),
      timer_(environment.loop),
      scope_(environment.loop) {
    if (config_.enabled) {
        environment_.bus.subscribe(scope_, config_.prefix + "/control/+", 1,
                                   [this](const messaging::Delivery& message) { on_control(message); });
    }
}

void TwcManagerMirror::on_control(const messaging::Delivery& message) {
    if (message.retained) {
        if (!message.payload.empty()) {  // empty: somebody has just withdrawn it
            host_.reject(message,
                         "a retained command is not obeyed, because it would be obeyed again at every reconnect",
                         "the command without the retain flag");
        }
        return;
    }
    try {
        const std::string_view control = std::string_view(message.topic).substr(message.topic.rfind('/') + 1);
        const OwnCommand command = own_command(control, message.payload);
        obey_({.topic = environment_.topics.policy_set(command.setting), .payload = command.payload});
    } catch (const service::Rejected& error) {
        host_.reject(message, error.what(), error.expected());
    } catch (const std::exception& error) {
        host_.reject(message, error.what(), expected_control);
    }
}

void TwcManagerMirror::put(const MirrorTopics& topics) {
    if (!config_.enabled) {
        return;
    }
    for (const auto& [topic, payload] : topics) {
        entries_[topic].wanted = payload;
    }
    publish_due();
}

void TwcManagerMirror::forget(const std::string& charger_id) {
    const std::string under = twc_id(charger_id) + "/";
    for (auto& [topic, entry] : entries_) {
        if (topic.starts_with(under)) {
            entry.wanted.clear();
        }
    }
    publish_due();
}

void TwcManagerMirror::publish_due() {
    const auto now = environment_.loop.now();
    std::optional<scheduling::Instant> next;
    for (auto& [topic, entry] : entries_) {
        if (entry.sent == entry.wanted) {
            continue;
        }
        const auto due = entry.sent ? entry.sent_at + pace : now;
        if (due > now) {
            next = std::min(next.value_or(due), due);
            continue;
        }
        entry.sent = entry.wanted;
        entry.sent_at = now;
        environment_.bus.publish({.topic = config_.prefix + "/" + topic, .payload = entry.wanted, .retained = true});
    }
    if (next) {
        timer_.set(*next, [this] { publish_due(); });
    }
}

}  // namespace policy_engine
