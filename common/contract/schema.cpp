#include "contract/schema.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace contract {

namespace {

constexpr std::size_t max_payload_bytes = 256 * 1024;

// Payloads come from anyone: what is quoted back in a log line stays short and printable.
std::string quoted(const nlohmann::json& value) {
    constexpr std::size_t longest = 60;
    std::string text = value.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
    if (text.size() > longest) {
        text = text.substr(0, longest) + "…";
    }
    return text;
}

std::string described(Range range, const char* kind) {
    const Range unlimited;
    if (range.min <= unlimited.min && range.max >= unlimited.max) {
        return kind;
    }
    return fmt::format("{} from {:g} to {:g}", kind, range.min, range.max);
}

}  // namespace

namespace detail {

void refuse(const std::string& path, const nlohmann::json& value, const std::string& expected) {
    throw Invalid(fmt::format("{}: got {}, expected {}", path.empty() ? "payload" : path, quoted(value), expected));
}

void refuse_missing(const std::string& path, const std::string& expected) {
    throw Invalid(fmt::format("{}: missing, expected {}", path, expected));
}

double checked_number(const nlohmann::json& value, Range range, const std::string& path) {
    if (!value.is_number()) {
        refuse(path, value, described(range, "a number"));
    }
    const auto number = value.get<double>();
    if (!(number >= range.min && number <= range.max)) {
        refuse(path, value, described(range, "a number"));
    }
    return number;
}

std::int64_t checked_integer(const nlohmann::json& value, Range range, const std::string& path) {
    const double number = checked_number(value, range, path);
    constexpr double exactly_representable = 9007199254740992.0;  // 2^53
    if (std::floor(number) != number || std::abs(number) > exactly_representable) {
        refuse(path, value, described(range, "a whole number"));
    }
    return static_cast<std::int64_t>(number);
}

std::string checked_text(const nlohmann::json& value, std::span<const char* const> choices, const std::string& path) {
    if (!value.is_string()) {
        refuse(path, value, choices.empty() ? "text" : fmt::format("one of {}", fmt::join(choices, ", ")));
    }
    auto text = value.get<std::string>();
    if (!choices.empty() && std::ranges::find(choices, text) == choices.end()) {
        refuse(path, value, fmt::format("one of {}", fmt::join(choices, ", ")));
    }
    return text;
}

double rounded(double value, int digits) {
    const double scale = std::pow(10.0, digits);
    const double scaled = std::round(value * scale) / scale;
    return scaled == 0 ? 0.0 : scaled;  // no "-0.0"
}

}  // namespace detail

nlohmann::json parse_json(std::string_view text) {
    if (text.size() > max_payload_bytes) {
        throw Invalid(fmt::format("payload: {} bytes, expected at most {}", text.size(), max_payload_bytes));
    }
    try {
        return nlohmann::json::parse(text);
    } catch (const nlohmann::json::exception& error) {
        throw Invalid(fmt::format("payload: not JSON ({})", error.what()));
    }
}

}  // namespace contract
