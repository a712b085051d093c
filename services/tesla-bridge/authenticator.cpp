#include "tesla-bridge/authenticator.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <spdlog/spdlog.h>

#include "storage/atomic_file.hpp"
#include "tesla-bridge/fleet_answer.hpp"

namespace tesla_bridge {

namespace {

using namespace std::chrono_literals;
using Kind = Verdict::Kind;

constexpr auto usual_margin = 5min;
constexpr auto first_back_off = 10s;
constexpr auto longest_back_off = 600s;
constexpr auto longest_lifetime = 86'400s * 365;

std::string word_at(const nlohmann::json& json, const char* key) {
    const auto found = json.is_object() ? json.find(key) : json.end();
    return found != json.end() && found->is_string() ? found->get<std::string>() : "";
}

std::chrono::seconds lifetime_at(const nlohmann::json& json) {
    const auto found = json.find("expires_in");
    if (found == json.end() || !found->is_number()) {
        return 0s;
    }
    const double seconds = found->get<double>();
    const bool is_plausible = seconds >= 1 && seconds <= static_cast<double>(longest_lifetime.count());
    return is_plausible ? std::chrono::seconds(static_cast<long long>(seconds)) : 0s;
}

// The error words of OAuth and Tesla; the descriptions that come with them are not shown, they may quote a token.
Verdict judge_oauth_error(const http::Response& response, const std::string& error) {
    constexpr int server_error = 500;
    if (response.status == 429) {
        return {Kind::rate_limited, "the token server asks to wait", parse_retry_after(response), true};
    }
    if (response.status >= server_error) {
        return {Kind::retry, fmt::format("the token server failed (HTTP {})", response.status)};
    }
    if (error == "login_required" || error == "invalid_grant" || error == "invalid_auth_code") {
        return {Kind::blocked,
                fmt::format("the login is no longer valid ({}): the refresh token was used elsewhere, is too old or "
                            "the password was changed; log in again and replace the token file",
                            error)};
    }
    if (error == "unauthorized_client" || error == "invalid_client") {
        return {Kind::blocked, fmt::format("the token server does not know account.client_id ({})", error)};
    }
    if (error == "invalid_scope") {
        return {Kind::blocked, "a requested permission is not enabled for the developer app (invalid_scope)"};
    }
    return {Kind::blocked, fmt::format("the token server refused the refresh (HTTP {}{}{})", response.status,
                                       error.empty() ? "" : ", ", printable(error, 40))};
}

}  // namespace

std::variant<Refreshed, Verdict> parse_refresh(const http::Response& response, const Tokens& old,
                                               scheduling::WallTime now) {
    const auto json = nlohmann::json::parse(response.body, nullptr, false);
    if (response.status != 200) {
        return judge_oauth_error(response, word_at(json, "error"));
    }
    Refreshed refreshed;
    try {
        refreshed.tokens = parse_tokens(response.body);
    } catch (const TokenError&) {
        return Verdict{Kind::retry, "the token server's answer holds no token: is account.token_url right?"};
    }
    if (refreshed.tokens.access_token.empty()) {
        return Verdict{Kind::retry, "the token server's answer holds no access token: is account.token_url right?"};
    }
    if (refreshed.tokens.refresh_token.empty()) {
        refreshed.tokens.refresh_token = old.refresh_token;
    }
    refreshed.lifetime = lifetime_at(json);
    refreshed.tokens.expires_at = refreshed.lifetime > 0s ? std::optional(now + refreshed.lifetime) : std::nullopt;
    return refreshed;
}

std::string form_encode(std::string_view text) {
    std::string result;
    for (const char c : text) {
        const bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                              c == '_' || c == '.' || c == '~';
        if (is_plain) {
            result.push_back(c);
        } else {
            result += fmt::format("%{:02X}", static_cast<unsigned char>(c));
        }
    }
    return result;
}

Authenticator::Authenticator(OAuthClient client, TokenStore store, std::unique_ptr<http::HttpClient> http)
    : client_(std::move(client)), store_(std::move(store)), http_(std::move(http)) {}

std::optional<Verdict> Authenticator::ensure_loaded() {
    if (tokens_) {
        return std::nullopt;
    }
    try {
        tokens_ = store_.load();
        return std::nullopt;
    } catch (const std::exception& error) {
        return Verdict{Kind::blocked, error.what()};
    }
}

// Short-lived tokens must not be renewed at every call, so the margin never exceeds half of the lifetime.
bool Authenticator::is_about_to_expire(scheduling::WallTime now) const {
    if (tokens_->access_token.empty()) {
        return true;
    }
    if (!tokens_->expires_at || tokens_->refresh_token.empty()) {
        return false;  // a 401 will tell
    }
    const std::chrono::seconds margin =
        lifetime_ > 0s ? std::min<std::chrono::seconds>(usual_margin, lifetime_ / 2) : usual_margin;
    return now + margin >= *tokens_->expires_at;
}

// A person who logged in again replaces the file; nothing has to be restarted for that.
void Authenticator::forget_if_file_changed() {
    if (!failure_ || failure_->kind != Kind::blocked) {
        return;
    }
    try {
        const Tokens on_disk = store_.load();
        if (!tokens_ || on_disk.refresh_token != tokens_->refresh_token) {
            tokens_ = on_disk;
            lifetime_ = 0s;
            failure_.reset();
            no_refresh_until_.reset();
            failures_ = 0;
            spdlog::info("using the new login in {}", store_.file().string());
        }
    } catch (const std::exception&) {
        return;  // the failure that stands says enough
    }
}

std::variant<std::string, Verdict> Authenticator::access_token(CallTime time) {
    const std::scoped_lock lock(mutex_);
    forget_if_file_changed();
    if (auto problem = ensure_loaded()) {
        return *problem;
    }
    if (pending_) {
        return adopt_pending();
    }
    if (!is_about_to_expire(time.wall)) {
        return tokens_->access_token;
    }
    auto result = refresh(time);
    // The old token may still have minutes to live: a token server in trouble must not stop the cars.
    const bool is_usable =
        !pending_ && !tokens_->access_token.empty() && tokens_->expires_at && time.wall < *tokens_->expires_at;
    if (std::holds_alternative<Verdict>(result) && is_usable) {
        return tokens_->access_token;
    }
    return result;
}

std::variant<std::string, Verdict> Authenticator::replace(const std::string& rejected, CallTime time) {
    const std::scoped_lock lock(mutex_);
    forget_if_file_changed();
    if (auto problem = ensure_loaded()) {
        return *problem;
    }
    if (pending_) {
        return adopt_pending();
    }
    if (tokens_->access_token != rejected && !tokens_->access_token.empty()) {
        return tokens_->access_token;  // another worker was faster
    }
    return refresh(time);
}

std::variant<std::string, Verdict> Authenticator::refresh(CallTime time) {
    if (tokens_->refresh_token.empty()) {
        return Verdict{Kind::blocked, fmt::format("the access token is not accepted and {} holds no refresh_token to "
                                                  "renew it with",
                                                  store_.file().string())};
    }
    if (no_refresh_until_ && time.now < *no_refresh_until_ && failure_) {
        return *failure_;
    }
    http::Request request{.method = "POST",
                          .url = client_.token_url,
                          .headers = {{"Content-Type", "application/x-www-form-urlencoded"}},
                          .body = fmt::format("grant_type=refresh_token&client_id={}&refresh_token={}",
                                              form_encode(client_.client_id), form_encode(tokens_->refresh_token)),
                          .timeout = client_.timeout};
    http::Response response;
    try {
        response = http_->send(request);
    } catch (const http::TransportError& error) {
        return failed({Kind::retry, fmt::format("the token server cannot be reached: {}", error.what())}, time);
    }
    auto result = parse_refresh(response, *tokens_, time.wall);
    if (const auto* verdict = std::get_if<Verdict>(&result)) {
        return failed(*verdict, time);
    }
    const auto& refreshed = std::get<Refreshed>(result);
    pending_ = refreshed.tokens;
    lifetime_ = refreshed.lifetime;
    return adopt_pending();
}

// Using the access token first would be a bet that nothing happens before the write: the refresh token on disk is
// worthless from the moment the server made its successor.
std::variant<std::string, Verdict> Authenticator::adopt_pending() {
    try {
        store_.save(*pending_);
    } catch (const std::exception& error) {
        return Verdict{Kind::retry,
                       fmt::format("the renewed login cannot be stored and is therefore not used: {}", error.what())};
    }
    tokens_ = std::move(*pending_);
    pending_.reset();
    failure_.reset();
    no_refresh_until_.reset();
    failures_ = 0;
    spdlog::info("access token renewed and stored");
    return tokens_->access_token;
}

Verdict Authenticator::failed(Verdict verdict, CallTime time) {
    const auto back_off =
        std::min<std::chrono::seconds>(first_back_off * (1 << std::min(failures_, 6)), longest_back_off);
    ++failures_;
    no_refresh_until_ = time.now + std::max(back_off, verdict.retry_after);
    if (verdict.kind == Kind::blocked) {
        no_refresh_until_ = scheduling::Instant::max();  // until the file changes
    }
    failure_ = verdict;
    return verdict;
}

}  // namespace tesla_bridge
