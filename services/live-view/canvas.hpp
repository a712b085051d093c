#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace live_view {

/// How a screen may be drawn.
struct Look {
    int width = 80;
    int height = 24;
    bool utf8 = true;
    bool colour = true;
};

enum class Style : std::uint8_t { plain, bold, dim, title, green, yellow, red, cyan, blue, magenta };

/// A grid of characters with styles. Text from outside may hold anything: control characters, and with them every
/// escape sequence, become `?`, and what does not fit is cut off.
class Canvas {
public:
    explicit Canvas(const Look& look);

    int width() const { return look_.width; }
    int height() const { return look_.height; }

    /// Writes from (row, column) on; returns the column after the last character. At most `room` columns; text that
    /// is longer ends in an ellipsis.
    int put(int row, int column, std::string_view text, Style style = Style::plain, int room = 10000);

    /// Fills `cells` columns (fractions as partial blocks, where UTF-8 allows them).
    void bar(int row, int column, double cells, Style style);

    /// A rule over the whole width.
    void rule(int row);

    /// Gives the whole row this style; what is written later has its own.
    void fill(int row, Style style);

    /// `height` lines joined by newlines, without trailing spaces unless they are styled.
    std::string text() const;

private:
    struct Cell {
        char32_t glyph = U' ';
        Style style = Style::plain;
    };

    Cell* at(int row, int column);
    std::string row_text(int row) const;
    char32_t drawable(char32_t glyph) const;

    Look look_;
    std::vector<Cell> cells_;
};

/// Number of columns `text` takes on a canvas.
int columns(std::string_view text);

/// Breaks text at spaces into lines of at most `width` columns.
std::vector<std::string> wrapped(std::string_view text, int width);

}  // namespace live_view
