#include "service/logging.hpp"

#include <fcntl.h>
#include <fstream>
#include <iterator>
#include <unistd.h>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>
#include <spdlog/spdlog.h>

#include "support/temporary_folder.hpp"

namespace {

// What is written to standard error while it lives; the default logger is silenced again afterwards.
class CapturedLog {
public:
    CapturedLog() {
        const int fd = open((folder_ / "log").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        dup2(fd, STDERR_FILENO);
        close(fd);
    }
    CapturedLog(const CapturedLog&) = delete;
    CapturedLog& operator=(const CapturedLog&) = delete;
    ~CapturedLog() {
        spdlog::set_level(spdlog::level::off);
        dup2(real_, STDERR_FILENO);
        close(real_);
    }
    std::string text() const {
        spdlog::default_logger()->flush();
        std::ifstream stream(folder_ / "log");
        return {std::istreambuf_iterator<char>(stream), {}};
    }

private:
    support::TemporaryFolder folder_;
    int real_ = dup(STDERR_FILENO);
};

}  // namespace

TEST_CASE("logging: one line a message, whatever a stranger put in") {
    const CapturedLog log;
    service::set_up_logging("twc-bus", {.level = "info", .format = "text"});
    spdlog::info("payload {}", "a\nb\x1b[2Jc\x7f");
    spdlog::debug("not at this level");

    CHECK(log.text().ends_with("twc-bus: payload a\\x0ab\\x1b[2Jc\\x7f\n"));
    CHECK(log.text().find("not at this level") == std::string::npos);
}

TEST_CASE("logging: JSON lines stay JSON") {
    const CapturedLog log;
    service::set_up_logging("twc-bus", {.level = "debug", .format = "json"});
    spdlog::warn("quote \" and \n and \xff");

    const auto line = nlohmann::json::parse(log.text());
    CHECK(line["level"] == "warning");
    CHECK(line["service"] == "twc-bus");
    CHECK(line["message"] == "quote \" and \n and \xef\xbf\xbd");
    CHECK(line["ts"].get<std::string>().size() == 29);
}

TEST_CASE("logging: the level can be changed while others log") {
    const CapturedLog log;
    service::set_up_logging("x", {});
    const auto before = spdlog::default_logger();
    service::set_log_level("error");
    spdlog::warn("quiet");
    service::set_log_level("debug");
    spdlog::debug("loud");

    CHECK(spdlog::default_logger() == before);
    CHECK(log.text().find("quiet") == std::string::npos);
    CHECK(log.text().find("loud") != std::string::npos);
}
