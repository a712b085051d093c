#include "contract/schema.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace contract {

namespace {

constexpr std::size_t max_payload_bytes = 256UL * 1024;
// The library writes and compares JSON by recursion: 100,000 brackets would overflow the stack.
constexpr int max_nesting = 64;

// Payloads come from anyone: what is quoted back in a log line stays short and printable.
std::string excerpt(const nlohmann::json& value) {
    constexpr std::size_t longest = 60;
    std::string text = value.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
    if (text.size() > longest) {
        text = text.substr(0, longest) + "…";
    }
    return text;
}

bool is_nested_too_deep(std::string_view text) {
    int depth = 0;
    bool in_string = false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (in_string) {
            i += c == '\\' ? 1 : 0;
            in_string = c != '"';
        } else if (c == '"') {
            in_string = true;
        } else if (c == '[' || c == '{') {
            if (++depth > max_nesting) {
                return true;
            }
        } else if (c == ']' || c == '}') {
            --depth;
        }
    }
    return false;
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
    throw Invalid(fmt::format("{}: got {}, expected {}", path.empty() ? "payload" : path, excerpt(value), expected));
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

bool checked_flag(const nlohmann::json& value, const std::string& path) {
    if (!value.is_boolean()) {
        refuse(path, value, "true or false");
    }
    return value.get<bool>();
}

WallTime checked_time(const nlohmann::json& value, const std::string& path) {
    const auto time = parse_timestamp(checked_text(value, {}, path));
    if (!time) {
        refuse(path, value, "a time like 2026-01-31T12:00:00+01:00");
    }
    return *time;
}

std::string path_of_key(const std::string& path, const std::string& key) {
    const bool is_plain = !key.empty() && key.size() <= 64 && std::ranges::all_of(key, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
    });
    return is_plain ? path + "." + key : path + "[" + excerpt(nlohmann::json(key)) + "]";
}

double rounded(double value, int digits) {
    const double scale = std::pow(10.0, digits);
    const double scaled = std::round(value * scale) / scale;
    return scaled == 0 ? 0.0 : scaled;  // no "-0.0"
}

}  // namespace detail

std::string valid_utf8(std::string_view text) {
    const bool is_ascii = std::ranges::all_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x80; });
    if (is_ascii) {
        return std::string(text);
    }
    return nlohmann::json::parse(to_text(nlohmann::json(std::string(text)))).get<std::string>();
}

std::string to_text(const nlohmann::json& json) {
    return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

nlohmann::json parse_json(std::string_view text) {
    if (text.size() > max_payload_bytes) {
        throw Invalid(fmt::format("payload: {} bytes, expected at most {}", text.size(), max_payload_bytes));
    }
    if (is_nested_too_deep(text)) {
        throw Invalid(fmt::format("payload: nested deeper than the {} levels allowed", max_nesting));
    }
    try {
        return nlohmann::json::parse(text);
    } catch (const nlohmann::json::parse_error& error) {
        throw Invalid(
            fmt::format("payload: not JSON at byte {} of {}", error.byte, excerpt(nlohmann::json(std::string(text)))));
    } catch (const nlohmann::json::exception&) {
        // A number that no double holds, such as 1e999.
        throw Invalid(
            fmt::format("payload: a number is out of range in {}", excerpt(nlohmann::json(std::string(text)))));
    }
}

}  // namespace contract
