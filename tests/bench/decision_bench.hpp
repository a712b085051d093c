#pragma once

namespace study {

/// Prints what one decision costs with 1 to 1000 chargers: time and allocations.
void run_decision_bench();

}  // namespace study
