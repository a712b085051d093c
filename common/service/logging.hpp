#pragma once

#include <string>

namespace service {

struct LogSettings {
    std::string level = "info";   ///< trace, debug, info, warn, error
    std::string format = "text";  ///< text, or json: one object a line
};

/// Logs go to standard error, one line a message: control characters are written as \x0a. Call before any thread is
/// started that may log.
void set_up_logging(const std::string& service, const LogSettings& settings);

/// May be called at any time, from any thread. `level` is one of LogSettings.
void set_log_level(const std::string& level);

}  // namespace service
