#include "live-view/terminal.hpp"

#include <cerrno>
#include <clocale>
#include <cstdlib>
#include <cstring>
#include <langinfo.h>
#include <sys/ioctl.h>
#include <unistd.h>

namespace live_view {

namespace {

void write_all(std::string_view text) {
    while (!text.empty()) {
        const ssize_t written = write(STDOUT_FILENO, text.data(), text.size());
        if (written < 0 && errno != EINTR && errno != EAGAIN) {
            return;  // the terminal is gone; the hang-up signal ends us
        }
        text.remove_prefix(written > 0 ? static_cast<std::size_t>(written) : 0);
    }
}

}  // namespace

Terminal::Terminal() {
    termios settings{};
    if (tcgetattr(STDIN_FILENO, &settings) == 0) {
        before_ = settings;
        settings.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
        tcsetattr(STDIN_FILENO, TCSANOW, &settings);
    }
    write_all("\x1b[?1049h\x1b[?25l\x1b[2J");
}

Terminal::~Terminal() {
    write_all("\x1b[0m\x1b[?25h\x1b[?1049l");
    if (before_) {
        tcsetattr(STDIN_FILENO, TCSANOW, &*before_);
    }
}

// NOLINTNEXTLINE(readability-convert-member-functions-to-static): see the declaration
void Terminal::show(std::string_view screen) {
    std::string out = "\x1b[H";
    while (!screen.empty()) {
        const auto line = screen.substr(0, screen.find('\n'));
        out.append(line).append("\x1b[K");
        screen.remove_prefix(line.size());
        if (!screen.empty()) {
            out += "\r\n";
            screen.remove_prefix(1);
        }
    }
    write_all(out);
}

bool Terminal::available() { return isatty(STDIN_FILENO) != 0 && isatty(STDOUT_FILENO) != 0; }

Look Terminal::look() {
    Look look;
    winsize size{};
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_row > 0) {
        look.width = size.ws_col;
        look.height = size.ws_row;
    }
    // NOLINTBEGIN(concurrency-mt-unsafe): nothing in this process changes the locale or the environment later
    std::setlocale(LC_CTYPE, "");
    look.utf8 = std::strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    const char* no_color = std::getenv("NO_COLOR");
    // NOLINTEND(concurrency-mt-unsafe)
    look.colour = no_color == nullptr || *no_color == '\0';
    return look;
}

}  // namespace live_view
