#include "ems-bridge/web_api.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include <fmt/format.h>

#include "contract/schema.hpp"
#include "ems-bridge/program.hpp"

namespace ems_bridge {

namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using std::chrono::milliseconds;

constexpr auto pause_when_refused = 15min;
constexpr milliseconds longest_pause_when_refused = 24h;

std::string text_shown(const json& value) { return shown(contract::to_text(value)); }

std::optional<milliseconds> until(const std::optional<WallTime>& time, WallTime now) {
    return time ? std::optional(std::chrono::duration_cast<milliseconds>(*time - now)) : std::nullopt;
}

std::optional<milliseconds> wanted_pause(const http::Response& response, WallTime now) {
    static const json::json_pointer retry_at("/message/ratelimit/retry-at");
    if (const auto text = http::header(response, "retry-after")) {
        int seconds = 0;
        const char* const end = text->data() + text->size();
        if (std::from_chars(text->data(), end, seconds).ptr == end && !text->empty()) {
            return std::chrono::seconds(seconds);
        }
    }
    if (const auto text = http::header(response, "x-ratelimit-retry-at")) {
        if (const auto pause = until(contract::parse_timestamp(*text), now)) {
            return pause;
        }
    }
    try {
        const json body = contract::parse_json(response.body);
        if (body.contains(retry_at) && body.at(retry_at).is_string()) {
            return until(contract::parse_timestamp(body.at(retry_at).get_ref<const std::string&>()), now);
        }
    } catch (const contract::Invalid&) {
        return std::nullopt;  // the status says enough
    }
    return std::nullopt;
}

bool may_stand_in_url(std::string_view text) {
    return std::ranges::all_of(text, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
               c == '-';
    });
}

}  // namespace

std::string shown(std::string_view text) {
    constexpr std::size_t longest = 120;
    std::string result = contract::valid_utf8(text.substr(0, longest));
    std::ranges::replace_if(
        result, [](char c) { return static_cast<unsigned char>(c) < ' '; }, ' ');
    return result;
}

WebAccess read_web_access(const config::Section& section, const std::string& public_url) {
    WebAccess access{.url = section.text_or("url", public_url),
                     .trust = read_trust(section),
                     .timeout = section.seconds_or("timeout_s", 20, 0.1, 120)};
    while (access.url.ends_with('/')) {
        access.url.pop_back();
    }
    if (!access.url.starts_with("http://") && !access.url.starts_with("https://")) {
        section.report("url", "expected http://… or https://…");
    } else if (access.url.find_first_of("?#@") != std::string::npos) {
        section.report("url", "expected a server and a path, without a user or a query");
    }
    return access;
}

std::string read_url_part(const config::Section& section, const std::string& key) {
    std::string text = section.text(key);
    if (!may_stand_in_url(text)) {
        section.report(key, fmt::format("\"{}\" is not made of letters, digits, '.', '_' and '-'", text));
    }
    return text;
}

std::string read_url_secret(const config::Section& section, const std::string& key, bool is_required) {
    std::string secret = section.secret_file(key);
    if (is_required && !section.has(key + "_file")) {
        section.report(key + "_file", "missing");
    }
    if (!may_stand_in_url(secret)) {
        section.report(key + "_file", "holds other characters than letters, digits, '.', '_' and '-'");
    }
    return secret;
}

std::string ask(http::HttpClient& client, http::Request request, const std::string& place, WallTime now,
                Explain explain) {
    constexpr int ok = 200;
    constexpr int unauthorized = 401;
    constexpr int forbidden = 403;
    constexpr int too_many_requests = 429;
    request.headers.emplace_back("User-Agent", "twc-mqtt/" TWC_MQTT_VERSION);
    auto response = client.send(request);
    if (response.status == ok) {
        return std::move(response.body);
    }
    const auto said = explain(response.body);
    const std::string what =
        fmt::format("{}: HTTP {}{}", place, response.status, said ? fmt::format(": {}", *said) : "");
    switch (response.status) {
        case unauthorized:
        case forbidden:
            throw SourceError(ErrorKind::login, what + ", check the credentials", pause_when_refused);
        case too_many_requests:
            throw SourceError(ErrorKind::rate_limited, what, pause_after_429(response, now));
        default:
            throw SourceError(ErrorKind::device, what);
    }
}

milliseconds pause_after_429(const http::Response& response, WallTime now) {
    const auto pause = wanted_pause(response, now).value_or(pause_when_refused);
    return std::clamp<milliseconds>(pause, 1s, longest_pause_when_refused);
}

std::optional<std::string> said_by(std::string_view body) {
    static const std::array<json::json_pointer, 5> places{
        json::json_pointer("/reason"),            // Open-Meteo
        json::json_pointer("/message/text"),      // forecast.solar
        json::json_pointer("/errors/0/message"),  // GraphQL
        json::json_pointer("/detail"),            // Octopus
        json::json_pointer("/message"),
    };
    try {
        const json answer = contract::parse_json(body);
        for (const auto& place : places) {
            if (answer.is_structured() && answer.contains(place) && answer.at(place).is_string()) {
                return shown(answer.at(place).get_ref<const std::string&>());
            }
        }
    } catch (const contract::Invalid&) {
        return std::nullopt;
    } catch (const json::exception&) {
        return std::nullopt;  // a pointer with an index into an object
    }
    return std::nullopt;
}

void refuse_answer(const std::string& what, const std::string& reason) {
    throw SourceError(ErrorKind::malformed, fmt::format("{}: {}", what, reason));
}

json parse_answer(std::string_view body, const std::string& what) {
    try {
        json answer = contract::parse_json(body);
        if (!answer.is_object()) {
            refuse_answer(what, "expected a JSON object, got " + text_shown(answer));
        }
        return answer;
    } catch (const contract::Invalid& error) {
        refuse_answer(what, error.what());
    }
}

const json& list_at(const json& object, const char* key, const std::string& what) {
    const auto found = object.find(key);
    if (found == object.end() || !found->is_array()) {
        refuse_answer(what, fmt::format("{}: expected a list, got {}", key,
                                        found == object.end() ? "nothing" : text_shown(*found)));
    }
    return *found;
}

double number_at(const json& object, const char* key, double min, double max, const std::string& what) {
    const auto found = object.find(key);
    const double value = found != object.end() && found->is_number() ? found->get<double>() : std::nan("");
    if (!(value >= min && value <= max)) {
        refuse_answer(what, fmt::format("{}: expected a number from {} to {}, got {}", key, min, max,
                                        found == object.end() ? "nothing" : text_shown(*found)));
    }
    return value;
}

WallTime time_at(const json& object, const char* key, const std::string& what) {
    const auto found = object.find(key);
    const auto time = found != object.end() && found->is_string()
                          ? contract::parse_timestamp(found->get_ref<const std::string&>())
                          : std::nullopt;
    if (!time) {
        refuse_answer(what, fmt::format("{}: expected a time like 2026-06-01T12:00:00+02:00, got {}", key,
                                        found == object.end() ? "nothing" : text_shown(*found)));
    }
    return *time;
}

std::string utc_text(WallTime time, bool is_iso) {
    const auto day = std::chrono::floor<std::chrono::days>(time);
    const std::chrono::year_month_day date(day);
    const std::chrono::hh_mm_ss clock(std::chrono::floor<std::chrono::minutes>(time - day));
    return fmt::format(fmt::runtime(is_iso ? "{:04}-{:02}-{:02}T{:02}:{:02}Z" : "{:04}{:02}{:02}{:02}{:02}"),
                       static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                       static_cast<unsigned>(date.day()), clock.hours().count(), clock.minutes().count());
}

}  // namespace ems_bridge
