#pragma once

#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

#include "scheduling/scheduler.hpp"

namespace tesla_bridge {

/// One login to a Tesla account. Never printed.
struct Tokens {
    std::string access_token;                        ///< Empty: to be fetched with the refresh token.
    std::string refresh_token;                       ///< Empty: the access token cannot be renewed.
    std::optional<scheduling::WallTime> expires_at;  ///< Of the access token; none: unknown.
    bool operator==(const Tokens&) const = default;
};

/// Names the file and what to do about it; never a token.
class TokenError : public std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// Reads `{"refresh_token":…,"access_token":…,"expires_at":"2026-01-31T12:00:00+01:00"}`; one of the two tokens is
/// enough and further keys are ignored, so Tesla's own reply can be pasted. Throws TokenError.
Tokens parse_tokens(std::string_view text);
std::string format_tokens(const Tokens& tokens);

/// The file that holds the login. Each refresh makes the refresh token before it worthless, so the file is always
/// either the old or the new login, whole.
class TokenStore {
public:
    explicit TokenStore(std::filesystem::path file) : file_(std::move(file)) {}

    /// Throws TokenError: missing, readable by others than its owner, or not a login.
    Tokens load() const;
    /// Mode 0600. Throws storage::StorageError; the old file then still stands.
    void save(const Tokens& tokens) const;

    const std::filesystem::path& file() const { return file_; }

private:
    std::filesystem::path file_;
};

/// Why this file cannot serve as a token store, in words for the user; none when it can. `is_renewed`: the service
/// will have to replace it.
std::optional<std::string> token_file_problem(const std::filesystem::path& file, bool is_renewed);

}  // namespace tesla_bridge
