#pragma once

#include <chrono>
#include <cstdlib>
#include <ctime>
#include <optional>
#include <string>

namespace support {

/// The machine's time zone for the length of a test, or of a part of it. POSIX or named: "CET-1CEST,M3.5.0,M10.5.0/3"
/// needs no zone files.
class LocalZone {
public:
    explicit LocalZone(const char* name) {
        if (const char* before = std::getenv("TZ")) {  // NOLINT(concurrency-mt-unsafe): a test has one thread
            before_ = before;
        }
        change_to(name);
    }
    LocalZone(const LocalZone&) = delete;
    LocalZone& operator=(const LocalZone&) = delete;
    ~LocalZone() { change_to(before_ ? before_->c_str() : nullptr); }

private:
    static void change_to(const char* name) {
        // NOLINTNEXTLINE(concurrency-mt-unsafe): as above
        name != nullptr ? setenv("TZ", name, 1) : unsetenv("TZ");
        tzset();
    }

    std::optional<std::string> before_;
};

inline std::chrono::system_clock::time_point utc(int year, int month, int day, int hour = 0, int minute = 0,
                                                 int second = 0) {
    return std::chrono::sys_days(std::chrono::year(year) / month / day) + std::chrono::hours(hour) +
           std::chrono::minutes(minute) + std::chrono::seconds(second);
}

}  // namespace support
