#pragma once

#include <string>

#include <nlohmann/json.hpp>

#include "policy-engine/simulation/site_run.hpp"

namespace policy_engine::simulation {

/// What a day came to, for a terminal of 100 columns.
std::string text_report(const SiteRun& run);

/// The same for programs, with the series of the chart and every change of reason. Unknown is null.
nlohmann::json json_report(const SiteRun& run);

/// `14:05`, local.
std::string clock_text(WallTime time);

/// `Monday, 5 January 2026`, local.
std::string date_text(WallTime time);

/// `00:00 to 24:00` of one day, else with both dates.
std::string period_text(const SiteRun& run);

/// What a person calls the reason: `follows the sun`. Its name where there are no better words.
const char* words_for(Reason reason);

}  // namespace policy_engine::simulation
