#pragma once

#include <chrono>
#include <span>
#include <stdexcept>
#include <string>

namespace live_view {

struct Arguments {
    std::string host = "localhost";
    int port = 1883;
    std::string base_topic = "twc";
    std::string username;
    std::string password_file;
    std::string ca_file;  ///< Not empty: connect with TLS.
    std::chrono::seconds line_period{5};
    bool lines = false;  ///< One line now and then instead of a screen, even on a terminal.
    bool help = false;
    bool version = false;
};

/// what() names the argument and what it may be.
class BadArgument : public std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// The arguments after the program's name; throws BadArgument.
Arguments parse_arguments(std::span<const char* const> words);

std::string help_text();

}  // namespace live_view
