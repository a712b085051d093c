#pragma once

#include <algorithm>

namespace support {

/// Whether this is a build for a sanitizer, which takes ten times as long and keeps freed memory on purpose.
inline constexpr bool is_instrumented = INSTRUMENTED;

/// How many of the rounds of a random test to run: a tenth under a sanitizer, which looks for what any round may show.
constexpr unsigned rounds(unsigned all) { return is_instrumented ? std::max(1U, all / 10) : all; }

}  // namespace support
