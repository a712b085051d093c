#pragma once

#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "policy-engine/types.hpp"

namespace policy_engine::simulation {

enum class ReportKind { text, json };

/// What `policy-sim` was asked to do.
struct Arguments {
    std::string config_file;
    std::string trace_file;
    std::string capture_file;
    std::string scenario_file;
    std::string chart_file;
    std::optional<ReportKind> report;
    std::string base_topic = "twc";
    std::optional<WallTime> from;
    std::optional<WallTime> to;
    std::optional<double> longest_gap_s;
    std::vector<std::string> overrides;  ///< `KEY=VALUE` of --set
    bool stdio = false;
    bool help = false;
    bool version = false;

    /// The short run that prints the metrics of `run_day`.
    bool only_trace() const { return !trace_file.empty() && scenario_file.empty() && chart_file.empty() && !report; }
};

/// what() names the argument and what it may be.
class BadArgument : public std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// The arguments after the program's name. Throws BadArgument, for combinations that make no sense as well.
Arguments parse_arguments(std::span<const char* const> words);

std::string help_text();

}  // namespace policy_engine::simulation
