#include "live-view/canvas.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <utility>

namespace live_view {

namespace {

constexpr char32_t full_block = U'\u2588';
constexpr char32_t ellipsis = U'\u2026';
constexpr char32_t horizontal_line = U'\u2500';

// What stands in for the few signs the view draws, on a terminal without UTF-8.
constexpr std::array<std::pair<char32_t, char32_t>, 10> ascii_twins{{{full_block, U'#'},
                                                                     {ellipsis, U'~'},
                                                                     {horizontal_line, U'-'},
                                                                     {U'\u00b7', U'-'},    // middle dot
                                                                     {U'\u2192', U'>'},    // arrow right
                                                                     {U'\u2013', U'-'},    // en dash
                                                                     {U'\u2014', U'-'},    // em dash
                                                                     {U'\u2212', U'-'},    // minus
                                                                     {U'\u25cf', U'*'},    // filled circle
                                                                     {U'\u25cb', U'o'}}};  // hollow circle

// Takes one code point off the front; nothing for a byte that is not UTF-8 (which is taken off too).
std::optional<char32_t> take_code_point(std::string_view& text) {
    const auto first = static_cast<unsigned char>(text.front());
    text.remove_prefix(1);
    if (first < 0x80) {
        return first;
    }
    const int extra = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : 1;
    if (first < 0xc2 || first > 0xf4 || text.size() < static_cast<std::size_t>(extra)) {
        return std::nullopt;
    }
    char32_t point = first & (0x3fU >> static_cast<unsigned>(extra));
    for (int i = 0; i < extra; ++i) {
        const auto next = static_cast<unsigned char>(text[static_cast<std::size_t>(i)]);
        if ((next & 0xc0U) != 0x80) {
            return std::nullopt;
        }
        point = (point << 6U) | (next & 0x3fU);
    }
    text.remove_prefix(static_cast<std::size_t>(extra));
    return point;
}

// Takes exactly one column on every terminal: Latin, Greek, Cyrillic and the signs, no controls (C0, C1), no
// combining marks, nothing that may be drawn wide.
bool is_one_column(char32_t point) {
    const bool is_text = (point >= 0x20 && point < 0x7f) || (point >= 0xa0 && point < 0x300 && point != 0xad) ||
                         (point >= 0x370 && point < 0x483) || (point >= 0x48a && point < 0x590);
    const bool is_sign = (point >= 0x2010 && point < 0x2028) || (point >= 0x2030 && point < 0x205f) ||
                         (point >= 0x20a0 && point < 0x20d0) || (point >= 0x2100 && point < 0x231a) ||
                         (point >= 0x2500 && point < 0x25fd);
    return is_text || is_sign;
}

std::u32string decoded(std::string_view text) {
    std::u32string points;
    while (!text.empty()) {
        const auto point = take_code_point(text).value_or(U'?');
        points.push_back(is_one_column(point) ? point : U'?');
    }
    return points;
}

void append_utf8(std::string& out, char32_t point) {
    const auto byte = [&out](char32_t value) { out.push_back(static_cast<char>(value)); };
    if (point < 0x80) {
        byte(point);
    } else if (point < 0x800) {
        byte(0xc0U | (point >> 6U));
        byte(0x80U | (point & 0x3fU));
    } else {
        byte(0xe0U | (point >> 12U));
        byte(0x80U | ((point >> 6U) & 0x3fU));
        byte(0x80U | (point & 0x3fU));
    }
}

const char* escape(Style style) {
    switch (style) {
        case Style::plain:
            return "\x1b[0m";
        case Style::bold:
            return "\x1b[0;1m";
        case Style::dim:
            return "\x1b[0;2m";
        case Style::title:
            return "\x1b[0;1;7m";
        case Style::green:
            return "\x1b[0;32m";
        case Style::yellow:
            return "\x1b[0;33m";
        case Style::red:
            return "\x1b[0;1;31m";
        case Style::cyan:
            return "\x1b[0;36m";
        case Style::blue:
            return "\x1b[0;34m";
        case Style::magenta:
            return "\x1b[0;35m";
    }
    return "";
}

}  // namespace

Canvas::Canvas(const Look& look)
    : look_(look), cells_(static_cast<std::size_t>(look.width) * static_cast<std::size_t>(look.height)) {}

Canvas::Cell* Canvas::at(int row, int column) {
    if (row < 0 || row >= look_.height || column < 0 || column >= look_.width) {
        return nullptr;
    }
    return &cells_[static_cast<std::size_t>(row) * static_cast<std::size_t>(look_.width) +
                   static_cast<std::size_t>(column)];
}

char32_t Canvas::drawable(char32_t glyph) const {
    if (look_.utf8 || glyph < 0x80) {
        return glyph;
    }
    const auto* twin = std::ranges::find(ascii_twins, glyph, &std::pair<char32_t, char32_t>::first);
    return twin == ascii_twins.end() ? U'?' : twin->second;
}

int Canvas::put(int row, int column, std::string_view text, Style style, int room) {
    auto points = decoded(text);
    const auto limit = static_cast<std::size_t>(std::max(0, std::min(room, look_.width - column)));
    if (points.size() > limit) {
        points.resize(limit);
        if (!points.empty()) {
            points.back() = ellipsis;
        }
    }
    for (const char32_t point : points) {
        if (Cell* cell = at(row, column)) {
            *cell = {drawable(point), style};
        }
        ++column;
    }
    return column;
}

void Canvas::bar(int row, int column, double cells, Style style) {
    constexpr int eighths_a_cell = 8;
    int eighths = static_cast<int>(std::lround(std::max(0.0, cells) * eighths_a_cell));
    for (; eighths > 0; eighths -= eighths_a_cell, ++column) {
        Cell* cell = at(row, column);
        if (cell == nullptr) {
            return;
        }
        if (eighths >= eighths_a_cell) {
            *cell = {drawable(full_block), style};
        } else if (look_.utf8) {
            *cell = {static_cast<char32_t>(full_block + static_cast<char32_t>(eighths_a_cell - eighths)), style};
        } else if (eighths >= eighths_a_cell / 2) {
            *cell = {U'#', style};
        }
    }
}

void Canvas::rule(int row) {
    for (int column = 0; column < look_.width; ++column) {
        if (Cell* cell = at(row, column)) {
            *cell = {drawable(horizontal_line), Style::dim};
        }
    }
}

void Canvas::fill(int row, Style style) {
    for (int column = 0; column < look_.width; ++column) {
        if (Cell* cell = at(row, column)) {
            cell->style = style;
        }
    }
}

std::string Canvas::row_text(int row) const {
    const auto begin = cells_.begin() + static_cast<std::ptrdiff_t>(row) * look_.width;
    auto end = begin + look_.width;
    while (end != begin && (end - 1)->glyph == U' ' && (!look_.colour || (end - 1)->style == Style::plain)) {
        --end;
    }
    std::string out;
    auto current = Style::plain;
    for (auto cell = begin; cell != end; ++cell) {
        // The style of a blank does not show, but for the inverted title.
        const bool shows = cell->glyph != U' ' || cell->style == Style::title || current == Style::title;
        if (look_.colour && cell->style != current && shows) {
            current = cell->style;
            out += escape(current);
        }
        append_utf8(out, cell->glyph);
    }
    return current == Style::plain ? out : out + escape(Style::plain);
}

std::string Canvas::text() const {
    std::string out;
    for (int row = 0; row < look_.height; ++row) {
        out.append(row == 0 ? "" : "\n").append(row_text(row));
    }
    return out;
}

int columns(std::string_view text) { return static_cast<int>(decoded(text).size()); }

std::vector<std::string> wrapped(std::string_view text, int width) {
    std::vector<std::string> lines{""};
    while (!text.empty()) {
        const auto word = text.substr(0, text.find(' '));
        text.remove_prefix(std::min(text.size(), word.size() + 1));
        const int gap = lines.back().empty() ? 0 : 1;
        if (gap == 1 && columns(lines.back()) + gap + columns(word) > width) {
            lines.emplace_back(word);
        } else {
            lines.back().append(gap == 1 ? " " : "").append(word);
        }
    }
    return lines;
}

}  // namespace live_view
