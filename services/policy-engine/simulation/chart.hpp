#pragma once

#include <string>
#include <vector>

#include "policy-engine/simulation/site_run.hpp"

namespace policy_engine::simulation {

/// A picture of the day that stands alone: no script, no font or style from elsewhere. Follows the reader's choice of
/// light or dark.
///
/// Above, what sun, house, battery and each car do; then the grid; prices; states of charge; and what each charger did
/// it for. Times are local.
std::string svg_chart(const SiteRun& run);

/// A place on the axis of time.
struct TimeTick {
    double part = 0;  ///< Of the day's length, 0 to 1.
    std::string label;
    bool operator==(const TimeTick&) const = default;
};

/// Whole hours of the local clock, as many as are readable; dates at midnight when there are several days.
std::vector<TimeTick> time_ticks(WallTime start, std::size_t length_s);

/// An axis of round numbers.
struct Scale {
    double low = 0;
    double high = 1;
    double step = 1;
};

/// Holds both values, and 0.
Scale scale_for(double lowest, double highest, int most_steps);

/// For text between tags and in attributes: markup escaped, what XML cannot hold replaced.
std::string xml_text(const std::string& text);

}  // namespace policy_engine::simulation
