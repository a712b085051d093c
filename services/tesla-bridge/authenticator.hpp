#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <variant>

#include "http/http_client.hpp"
#include "tesla-bridge/token_store.hpp"
#include "tesla-bridge/vehicle_link.hpp"

namespace tesla_bridge {

/// What the token server said to a refresh.
struct Refreshed {
    Tokens tokens;
    std::chrono::seconds lifetime{0};  ///< Of the access token; 0: not said.
};

/// The answer to `grant_type=refresh_token`: the new login, or what to do about the failure. `old`: keeps its refresh
/// token when the answer brings none. Pure. Source: Tesla vehicle notes 1.3.3 and 1.3.4.
std::variant<Refreshed, Verdict> parse_refresh(const http::Response& response, const Tokens& old,
                                               scheduling::WallTime now);

/// Percent-encodes for `application/x-www-form-urlencoded`.
std::string form_encode(std::string_view text);

struct OAuthClient {
    std::string token_url;
    std::string client_id;
    std::chrono::milliseconds timeout{15'000};
};

/// Keeps one account's access token valid. Shared by the workers of all its vehicles: thread-safe, one refresh at a
/// time, and a new login is on disk before its access token is given to anyone.
class Authenticator {
public:
    /// `load` is done by the first call, so that constructing never fails.
    Authenticator(OAuthClient client, TokenStore store, std::unique_ptr<http::HttpClient> http);

    /// An access token, renewed first when it is about to expire; or why there is none.
    std::variant<std::string, Verdict> access_token(CallTime time);

    /// After a 401: a newer token than `rejected`; or why there is none.
    std::variant<std::string, Verdict> replace(const std::string& rejected, CallTime time);

private:
    std::optional<Verdict> ensure_loaded();
    std::variant<std::string, Verdict> refresh(CallTime time);
    std::variant<std::string, Verdict> adopt_pending();
    Verdict failed(Verdict verdict, CallTime time);
    bool is_about_to_expire(scheduling::WallTime now) const;
    void forget_if_file_changed();

    std::mutex mutex_;
    OAuthClient client_;
    TokenStore store_;
    std::unique_ptr<http::HttpClient> http_;
    std::optional<Tokens> tokens_;   ///< As on disk.
    std::optional<Tokens> pending_;  ///< Fetched, but not on disk yet: not to be used.
    std::chrono::seconds lifetime_{0};
    std::optional<Verdict> failure_;                       ///< Of the last refresh.
    std::optional<scheduling::Instant> no_refresh_until_;  ///< While `failure_` stands.
    int failures_ = 0;
};

}  // namespace tesla_bridge
