#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "policy-engine/types.hpp"

namespace policy_engine {

/// A goal that a charger pursues, as far as it must not be counted anew.
struct KeptPlan {
    PlanGoal goal;
    WallTime deadline{};
    double charged_kwh = 0;
    bool operator==(const KeptPlan&) const = default;
};

/// What outlives a restart.
struct KeptState {
    Settings settings;
    int starts_day = 0;  ///< The local day that `starts` counts.
    std::map<std::string, int> starts;
    std::map<std::string, std::vector<KeptPlan>> pursued;  ///< By charger.
    std::int64_t next_seq = 0;                             ///< Every `seq` of a limit that was ever sent is lower.
    bool operator==(const KeptState&) const = default;
};

std::string to_text(const KeptState& state);

struct Restored {
    KeptState state;
    std::vector<std::string> problems;  ///< For people; what they concern has its default.
};

/// Reads the file; absent: the defaults. One that cannot be understood is renamed to `<file>.corrupt` and reported.
Restored restore(const std::filesystem::path& file, const Settings& defaults, WallTime now);

}  // namespace policy_engine
