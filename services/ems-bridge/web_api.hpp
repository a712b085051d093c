#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "config/section.hpp"
#include "contract/timestamp.hpp"
#include "ems-bridge/source_error.hpp"
#include "http/http_client.hpp"

/// What the public services for prices and forecasts have in common.
namespace ems_bridge {

using contract::WallTime;

/// Where a service is, and how it is trusted.
struct WebAccess {
    std::string url;  ///< Without a slash at its end. May be another server than the public one.
    http::TlsTrust trust;
    std::chrono::milliseconds timeout{20000};
};

/// Keys `url`, `tls` and `timeout_s`.
WebAccess read_web_access(const config::Section& section, const std::string& public_url);

/// A text that becomes part of a URL as it is: letters, digits, `.`, `_` and `-`. Anything else is reported.
std::string read_url_part(const config::Section& section, const std::string& key);
/// The same from the file that `<key>_file` names, required or not.
std::string read_url_secret(const config::Section& section, const std::string& key, bool is_required);

/// The text of the service's own error message in a JSON answer, if there is one, short enough to be shown.
std::optional<std::string> said_by(std::string_view body);

using Explain = std::optional<std::string> (*)(std::string_view body);

/// Sends the request with our name on it. Returns the body of a 200 answer; throws SourceError for every other, with
/// what the service said (as `explain` finds it) and when to ask again. `place`: for messages, without any secret.
std::string ask(http::HttpClient& client, http::Request request, const std::string& place, WallTime now,
                Explain explain = &said_by);

/// How long a refused client has to wait: the header `Retry-After` in seconds, else the time in `X-Ratelimit-Retry-At`
/// or in the body's /message/ratelimit/retry-at (forecast.solar), else 15 min. From 1 s to a day.
std::chrono::milliseconds pause_after_429(const http::Response& response, WallTime now);

/// What others wrote, as it may stand in a message: short, and on one line.
std::string shown(std::string_view text);

/// Throws SourceError(malformed) with `what` and the reason.
[[noreturn]] void refuse_answer(const std::string& what, const std::string& reason);

/// Parses an answer that has to be a JSON object.
nlohmann::json parse_answer(std::string_view body, const std::string& what);
/// The list at that key of an object.
const nlohmann::json& list_at(const nlohmann::json& object, const char* key, const std::string& what);
/// A finite number from min to max.
double number_at(const nlohmann::json& object, const char* key, double min, double max, const std::string& what);
/// A time stamp with its offset to UTC.
WallTime time_at(const nlohmann::json& object, const char* key, const std::string& what);

/// In UTC: `2026-06-01T12:00Z`, or without what is between the digits `202606011200`.
std::string utc_text(WallTime time, bool is_iso);

}  // namespace ems_bridge
