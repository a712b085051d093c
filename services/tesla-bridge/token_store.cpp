#include "tesla-bridge/token_store.hpp"

#include <cerrno>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "contract/timestamp.hpp"
#include "storage/atomic_file.hpp"

namespace tesla_bridge {

namespace {

constexpr const char* login_form = R"(expected {"refresh_token":"…"}, optionally with access_token and expires_at)";

std::string token_at(const nlohmann::json& json, const char* key) {
    const auto found = json.find(key);
    if (found == json.end() || found->is_null()) {
        return "";
    }
    if (!found->is_string()) {
        throw TokenError(fmt::format("{} is not text", key));
    }
    auto token = found->get<std::string>();
    // Anything else would end up in an HTTP header.
    for (const char c : token) {
        if (c <= ' ' || c >= '\x7f') {
            throw TokenError(fmt::format("{} holds a space or another character no token has", key));
        }
    }
    return token;
}

}  // namespace

// The parser's own messages quote the text, and the text is secret.
Tokens parse_tokens(std::string_view text) {
    const auto json = nlohmann::json::parse(text, nullptr, false);
    if (!json.is_object()) {
        throw TokenError(fmt::format("not a JSON object; {}", login_form));
    }
    Tokens tokens{.access_token = token_at(json, "access_token"),
                  .refresh_token = token_at(json, "refresh_token"),
                  .expires_at = std::nullopt};
    if (tokens.access_token.empty() && tokens.refresh_token.empty()) {
        throw TokenError(fmt::format("holds no token; {}", login_form));
    }
    if (const auto found = json.find("expires_at"); found != json.end() && !found->is_null()) {
        tokens.expires_at = found->is_string() ? contract::parse_timestamp(found->get<std::string>()) : std::nullopt;
        if (!tokens.expires_at) {
            throw TokenError("expires_at is not a time like 2026-01-31T12:00:00+01:00");
        }
    }
    return tokens;
}

std::string format_tokens(const Tokens& tokens) {
    nlohmann::json json{{"access_token", tokens.access_token}, {"refresh_token", tokens.refresh_token}};
    if (tokens.expires_at) {
        json["expires_at"] = contract::format_timestamp(*tokens.expires_at);
    }
    return json.dump(2) + "\n";
}

std::optional<std::string> token_file_problem(const std::filesystem::path& file, bool is_renewed) {
    struct stat status {};
    if (stat(file.c_str(), &status) != 0) {
        return errno == ENOENT ? fmt::format("{} does not exist; {}", file.string(), login_form)
                               : fmt::format("{} cannot be reached", file.string());
    }
    if (!S_ISREG(status.st_mode)) {
        return fmt::format("{} is not a file", file.string());
    }
    constexpr unsigned others = 077;
    if ((status.st_mode & others) != 0) {
        return fmt::format(
            "{} can be read or written by others (mode {:04o}), and it holds the keys of a car: "
            "chmod 600 {}",
            file.string(), status.st_mode & 07777U, file.string());
    }
    if (access(file.c_str(), R_OK) != 0) {
        return fmt::format("{} cannot be read by this user: chown it to the user the service runs as", file.string());
    }
    const auto folder = file.parent_path().empty() ? std::filesystem::path(".") : file.parent_path();
    if (is_renewed && access(folder.c_str(), W_OK | X_OK) != 0) {
        return fmt::format(
            "{}: the folder cannot be written by this user, but every refresh makes a new token that "
            "has to be stored there",
            folder.string());
    }
    return std::nullopt;
}

Tokens TokenStore::load() const {
    if (const auto problem = token_file_problem(file_, false)) {
        throw TokenError(*problem);
    }
    const auto text = storage::read_if_present(file_);
    if (!text) {
        throw TokenError(fmt::format("{} does not exist; {}", file_.string(), login_form));
    }
    try {
        return parse_tokens(*text);
    } catch (const TokenError& error) {
        throw TokenError(fmt::format("{}: {}", file_.string(), error.what()));
    }
}

void TokenStore::save(const Tokens& tokens) const {
    constexpr unsigned owner_only = 0600;
    storage::write_atomically(file_, format_tokens(tokens), owner_only);
}

}  // namespace tesla_bridge
