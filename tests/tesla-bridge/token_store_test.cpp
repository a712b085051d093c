#include "tesla-bridge/token_store.hpp"

#include <csignal>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <thread>

#include <doctest/doctest.h>

#include "storage/atomic_file.hpp"
#include "tesla-bridge/support.hpp"

using namespace tesla_bridge;
using namespace tesla_bridge_test;
using namespace std::chrono_literals;

namespace {

const Tokens login{.access_token = "access-1", .refresh_token = "refresh-1", .expires_at = fixture_wall()};

unsigned mode_of(const std::filesystem::path& file) {
    return static_cast<unsigned>(std::filesystem::status(file).permissions());
}

std::string problem_with(const std::string& text) {
    try {
        parse_tokens(text);
    } catch (const TokenError& error) {
        return error.what();
    }
    return "";
}

/// While it lives no file can grow: write() fails as on a full disk.
class FullDisk {
public:
    FullDisk() {
        old_handler_ = std::signal(SIGXFSZ, SIG_IGN);
        getrlimit(RLIMIT_FSIZE, &old_limit_);
        const rlimit nothing{.rlim_cur = 0, .rlim_max = old_limit_.rlim_max};
        setrlimit(RLIMIT_FSIZE, &nothing);
    }
    FullDisk(const FullDisk&) = delete;
    FullDisk& operator=(const FullDisk&) = delete;
    ~FullDisk() {
        setrlimit(RLIMIT_FSIZE, &old_limit_);
        static_cast<void>(std::signal(SIGXFSZ, old_handler_));
    }

private:
    rlimit old_limit_{};
    void (*old_handler_)(int) = nullptr;
};

}  // namespace

TEST_CASE("tokens: what is written is what is read, for the owner's eyes only") {
    const TemporaryFolder folder;
    const TokenStore store(folder.path() / "sub" / "tokens.json");
    store.save(login);

    CHECK(store.load() == login);
    CHECK(mode_of(store.file()) == 0600);
}

TEST_CASE("tokens: a file as a person makes it") {
    CHECK(parse_tokens(R"({"refresh_token":"r"})") == Tokens{"", "r", std::nullopt});
    CHECK(parse_tokens(R"({"access_token":"a","expires_at":null})") == Tokens{"a", "", std::nullopt});
    const auto pasted = parse_tokens(
        R"({"access_token":"a","refresh_token":"r","id_token":"i","token_type":"Bearer","expires_in":28800})");
    CHECK(pasted == Tokens{"a", "r", std::nullopt});
}

TEST_CASE("tokens: what is wrong is said without quoting the file") {
    struct Row {
        const char* text;
        const char* words;
    };
    for (const auto& row :
         {Row{"", "not a JSON object"}, Row{"s3cret-token", "not a JSON object"}, Row{R"(["s3cret"])", "not a JSON"},
          Row{"{}", "holds no token"}, Row{R"({"refresh_token":""})", "holds no token"},
          Row{R"({"refresh_token":7})", "refresh_token is not text"},
          Row{R"({"refresh_token":"s3cret\r\nX-Evil: 1"})", "refresh_token holds a space"},
          Row{R"({"access_token":"s3cret b"})", "access_token holds a space"},
          Row{R"({"refresh_token":"s3cret","expires_at":"tomorrow"})", "expires_at is not a time"}}) {
        CAPTURE(row.text);
        const auto problem = problem_with(row.text);
        CHECK_MESSAGE(problem.find(row.words) != std::string::npos, problem);
        CHECK(problem.find("s3cret") == std::string::npos);
    }
}

TEST_CASE("tokens: a file that others can read is not used") {
    const TemporaryFolder folder;
    for (const unsigned mode : {0644U, 0640U, 0604U, 0620U, 0660U, 0777U}) {
        CAPTURE(mode);
        const auto file = folder.write("tokens.json", R"({"refresh_token":"r"})", mode);
        const auto problem = token_file_problem(file, true);
        REQUIRE(problem);
        CHECK(problem->find("chmod 600") != std::string::npos);
        CHECK_THROWS_AS(TokenStore(file).load(), TokenError);
    }
    for (const unsigned mode : {0600U, 0400U, 0700U}) {
        CHECK_FALSE(token_file_problem(folder.write("tokens.json", "{}", mode), true).has_value());
    }
}

TEST_CASE("tokens: a missing file and a folder say so") {
    const TemporaryFolder folder;
    CHECK(token_file_problem(folder.path() / "none.json", true)->find("does not exist") != std::string::npos);
    CHECK(token_file_problem(folder.path(), true)->find("is not a file") != std::string::npos);
}

TEST_CASE("tokens: a full disk leaves the old login whole") {
    const TemporaryFolder folder;
    const TokenStore store(folder.path() / "tokens.json");
    store.save(login);
    {
        const FullDisk full;
        CHECK_THROWS_AS(store.save({.access_token = "access-2", .refresh_token = "refresh-2", .expires_at = {}}),
                        storage::StorageError);
    }
    CHECK(store.load() == login);
    store.save({.access_token = "access-3", .refresh_token = "refresh-3", .expires_at = {}});
    CHECK(store.load().refresh_token == "refresh-3");
}

TEST_CASE("tokens: killed at any moment, the file holds one whole login") {
    const TemporaryFolder folder;
    const TokenStore store(folder.path() / "tokens.json");
    store.save(login);
    for (int round = 0; round < 25; ++round) {
        const pid_t child = fork();
        REQUIRE(child >= 0);
        if (child == 0) {
            for (int i = 0;; ++i) {
                const std::string number = std::to_string(i);
                store.save({.access_token = std::string(2000, 'a') + number,
                            .refresh_token = std::string(2000, 'r') + number,
                            .expires_at = fixture_wall()});
            }
        }
        std::this_thread::sleep_for(std::chrono::microseconds(500 + 777 * round));
        kill(child, SIGKILL);
        waitpid(child, nullptr, 0);

        const Tokens found = store.load();
        CHECK_FALSE(found.refresh_token.empty());
        CHECK(mode_of(store.file()) == 0600);
        if (found != login) {
            CHECK(found.access_token.substr(2000) == found.refresh_token.substr(2000));
        }
    }
}
