#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <termios.h>

#include "live-view/canvas.hpp"

namespace live_view {

/// The terminal while the screen has it: alternate screen, no cursor, keys one at a time without echo. The
/// destructor puts everything back.
class Terminal {
public:
    Terminal();
    Terminal(const Terminal&) = delete;
    Terminal& operator=(const Terminal&) = delete;
    ~Terminal();

    /// Draws the lines from the top left corner in a single write, so that nothing flickers.
    // NOLINTNEXTLINE(readability-convert-member-functions-to-static): only who has the terminal may draw on it
    void show(std::string_view screen);

    /// True on a terminal, so that there is something to draw on and someone to press q.
    static bool available();
    /// Its present size, what the locale can show, and NO_COLOR (see no-color.org).
    static Look look();

private:
    std::optional<termios> before_;
};

}  // namespace live_view
