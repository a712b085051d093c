#pragma once

#include <vector>

namespace bench {

/// The smallest value that `share` (0 to 1) of all values do not exceed; there must be one.
double percentile(std::vector<double> values, double share);

/// Around the mean, of a whole population; there must be a value.
double standard_deviation(const std::vector<double>& values);

/// What a running process costs.
struct Cost {
    double resident_mib = 0;
    double cpu_s = 0;  ///< Since its start, all threads, user and system, to the nanosecond.
};

Cost cost_of(int pid);

}  // namespace bench
