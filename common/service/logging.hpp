#pragma once

#include <string>

namespace service {

struct LogSettings {
    std::string level = "info";   ///< trace, debug, info, warn, error
    std::string format = "text";  ///< text, or json: one object a line
};

/// Logs go to standard error. May be called again to change level or format.
void set_up_logging(const std::string& service, const LogSettings& settings);

}  // namespace service
