#include "figures.hpp"

#include <algorithm>
#include <cmath>
#include <ctime>
#include <fstream>
#include <numeric>
#include <string>

#include <fmt/format.h>

namespace bench {

namespace {

double kib_after(const std::string& path, const std::string& key) {
    std::ifstream stream(path);
    for (std::string line; std::getline(stream, line);) {
        if (line.starts_with(key)) {
            return std::stod(line.substr(key.size()));
        }
    }
    return 0;
}

double processor_seconds(int pid) {
    constexpr double nanosecond = 1e-9;
    clockid_t clock{};
    timespec time{};
    if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &time) != 0) {
        return 0;
    }
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * nanosecond;
}

}  // namespace

double percentile(std::vector<double> values, double share) {
    std::ranges::sort(values);
    const auto index = static_cast<std::size_t>(std::ceil(share * static_cast<double>(values.size()))) - 1;
    return values.at(std::min(index, values.size() - 1));
}

double standard_deviation(const std::vector<double>& values) {
    const auto count = static_cast<double>(values.size());
    const double mean = std::accumulate(values.begin(), values.end(), 0.0) / count;
    const double squares = std::accumulate(values.begin(), values.end(), 0.0, [mean](double sum, double value) {
        return sum + (value - mean) * (value - mean);
    });
    return std::sqrt(squares / count);
}

Cost cost_of(int pid) {
    constexpr double kib_per_mib = 1024;
    return {.resident_mib = kib_after(fmt::format("/proc/{}/status", pid), "VmRSS:") / kib_per_mib,
            .cpu_s = processor_seconds(pid)};
}

}  // namespace bench
