#pragma once

#include <chrono>
#include <cstdlib>
#include <ctime>

#include "scheduling/scheduler.hpp"

/// The machine's time zone for the length of a test.
class LocalZone {
public:
    explicit LocalZone(const char* name) {
        setenv("TZ", name, 1);  // NOLINT(concurrency-mt-unsafe): a test has one thread
        tzset();
    }
    LocalZone(const LocalZone&) = delete;
    LocalZone& operator=(const LocalZone&) = delete;
    ~LocalZone() {
        unsetenv("TZ");  // NOLINT(concurrency-mt-unsafe): as above
        tzset();
    }
};

inline scheduling::WallTime utc(int year, int month, int day, int hour = 0, int minute = 0, int second = 0) {
    return std::chrono::sys_days(std::chrono::year(year) / month / day) + std::chrono::hours(hour) +
           std::chrono::minutes(minute) + std::chrono::seconds(second);
}
