#include "service/command_value.hpp"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "service/service_host.hpp"

namespace service {

namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }
bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

}  // namespace

std::string normalised(std::string_view payload) {
    const auto first = std::ranges::find_if_not(payload, is_space);
    const auto last = std::find_if_not(payload.rbegin(), std::make_reverse_iterator(first), is_space).base();
    std::string text(first, last);
    std::ranges::transform(text, text.begin(), lower);
    return text;
}

bool parse_on_off(std::string_view payload) {
    const std::string text = normalised(payload);
    if (text == "on" || text == "true" || text == "1") {
        return true;
    }
    if (text == "off" || text == "false" || text == "0") {
        return false;
    }
    throw Rejected("neither on nor off", "on, off, true, false, 1 or 0");
}

double parse_number(std::string_view payload, contract::Range allowed, std::string_view unit) {
    std::string text = normalised(payload);
    const std::string wanted_unit = normalised(unit);
    const std::string expected =
        fmt::format("a number from {:g} to {:g}{}{}", allowed.min, allowed.max, unit.empty() ? "" : " ", unit);
    if (!wanted_unit.empty() && text.ends_with(wanted_unit)) {
        text = normalised(text.substr(0, text.size() - wanted_unit.size()));
    }
    double value = 0;
    // from_chars knows no plus sign; "+-5" is none of ours.
    const bool has_plus = text.starts_with('+') && !text.starts_with("+-");
    const char* const begin = text.data() + (has_plus ? 1 : 0);
    const char* const end = text.data() + text.size();
    const auto [stopped, error] = std::from_chars(begin, end, value, std::chars_format::fixed);
    const bool is_decimal =
        std::ranges::all_of(text, [](char c) { return (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '+'; });
    if (error != std::errc{} || stopped != end || !is_decimal) {
        throw Rejected("not a number", expected);
    }
    if (!(value >= allowed.min && value <= allowed.max)) {
        throw Rejected(fmt::format("{:g} is outside the allowed range", value), expected);
    }
    return value == 0 ? 0 : value;  // no -0
}

double parse_amps(std::string_view payload, contract::Range allowed) { return parse_number(payload, allowed, "A"); }

std::string parse_choice(std::string_view payload, std::span<const char* const> choices) {
    std::string text = normalised(payload);
    if (std::ranges::find(choices, text) == choices.end()) {
        throw Rejected("unknown word", fmt::format("one of {}", fmt::join(choices, ", ")));
    }
    return text;
}

}  // namespace service
