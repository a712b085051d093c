#pragma once

#include <iosfwd>
#include <string>

#include "policy-engine/config.hpp"

namespace policy_engine::simulation {

/// The policy core behind one JSON object a line: `{"t":s,"grid_w":…,"chargers":[…],…}` in, the decision out. Time is
/// what `t` says: seconds after local midnight of a Monday, or from 10^9 on seconds since 1970. Keys that are missing
/// are unknown. A line that is not understood is answered with `{"error":…}` and changes nothing.
class LineByLine {
public:
    explicit LineByLine(ServiceConfig config) : config_(std::move(config)) {}

    /// Without line ends.
    std::string answer(const std::string& line);

private:
    ServiceConfig config_;
    Inputs inputs_;
    Memory memory_;
    bool begun_ = false;
};

/// Reads to the end; empty lines are skipped, each answer is flushed.
void answer_all(std::istream& questions, std::ostream& answers, ServiceConfig config);

}  // namespace policy_engine::simulation
