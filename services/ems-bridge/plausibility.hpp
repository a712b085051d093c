#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "ems-bridge/reading.hpp"

namespace ems_bridge {

struct PlausibleLimits {
    double power_w = 1e6;  ///< No grid, pv, house or battery power is larger. 3 × main fuse × 230 V × 3 where known.
};

/// Keeps out what cannot be true. One per source: it remembers the energy counters.
class PlausibilityFilter {
public:
    explicit PlausibilityFilter(PlausibleLimits limits) : limits_(limits) {}

    /// The reading with what is impossible made unknown. `problems` says what and why.
    Reading accept(Reading reading, std::vector<std::string>& problems);

private:
    void check_powers(Reading& reading, std::vector<std::string>& problems) const;
    void check_counter(Reading& reading, Quantity quantity, std::vector<std::string>& problems);

    PlausibleLimits limits_;
    struct Counter {
        std::optional<double> accepted;
        std::optional<double> doubted;  ///< Went backwards once; believed when the next value agrees.
    };
    std::array<Counter, quantity_count> counters_{};
};

}  // namespace ems_bridge
