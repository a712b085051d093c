#include "live-view/canvas.hpp"

#include <doctest/doctest.h>

using namespace live_view;

namespace {

std::string drawn(std::string_view text, const Look& look, int room = 10000) {
    Canvas canvas(look);
    canvas.put(0, 0, text, Style::plain, room);
    return canvas.text();
}

const Look one_line{.width = 20, .height = 1, .utf8 = true, .colour = false};

}  // namespace

TEST_CASE("canvas: escape sequences and other controls in a payload never reach the terminal") {
    CHECK(drawn("a\x1b[2Jb\tc\n\xc2\x9b", one_line) == "a?[2Jb?c??");
}

TEST_CASE("canvas: bytes that are not UTF-8, wide and combining characters take one column") {
    CHECK(drawn("\xff\xc3(\xe4\xb8\xad"
                "e\xcc\x81\xf0\x9f\x9a\x97\xe2\x82",
                one_line) ==
          "?"
          "?(?e????");
    CHECK(drawn("Küche → 5 €", one_line) == "Küche → 5 €");
}

TEST_CASE("canvas: text that does not fit ends in an ellipsis") {
    CHECK(drawn("0123456789", one_line, 5) == "0123…");
    CHECK(drawn("0123456789012345678901", one_line) == "0123456789012345678…");
    CHECK(drawn("0123456789", {.width = 4, .height = 1, .utf8 = false, .colour = false}) == "012~");
}

TEST_CASE("canvas: bars have eighths of a column where UTF-8 allows them") {
    Canvas fine(one_line);
    fine.bar(0, 0, 2.5, Style::plain);
    Canvas coarse({.width = 20, .height = 1, .utf8 = false, .colour = false});
    coarse.bar(0, 0, 2.5, Style::plain);
    Canvas beyond({.width = 3, .height = 1, .utf8 = true, .colour = false});
    beyond.bar(0, 0, 99, Style::plain);

    CHECK(fine.text() == "██▌");
    CHECK(coarse.text() == "###");
    CHECK(beyond.text() == "███");
}

TEST_CASE("canvas: a style lasts to its end and no further") {
    Canvas canvas({.width = 6, .height = 2, .utf8 = true, .colour = true});
    canvas.fill(0, Style::title);
    canvas.put(0, 0, "t", Style::title);
    canvas.put(1, 0, "a", Style::green);
    canvas.put(1, 2, "b");

    CHECK(canvas.text() == "\x1b[0;1;7mt     \x1b[0m\n\x1b[0;32ma \x1b[0mb");
}

TEST_CASE("canvas: wrapping breaks at spaces and keeps long words whole") {
    CHECK(wrapped("one two three", 7) == std::vector<std::string>{"one two", "three"});
    CHECK(wrapped("a-very-long-word b", 5) == std::vector<std::string>{"a-very-long-word", "b"});
    CHECK(wrapped("", 5) == std::vector<std::string>{""});
}
