#include "policy-engine/override.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include "policy-engine/schedule.hpp"
#include "service/command_value.hpp"
#include "service/service_host.hpp"

namespace policy_engine {

namespace {

constexpr const char* expected_override =
    "amps (16), off or max, each alone or with a duration (30m, 90s, 2h, 1h30m, until=22:00); amps,seconds (24,3600); "
    "clear; or JSON with amps, duration_s or until, charger";
// Below 5 A no Gen 2 unit keeps a car charging reliably (twc-protocol 6.1).
constexpr contract::Range amps_range{5, contract::charge_current_a.max};
constexpr double longest_s = 366.0 * 24 * 3600;

[[noreturn]] void refuse(const std::string& what) { throw service::Rejected(what, expected_override); }

// Digits only: "1e3", "-5" and "0x10" are typing errors here.
std::optional<double> decimal(std::string_view text) {
    const bool plain =
        !text.empty() && std::ranges::all_of(text, [](char c) { return c == '.' || (c >= '0' && c <= '9'); });
    double value = 0;
    const char* const end = text.data() + text.size();
    const auto parsed = std::from_chars(text.data(), end, value, std::chars_format::fixed);
    return plain && parsed.ec == std::errc{} && parsed.ptr == end ? std::optional(value) : std::nullopt;
}

std::optional<double> amps_from_number(double amps) {
    if (amps == 0) {
        return 0;
    }
    if (amps < amps_range.min || amps > amps_range.max) {
        refuse("the current must be 0 (off) or 5 to 80 A");
    }
    return amps;
}

// "16", "16a", "off", "max"; sets `amps` as in Override.
void read_amps(std::string_view word, Override& order) {
    if (word == "max") {
        order.amps.reset();
        return;
    }
    if (word == "off" || word == "stop") {
        order.amps = 0;
        return;
    }
    if (word.ends_with('a')) {
        word.remove_suffix(1);
    }
    const auto number = decimal(word);
    if (!number) {
        refuse("no current, off or max given");
    }
    order.amps = amps_from_number(*number);
}

WallTime end_after(WallTime now, double duration_s) {
    if (!(duration_s >= 1 && duration_s <= longest_s)) {
        refuse("the duration must be from 1 second to 366 days");
    }
    return now + std::chrono::duration_cast<WallTime::duration>(std::chrono::duration<double>(duration_s));
}

// "90s", "1h30m": units in falling order, each at most once.
std::optional<double> duration_s(std::string_view text) {
    constexpr std::array<std::pair<char, double>, 4> units{{{'d', 86400}, {'h', 3600}, {'m', 60}, {'s', 1}}};
    double total = 0;
    std::size_t next_unit = 0;
    while (!text.empty()) {
        const auto digits = std::ranges::find_if_not(text, [](char c) { return c == '.' || (c >= '0' && c <= '9'); });
        const auto length = static_cast<std::size_t>(digits - text.begin());
        const auto number = decimal(text.substr(0, length));
        const auto* const unit = std::find_if(units.begin() + next_unit, units.end(), [&](const auto& u) {
            return length < text.size() && u.first == text[length];
        });
        if (!number || unit == units.end()) {
            return std::nullopt;
        }
        total += *number * unit->second;
        next_unit = static_cast<std::size_t>(unit - units.begin()) + 1;
        text.remove_prefix(length + 1);
    }
    return total;
}

WallTime end_at(WallTime now, std::string_view text) {
    if (const auto minute = parse_time_of_day(text)) {
        return next_local(now, *minute);
    }
    std::string upper(text);
    std::ranges::transform(upper, upper.begin(), [](char c) { return c == 't' || c == 'z' ? char(c - 32) : c; });
    const auto moment = contract::parse_timestamp(upper);
    if (!moment) {
        refuse("until is neither a time of day like 22:00 nor a time like 2026-01-31T22:00:00+01:00");
    }
    if (*moment <= now) {
        refuse("until lies in the past");
    }
    return *moment;
}

WallTime read_end(std::string_view text, WallTime now) {
    constexpr std::string_view until = "until";
    if (text.starts_with(until)) {
        text.remove_prefix(until.size());
        text.remove_prefix(text.starts_with('=') ? 1 : 0);
        return end_at(now, text.substr(std::min(text.find_first_not_of(' '), text.size())));
    }
    const auto duration = duration_s(text);
    if (!duration || text.empty()) {
        refuse("the second word is no duration");
    }
    return end_after(now, *duration);
}

OverrideCommand from_words(const std::string& text, WallTime now, const std::string& source) {
    OverrideCommand command{.order = Override{.source = source}};
    if (const auto comma = text.find(','); comma != std::string::npos) {
        const auto length = decimal(service::normalised(text.substr(comma + 1)));
        read_amps(service::normalised(text.substr(0, comma)), *command.order);
        if (!length) {
            refuse("after the comma there must be a number of seconds");
        }
        command.order->until = end_after(now, *length);
        return command;
    }
    const auto space = text.find_first_of(" \t");
    std::string first = text.substr(0, space);
    std::string rest = space == std::string::npos ? "" : service::normalised(text.substr(space));
    if (rest == "a" || rest.starts_with("a ")) {  // "16 A 30m"
        rest = service::normalised(rest.substr(1));
    }
    if (rest.starts_with("for ")) {
        rest = service::normalised(rest.substr(4));
    }
    read_amps(first, *command.order);
    if (!rest.empty()) {
        command.order->until = read_end(rest, now);
    }
    return command;
}

void read_json_amps(const nlohmann::json& amps, Override& order) {
    if (amps.is_string()) {
        read_amps(service::normalised(amps.get<std::string>()), order);
    } else if (amps.is_number()) {
        order.amps = amps_from_number(amps.get<double>());
    } else {
        refuse(R"(amps must be a number, "max" or "off")");
    }
}

std::optional<WallTime> json_end(const nlohmann::json& json, WallTime now) {
    const auto duration = json.find("duration_s");
    const auto until = json.find("until");
    const bool has_duration = duration != json.end() && !duration->is_null();
    const bool has_until = until != json.end() && !until->is_null();
    if (has_duration && has_until) {
        refuse("duration_s and until exclude each other");
    }
    if (has_duration) {
        if (!duration->is_number()) {
            refuse("duration_s must be a number of seconds");
        }
        return end_after(now, duration->get<double>());
    }
    if (has_until) {
        if (!until->is_string()) {
            refuse("until must be a text");
        }
        return end_at(now, service::normalised(until->get<std::string>()));
    }
    return std::nullopt;
}

bool is_clear(std::string_view word) { return word == "clear" || word == "auto" || word == "none"; }

void refuse_unknown_keys(const nlohmann::json& json) {
    constexpr std::array<std::string_view, 5> keys{"amps", "duration_s", "until", "charger", "source"};
    for (const auto& [key, value] : json.items()) {
        if (std::ranges::find(keys, key) == keys.end()) {
            refuse("\"" + key.substr(0, 40) + "\" is not a key of an override");
        }
    }
}

std::optional<std::string> json_charger(const nlohmann::json& json) {
    const auto charger = json.find("charger");
    if (charger == json.end() || charger->is_null()) {
        return std::nullopt;
    }
    std::string id = charger->is_string() ? service::normalised(charger->get<std::string>()) : "";
    if (!contract::is_valid_id(id)) {
        refuse("charger must be the id of a charger");
    }
    return id == "all" ? std::nullopt : std::optional(std::move(id));
}

OverrideCommand from_object(const nlohmann::json& json, WallTime now, const std::string& source) {
    refuse_unknown_keys(json);
    OverrideCommand command{.order = Override{.source = source}, .charger = json_charger(json)};
    const auto amps = json.find("amps");
    if (amps == json.end()) {
        refuse("amps is missing");
    }
    if (amps->is_string() && is_clear(service::normalised(amps->get<std::string>()))) {
        command.order.reset();
        return command;
    }
    read_json_amps(*amps, *command.order);
    command.order->until = json_end(json, now);
    if (const auto said = json.find("source"); said != json.end() && said->is_string()) {
        command.order->source = said->get<std::string>().substr(0, 40);
    }
    return command;
}

bool has_ended(const std::optional<Override>& order, WallTime now) {
    return order && order->until && *order->until <= now;
}

}  // namespace

OverrideCommand parse_override(std::string_view payload, WallTime now, const std::string& source) {
    const std::string text = service::normalised(payload);
    if (text.starts_with('{')) {
        const auto json = contract::parse_json(payload);
        return from_object(json, now, source);
    }
    if (is_clear(text)) {
        return {};
    }
    return from_words(text, now, source);
}

std::optional<TimedLimit> parse_timed_limit(std::string_view payload, WallTime now) {
    constexpr contract::Range allowed{0, 200000};
    const std::string text = service::normalised(payload);
    if (is_clear(text)) {
        return std::nullopt;
    }
    if (text.starts_with('{')) {
        const auto json = contract::parse_json(payload);
        const auto limit = json.find("limit_w");
        if (limit == json.end() || !limit->is_number()) {
            throw service::Rejected("limit_w is no number", "watts");
        }
        return TimedLimit{service::parse_number(limit->dump(), allowed, "W"), json_end(json, now)};
    }
    const auto space = text.find_first_of(" \t");
    TimedLimit limit{service::parse_number(text.substr(0, space), allowed, "W"), std::nullopt};
    if (space != std::string::npos) {
        limit.until = read_end(service::normalised(text.substr(space)), now);
    }
    return limit;
}

const Override* active_override(const Settings& settings, const ChargerSettings* charger, WallTime now) {
    if (charger != nullptr && charger->override_order && !has_ended(charger->override_order, now)) {
        return &*charger->override_order;
    }
    return settings.override_order && !has_ended(settings.override_order, now) ? &*settings.override_order : nullptr;
}

bool drop_ended_overrides(Settings& settings, WallTime now) {
    bool dropped = false;
    const auto drop = [&](std::optional<Override>& order) {
        if (has_ended(order, now)) {
            order.reset();
            dropped = true;
        }
    };
    drop(settings.override_order);
    for (auto& charger : settings.chargers) {
        drop(charger.override_order);
    }
    if (settings.dimming && settings.dimming->until && *settings.dimming->until <= now) {
        settings.dimming.reset();
        dropped = true;
    }
    return dropped;
}

}  // namespace policy_engine
