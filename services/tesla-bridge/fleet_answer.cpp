#include "tesla-bridge/fleet_answer.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "contract/schema.hpp"

namespace tesla_bridge {

namespace {

using namespace std::chrono_literals;
using Kind = Verdict::Kind;

constexpr double km_per_mile = 1.609344;
constexpr auto pause_without_credit = 900s;   // TeslaMate waits as long; no Retry-After is given
constexpr auto unknown_rate_limit = 300s;     // the same, for a 429 that names no time
constexpr auto longest_rate_limit = 86'400s;  // Tesla has asked for a day at most

std::string lower(std::string_view text) {
    std::string result(text);
    std::ranges::transform(result, result.begin(),
                           [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
    return result;
}

bool contains(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

// The parts of an answer that say how a call ended; whatever is missing or of another type counts as not said.
struct Answer {
    bool is_json_object = false;
    std::optional<bool> result;
    std::string reason;  ///< Why the car refused, without the prefix that clients of the signed protocol add.
    std::string error;   ///< Why the server refused.
};

std::string text_at(const nlohmann::json& object, const char* key) {
    const auto found = object.find(key);
    return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

// "car could not execute command: is_charging" -> "is_charging"
std::string without_prefix(const std::string& reason) {
    const auto colon = reason.rfind(": ");
    return colon == std::string::npos ? reason : reason.substr(colon + 2);
}

Answer read_answer(const http::Response& response) {
    Answer answer;
    const auto json = nlohmann::json::parse(response.body, nullptr, false);
    if (!json.is_object()) {
        answer.error = response.body;
        return answer;
    }
    answer.is_json_object = true;
    answer.error = text_at(json, "error");
    if (const auto description = text_at(json, "error_description"); !description.empty()) {
        answer.error += answer.error.empty() ? description : " (" + description + ")";
    }
    const auto inner = json.find("response");
    if (inner == json.end() || !inner->is_object()) {
        return answer;
    }
    if (const auto result = inner->find("result"); result != inner->end() && result->is_boolean()) {
        answer.result = result->get<bool>();
    }
    answer.reason = text_at(*inner, "reason");
    if (answer.reason.empty()) {
        answer.reason = text_at(*inner, "string");
    }
    answer.reason = without_prefix(answer.reason);
    return answer;
}

// What was said, for people; the status alone when nothing was.
std::string said(const Answer& answer, int status) {
    const std::string text = printable(answer.error.empty() ? answer.reason : answer.error);
    return text.empty() ? fmt::format("HTTP {}", status) : fmt::format("HTTP {}: {}", status, text);
}

// Texts that mean the same whatever the status: the servers disagree on the status, not on the words.
struct Marker {
    const char* text;
    Kind kind;
    const char* words;
    std::chrono::seconds retry_after{0};
    bool whole_account = false;
};

constexpr std::array markers{
    Marker{"exceeded_limit", Kind::rate_limited, "the Tesla account has used up its billing limit",
           pause_without_credit, true},
    Marker{"vehicle command protocol required", Kind::blocked,
           "this car takes signed commands only: send commands through tesla-http-proxy or TeslaBleHttpProxy"},
    Marker{"not been paired", Kind::blocked,
           "the proxy's key is not paired with this car: pair it (tesla.com/_ak/<domain>, or over Bluetooth)"},
    Marker{"not on the whitelist", Kind::blocked,
           "the proxy's key is not paired with this car: pair it (tesla.com/_ak/<domain>, or over Bluetooth)"},
    Marker{"missing scopes", Kind::blocked,
           "the login lacks a permission: grant vehicle_device_data, vehicle_location and vehicle_charging_cmds"},
    Marker{"mobile_access_disabled", Kind::blocked, "mobile access is switched off in the car's own menu"},
    Marker{"unsupported vehicle", Kind::blocked, "Tesla's API does not support this car"},
    Marker{"in service", Kind::blocked, "the car is in service mode"},
    Marker{"offline or asleep", Kind::asleep, "the car is asleep or offline"},
    Marker{"is sleeping", Kind::asleep, "the car is asleep"},
    Marker{"is asleep", Kind::asleep, "the car is asleep"},
};

std::optional<Verdict> judge_text(const Answer& answer, int status) {
    const std::string text = lower(answer.error + "\n" + answer.reason);
    for (const auto& marker : markers) {
        if (contains(text, marker.text)) {
            // What the car or server said adds nothing to "asleep", and everything to a problem with permissions.
            const std::string words = marker.kind == Kind::asleep
                                          ? std::string(marker.words)
                                          : fmt::format("{} ({})", marker.words, said(answer, status));
            return Verdict{marker.kind, words, marker.retry_after, marker.whole_account};
        }
    }
    return std::nullopt;
}

// "…use base URL: https://host…"; empty unless the host is one of Tesla's, because people will paste it.
std::string region_url(const std::string& text) {
    const auto begin = text.find("https://");
    if (begin == std::string::npos) {
        return "";
    }
    const auto end = text.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789.-", begin + 8);
    const std::string url = text.substr(begin, end == std::string::npos ? end : end - begin);
    const bool is_teslas = url.ends_with(".tesla.com") || url.ends_with(".tesla.cn");
    return is_teslas ? url : "";
}

Verdict judge_request_timeout(const Answer& answer, int status) {
    const std::string text = lower(answer.error);
    for (const char* passing : {"timedout", "timeout", "deadline", "internal error"}) {
        if (contains(text, passing)) {
            return {Kind::retry, fmt::format("Tesla could not reach the car ({})", said(answer, status))};
        }
    }
    return {Kind::asleep, "the car is asleep or offline"};
}

Verdict judge_refusal(const Answer& answer, int status) {
    switch (status) {
        case 401:
            return {Kind::unauthorised, fmt::format("the access token was not accepted ({})", said(answer, status))};
        case 402:
            return {Kind::rate_limited,
                    fmt::format("the Tesla account needs a payment method ({})", said(answer, status)),
                    pause_without_credit, true};
        case 403:
            return {Kind::blocked, fmt::format("access denied ({})", said(answer, status))};
        case 404:
            return {Kind::blocked, fmt::format("this VIN is not known to the account: check vin and account.base_url "
                                               "({})",
                                               said(answer, status))};
        case 410:
            return {Kind::blocked,
                    fmt::format("this VIN is no longer served for the account ({})", said(answer, status))};
        case 412:
            return {Kind::blocked, fmt::format("the developer app is not registered in this region of the Fleet API "
                                               "({})",
                                               said(answer, status))};
        case 421: {
            const std::string url = region_url(answer.error);
            return {Kind::blocked, fmt::format("wrong region: set account.base_url to {}",
                                               url.empty() ? "the one of the account's region" : url)};
        }
        default:
            return {Kind::refused, fmt::format("the request was not accepted ({})", said(answer, status))};
    }
}

// For any status but 200.
Verdict judge_status(const Answer& answer, const http::Response& response) {
    constexpr int bad_request = 400;
    constexpr int server_error = 500;
    const int status = response.status;
    if (status < bad_request) {
        return {Kind::blocked, fmt::format("unexpected answer, HTTP {}: is account.base_url right?", status)};
    }
    if (status >= server_error) {
        return {Kind::retry, fmt::format("the server failed ({})", said(answer, status))};
    }
    if (status == 408) {
        return judge_request_timeout(answer, status);
    }
    if (status == 429) {
        const auto wait = parse_retry_after(response);
        return {Kind::rate_limited, fmt::format("rate limit reached, next call allowed in {} s", wait.count()), wait};
    }
    return judge_refusal(answer, status);
}

bool is_one_of(const std::string& text, std::initializer_list<const char*> words) {
    return std::ranges::any_of(words, [&](const char* word) { return text == word; });
}

// The car was in the wanted state already.
bool is_already_so(CommandKind kind, const std::string& reason) {
    switch (kind) {
        case CommandKind::charge_start:
            return is_one_of(reason, {"is_charging", "charging", "requested", "already_started"});
        case CommandKind::charge_stop:
            return is_one_of(reason, {"not_charging", "disconnected", "complete"});
        default:
            return reason == "already_set";
    }
}

Verdict judge_car_refusal(CommandKind kind, const Answer& answer, int status) {
    const std::string reason = lower(answer.reason);
    if (is_already_so(kind, reason)) {
        return {Kind::done, "the car was in that state already"};
    }
    if (reason == "disconnected") {
        return {Kind::refused, "the car is not plugged in"};
    }
    if (reason == "complete") {
        return {Kind::refused, "the car has reached its charge limit"};
    }
    if (reason == "no_power") {
        return {Kind::retry, "the wall connector offers the car no current"};
    }
    for (const char* test : {"soh", "state of health", "battery health", "high-energy", "high energy"}) {
        if (contains(reason, test)) {
            return {Kind::refused, "the car runs a battery test and refuses to charge until it is over"};
        }
    }
    // A 503 with a reason is how TeslaBleHttpProxy reports that its Bluetooth link failed.
    const bool passes = status != 200 || reason == "could_not_wake_buses" || contains(reason, "timeout") ||
                        contains(reason, "deadline") || contains(reason, "busy");
    return {passes ? Kind::retry : Kind::refused,
            fmt::format("the car refused: {}", reason.empty() ? "no reason given" : printable(answer.reason))};
}

// ---- vehicle_data ----

class FieldReader {
public:
    FieldReader(const nlohmann::json& data, const char* section, scheduling::Instant at,
                std::vector<std::string>& problems)
        : section_name_(section), at_(at), problems_(problems) {
        const auto found = data.find(section);
        if (found != data.end() && found->is_object()) {
            section_ = &*found;
        } else if (found != data.end() && !found->is_null()) {
            problems_.push_back(fmt::format("{}: expected an object", section));
        }
    }

    // Absent: not said. `null` and unusable values: said to be unknown, so that no old value stays in their place.
    Fact<double> number(const char* key, contract::Range allowed, double factor = 1) const {
        const auto* value = find(key);
        if (value == nullptr) {
            return std::nullopt;
        }
        if (value->is_null()) {
            return Report<double>{std::nullopt, at_};
        }
        const double read = value->is_number() ? value->get<double>() : std::nan("");
        if (!(read >= allowed.min && read <= allowed.max)) {
            complain(key, *value, fmt::format("a number from {:g} to {:g}", allowed.min, allowed.max));
            return Report<double>{std::nullopt, at_};
        }
        return Report<double>{read * factor, at_};
    }

    std::optional<double> plain_number(const char* key, contract::Range allowed) const {
        return value_of(number(key, allowed));
    }

    std::optional<std::string> word(const char* key) const {
        const auto* value = find(key);
        if (value == nullptr || value->is_null()) {
            return std::nullopt;
        }
        if (!value->is_string()) {
            complain(key, *value, "a word");
            return std::nullopt;
        }
        return value->get<std::string>();
    }

    bool has(const char* key) const { return find(key) != nullptr; }

    void complain(const char* key, const nlohmann::json& value, const std::string& expected) const {
        constexpr std::size_t longest = 40;
        problems_.push_back(fmt::format(
            "{}.{}: got {}, expected {}", section_name_, key,
            printable(value.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace), longest), expected));
    }

    scheduling::Instant at() const { return at_; }

private:
    const nlohmann::json* find(const char* key) const {
        if (section_ == nullptr) {
            return nullptr;
        }
        const auto found = section_->find(key);
        return found == section_->end() ? nullptr : &*found;
    }

    const nlohmann::json* section_ = nullptr;
    const char* section_name_;
    scheduling::Instant at_;
    std::vector<std::string>& problems_;
};

void read_charge_state(const FieldReader& reader, VehicleFacts& facts) {
    constexpr contract::Range percent = contract::percent;
    constexpr contract::Range amps{0, 200};
    constexpr contract::Range miles{0, 1200};
    facts.soc_pct = reader.number(reader.has("battery_level") ? "battery_level" : "usable_battery_level", percent);
    facts.charge_limit_pct = reader.number("charge_limit_soc", percent);
    facts.charge_amps = reader.number("charger_actual_current", amps);
    facts.charge_amps_set =
        reader.number(reader.has("charge_current_request") ? "charge_current_request" : "charge_amps", amps);
    facts.range_km =
        reader.number(reader.has("est_battery_range") ? "est_battery_range" : "battery_range", miles, km_per_mile);
    facts.time_to_full_min = reader.has("minutes_to_full_charge") ? reader.number("minutes_to_full_charge", {0, 1e5})
                                                                  : reader.number("time_to_full_charge", {0, 1e4}, 60);
    if (const auto word = reader.word("charging_state")) {
        const auto state = parse_charging_state(*word);
        if (!state) {
            reader.complain("charging_state", *word, "a charging state we know");
        }
        facts.charging_state = Report<ChargingState>{state, reader.at()};
        if (state) {
            facts.plugged = Report<bool>{*state != ChargingState::disconnected, reader.at()};
        }
    }
}

void read_location(const FieldReader& reader, const Home& home, VehicleFacts& facts) {
    const auto latitude = reader.plain_number("latitude", {-90, 90});
    const auto longitude = reader.plain_number("longitude", {-180, 180});
    if (!latitude || !longitude) {
        return;
    }
    if (const auto at_home = is_at_home(home, {*latitude, *longitude})) {
        facts.at_home = Report<bool>{*at_home, reader.at()};
    }
}

// Tesla: {"response":{car}}; TeslaBleHttpProxy: {"response":{"result":…,"response":{car}}}.
nlohmann::json vehicle_object(std::string_view body) {
    const auto json = contract::parse_json(body);
    const auto outer = json.is_object() ? json.find("response") : json.end();
    if (outer == json.end() || !outer->is_object()) {
        throw contract::Invalid("response: missing, expected an object: is account.base_url right?");
    }
    const auto inner = outer->find("response");
    return inner != outer->end() && inner->is_object() ? *inner : *outer;
}

}  // namespace

std::string printable(std::string_view text, std::size_t longest) {
    std::string result;
    for (const char c : text) {
        const bool is_plain = c > ' ' && c < '\x7f';
        const char shown = is_plain ? c : ' ';
        if (shown != ' ' || (!result.empty() && result.back() != ' ')) {
            result.push_back(shown);
        }
        if (result.size() >= longest) {
            result += "...";
            break;
        }
    }
    while (!result.empty() && result.back() == ' ') {
        result.pop_back();
    }
    return result;
}

std::chrono::seconds parse_retry_after(const http::Response& response) {
    const auto parse = [](std::string_view text) -> std::optional<std::chrono::seconds> {
        long long seconds = 0;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
        if (error != std::errc{} || end == text.data() || seconds < 0) {
            return std::nullopt;
        }
        return std::clamp<std::chrono::seconds>(std::chrono::seconds(std::min(seconds, 1'000'000LL)), 1s,
                                                longest_rate_limit);
    };
    for (const char* name : {"retry-after", "ratelimit-reset"}) {
        if (const auto value = http::header(response, name)) {
            if (const auto seconds = parse(*value)) {
                return *seconds;
            }
        }
    }
    constexpr std::string_view words = "Retry in ";
    const auto found = response.body.find(words);
    if (found != std::string::npos) {
        return parse(std::string_view(response.body).substr(found + words.size())).value_or(unknown_rate_limit);
    }
    return unknown_rate_limit;
}

Verdict judge_command(const Command& command, const http::Response& response) {
    const Answer answer = read_answer(response);
    if (answer.result == true) {
        return {};
    }
    if (auto verdict = judge_text(answer, response.status); verdict) {
        return *verdict;
    }
    if (answer.result == false) {
        return judge_car_refusal(command.kind, answer, response.status);
    }
    if (response.status != 200) {
        return judge_status(answer, response);
    }
    // wake_up answers with the car itself, which has no result.
    if (command.kind == CommandKind::wake && answer.is_json_object) {
        return {};
    }
    return {Kind::retry, fmt::format("the answer says neither yes nor no ({}): is account.base_url right?",
                                     printable(response.body, 60))};
}

Verdict judge_read(const http::Response& response) {
    const Answer answer = read_answer(response);
    if (response.status == 200 && answer.result != false) {
        return {};
    }
    if (auto verdict = judge_text(answer, response.status); verdict) {
        return *verdict;
    }
    if (response.status == 200) {
        return {Kind::retry, fmt::format("the car did not answer: {}", printable(answer.reason))};
    }
    return judge_status(answer, response);
}

VehicleData parse_vehicle_data(std::string_view body, const Home& home, CallTime time) {
    const auto car = vehicle_object(body);
    VehicleData data;
    const FieldReader charge(car, "charge_state", time.now, data.problems);
    read_charge_state(charge, data.facts);
    data.stamp = charge.plain_number("timestamp", {0, 1e15});
    const FieldReader drive(car, "drive_state", time.now, data.problems);
    read_location(drive, home, data.facts);
    data.facts.heard_at = charge.at();
    // Only an awake car has data to give, unless the server says that this is a copy.
    const auto state = parse_sleep_state(text_at(car, "state"));
    data.facts.sleep_state = Report<SleepState>{state.value_or(SleepState::online), charge.at()};
    if (!car.contains("charge_state")) {
        throw contract::Invalid("response.charge_state: missing, expected an object");
    }
    return data;
}

VehicleFacts parse_vehicle(std::string_view body, CallTime time) {
    const auto car = vehicle_object(body);
    const std::string word = text_at(car, "state");
    const auto state = parse_sleep_state(word);
    if (!state) {
        throw contract::Invalid(
            fmt::format("response.state: got \"{}\", expected online, asleep or offline", printable(word, 40)));
    }
    VehicleFacts facts;
    facts.sleep_state = Report<SleepState>{*state, time.now};
    return facts;
}

}  // namespace tesla_bridge
