#include "ems-bridge/mapping.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <functional>

#include <fmt/format.h>

namespace ems_bridge::mapping {

namespace {

using nlohmann::json;
using Kind = Expression::Kind;

std::string_view trimmed(std::string_view text) {
    constexpr std::string_view white = " \t\r\n";
    const auto begin = text.find_first_not_of(white);
    return begin == std::string_view::npos ? std::string_view{}
                                           : text.substr(begin, text.find_last_not_of(white) - begin + 1);
}

bool equal_ignoring_case(std::string_view a, std::string_view b) {
    return std::ranges::equal(a, b, [](char left, char right) {
        return std::tolower(static_cast<unsigned char>(left)) == std::tolower(static_cast<unsigned char>(right));
    });
}

bool means_missing(std::string_view text) {
    constexpr std::array<std::string_view, 8> words{"nan", "null", "undef",   "na",
                                                    "n/a", "none", "unknown", "unavailable"};
    return text.empty() ||
           std::ranges::any_of(words, [&](std::string_view word) { return equal_ignoring_case(text, word); });
}

// Units of power only: volts, amps and percent come unscaled everywhere we know of.
double factor_of(std::string_view unit) {
    constexpr double kilo = 1e3;
    constexpr double mega = 1e6;
    constexpr double milli = 1e-3;
    if (unit == "kW") {
        return kilo;
    }
    if (unit == "MW") {
        return mega;
    }
    return unit == "mW" ? milli : 1;
}

const json* at(const json& document, const json::json_pointer& pointer) {
    try {
        return document.contains(pointer) ? &document.at(pointer) : nullptr;
    } catch (const json::exception&) {
        return nullptr;  // a pointer that takes a list for an object: not there
    }
}

const json* document_of(const Answer& answer, const std::string& name) {
    const auto found = answer.documents.find(name);
    return found == answer.documents.end() ? nullptr : &found->second;
}

std::string shown(const json& value) {
    constexpr std::size_t longest = 60;
    return value.dump(-1, ' ', true, json::error_handler_t::replace).substr(0, longest);
}

std::optional<double> number_of(const json& value) {
    if (value.is_number()) {
        const auto number = value.get<double>();
        return std::isfinite(number) ? std::optional(number) : std::nullopt;
    }
    if (value.is_string()) {
        return number_in(value.get_ref<const std::string&>());
    }
    if (value.is_null() || (value.is_structured() && value.empty())) {
        return std::nullopt;
    }
    throw MappingError(fmt::format("{} is not a number", shown(value)));
}

bool equals_text(const json& value, const std::string& expected) {
    if (value.is_string()) {
        return value.get_ref<const std::string&>() == expected;
    }
    if (value.is_boolean()) {
        return expected == (value.get<bool>() ? "true" : "false");
    }
    if (!value.is_number()) {
        return value.is_null() && expected == "null";
    }
    double number = 0;
    const auto [end, error] = std::from_chars(expected.data(), expected.data() + expected.size(), number);
    return error == std::errc{} && end == expected.data() + expected.size() && value.get<double>() == number;
}

double unit_factor(const Expression& expression, const json& element) {
    if (!expression.unit_pointer) {
        return 1;
    }
    const json* const unit = at(element, *expression.unit_pointer);
    return unit != nullptr && unit->is_string() ? factor_of(unit->get_ref<const std::string&>()) : 1;
}

std::optional<double> number_at(const Expression& expression, const json& element) {
    const json* const value = at(element, expression.pointer);
    const auto number = value == nullptr ? std::nullopt : number_of(*value);
    return number ? std::optional(*number * unit_factor(expression, element)) : std::nullopt;
}

const json* list_of(const Expression& expression, const Answer& answer) {
    const json* const document = document_of(answer, expression.document);
    const json* const list = document == nullptr ? nullptr : at(*document, expression.list);
    return list != nullptr && list->is_array() ? list : nullptr;
}

bool element_matches(const json& element, const std::vector<Match>& where) {
    return std::ranges::all_of(where, [&](const Match& match) {
        const json* const value = at(element, match.pointer);
        return value != nullptr && equals_text(*value, match.expected);
    });
}

std::optional<double> selected(const Expression& expression, const Answer& answer) {
    const json* const list = list_of(expression, answer);
    if (list == nullptr) {
        return std::nullopt;
    }
    const auto found =
        std::ranges::find_if(*list, [&](const json& element) { return element_matches(element, expression.where); });
    return found == list->end() ? std::nullopt : number_at(expression, *found);
}

// A sum with an unknown part is unknown.
std::optional<double> sum_of_elements(const Expression& expression, const Answer& answer) {
    const json* const list = list_of(expression, answer);
    if (list == nullptr || list->empty()) {
        return std::nullopt;
    }
    double sum = 0;
    for (const json& element : *list) {
        const auto part = number_at(expression, element);
        if (!part) {
            return std::nullopt;
        }
        sum += *part;
    }
    return sum;
}

std::optional<double> from_register(const Expression& expression, const Answer& answer) {
    const auto raw = answer.registers.value(expression.address, expression.type);
    if (!raw || std::ranges::find(expression.not_available, *raw) != expression.not_available.end()) {
        return std::nullopt;
    }
    return expression.scale_address
               ? answer.registers.value(expression.address, expression.type, *expression.scale_address)
               : raw;
}

std::optional<double> folded(const Expression& expression, const Answer& answer,
                             const std::function<double(double, double)>& combine) {
    std::optional<double> result;
    for (const auto& item : expression.items) {
        const auto part = evaluate(item, answer);
        if (!part) {
            return std::nullopt;
        }
        result = result ? combine(*result, *part) : *part;
    }
    return result && std::isfinite(*result) ? result : std::nullopt;
}

std::optional<double> first_present(const Expression& expression, const Answer& answer) {
    for (const auto& item : expression.items) {
        if (const auto value = evaluate(item, answer)) {
            return value;
        }
    }
    return std::nullopt;
}

std::optional<double> raw_value(const Expression& expression, const Answer& answer) {
    switch (expression.kind) {
        case Kind::pointer: {
            const json* const document = document_of(answer, expression.document);
            return document == nullptr ? std::nullopt : number_at(expression, *document);
        }
        case Kind::select:
            return selected(expression, answer);
        case Kind::each:
            return sum_of_elements(expression, answer);
        case Kind::reg:
            return from_register(expression, answer);
        case Kind::sunspec:
            return sunspec::value(answer.models, answer.registers, expression.point);
        case Kind::constant:
            return expression.constant;
        case Kind::sum:
            return folded(expression, answer, std::plus<>());
        case Kind::product:
            return folded(expression, answer, std::multiplies<>());
        case Kind::quotient:
            return folded(expression, answer, std::divides<>());
        case Kind::first:
            return first_present(expression, answer);
        case Kind::balance:
            break;  // needs the other quantities: see apply
    }
    return std::nullopt;
}

double shaped(const Expression& expression, double value) {
    value = value * expression.scale + expression.offset;
    value = expression.min ? std::max(value, *expression.min) : value;
    return expression.max ? std::min(value, *expression.max) : value;
}

std::string place_of(const Expression& expression) {
    switch (expression.kind) {
        case Kind::pointer:
            return fmt::format("{}{}", expression.document, expression.pointer.to_string());
        case Kind::select:
        case Kind::each:
            return fmt::format("{}{} … {}", expression.document, expression.list.to_string(),
                               expression.pointer.to_string());
        case Kind::reg:
            return fmt::format("register {}", expression.address);
        case Kind::sunspec:
            return fmt::format("SunSpec {}:{}", expression.point.model, expression.point.name);
        default:
            return "one of its parts";
    }
}

std::optional<double> balance_of(const Reading& reading) {
    if (!reading.pv_w || !reading.grid_w) {
        return std::nullopt;
    }
    return *reading.pv_w + *reading.grid_w + reading.battery_w.value_or(0);
}

std::optional<contract::WallTime> time_of(const TimeRule& rule, const Answer& answer) {
    const json* const document = document_of(answer, rule.document);
    const json* const value = document == nullptr ? nullptr : at(*document, rule.pointer);
    if (value == nullptr) {
        return std::nullopt;
    }
    if (rule.format == TimeRule::Format::iso8601) {
        return value->is_string() ? contract::parse_timestamp(value->get_ref<const std::string&>()) : std::nullopt;
    }
    const auto number = number_of(*value);
    constexpr double latest_s = 1e11;
    constexpr double milliseconds_per_second = 1e3;
    if (!number) {
        return std::nullopt;
    }
    const double seconds = rule.format == TimeRule::Format::epoch_s ? *number : *number / milliseconds_per_second;
    if (!(seconds > 0 && seconds < latest_s)) {
        return std::nullopt;
    }
    return contract::WallTime(std::chrono::duration_cast<contract::WallTime::duration>(
        std::chrono::milliseconds(std::llround(seconds * milliseconds_per_second))));
}

void collect_ranges(const Expression& expression, bool is_required, std::vector<RegisterRange>& ranges) {
    is_required = is_required && !expression.may_be_missing;
    if (expression.kind == Kind::reg) {
        ranges.push_back({expression.address, width_of(expression.type), is_required});
        if (expression.scale_address) {
            ranges.push_back({*expression.scale_address, 1, is_required});
        }
    }
    for (const auto& item : expression.items) {
        collect_ranges(item, is_required && expression.kind != Kind::first, ranges);
    }
}

bool mentions_sunspec(const Expression& expression) {
    return expression.kind == Kind::sunspec || std::ranges::any_of(expression.items, mentions_sunspec);
}

}  // namespace

std::optional<double> number_in(std::string_view text) {
    text = trimmed(text);
    if (means_missing(text)) {
        return std::nullopt;
    }
    const std::string_view digits = text.starts_with('+') ? text.substr(1) : text;
    double number = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    if (error != std::errc{} || !std::isfinite(number)) {
        throw MappingError(fmt::format("{} is not a number", shown(json(std::string(text)))));
    }
    const auto unit = trimmed(digits.substr(static_cast<std::size_t>(end - digits.data())));
    constexpr std::size_t longest_unit = 8;
    const bool is_unit =
        unit.size() <= longest_unit && unit.find_first_of("0123456789.,:;-+") == std::string_view::npos;
    if (!is_unit) {
        throw MappingError(fmt::format("{} is not a number with a unit", shown(json(std::string(text)))));
    }
    return number * factor_of(unit);
}

bool matches(const Match& match, const Answer& answer) {
    const json* const document = document_of(answer, match.document);
    const json* const value = document == nullptr ? nullptr : at(*document, match.pointer);
    return value != nullptr && equals_text(*value, match.expected);
}

std::optional<double> evaluate(const Expression& expression, const Answer& answer) {
    const bool is_valid =
        std::ranges::all_of(expression.only_if, [&](const Match& match) { return matches(match, answer); });
    const auto raw = is_valid ? raw_value(expression, answer) : std::nullopt;
    return raw ? std::optional(shaped(expression, *raw)) : expression.fallback;
}

std::optional<double> evaluate(const Rule& rule, const Answer& answer) {
    std::optional<double> value;
    try {
        value = evaluate(rule.expression, answer);
    } catch (const MappingError& error) {
        throw MappingError(fmt::format("{}: {}", name_of(rule.quantity), error.what()));
    }
    if (!value && !rule.expression.may_be_missing) {
        throw MappingError(fmt::format("{}: nothing at {}", name_of(rule.quantity), place_of(rule.expression)));
    }
    return value;
}

Reading apply(const Mapping& mapping, const Answer& answer) {
    Reading reading;
    for (const auto& rule : mapping.rules) {
        value_of(reading, rule.quantity) =
            rule.expression.kind == Kind::balance ? balance_of(reading) : evaluate(rule, answer);
    }
    if (mapping.time) {
        reading.measured_at = time_of(*mapping.time, answer);
    }
    return reading;
}

std::vector<RegisterRange> register_ranges(const Mapping& mapping) {
    std::vector<RegisterRange> ranges;
    for (const auto& rule : mapping.rules) {
        collect_ranges(rule.expression, true, ranges);
    }
    return ranges;
}

bool uses_sunspec(const Mapping& mapping) {
    return std::ranges::any_of(mapping.rules, [](const Rule& rule) { return mentions_sunspec(rule.expression); });
}

std::set<std::string> documents(const Expression& expression) {
    std::set<std::string> names;
    if (expression.kind == Kind::pointer || expression.kind == Kind::select || expression.kind == Kind::each) {
        names.insert(expression.document);
    }
    for (const auto& match : expression.only_if) {
        names.insert(match.document);
    }
    for (const auto& item : expression.items) {
        names.merge(documents(item));
    }
    return names;
}

std::set<std::string> documents(const Mapping& mapping) {
    std::set<std::string> names;
    for (const auto& rule : mapping.rules) {
        names.merge(documents(rule.expression));
    }
    if (mapping.time) {
        names.insert(mapping.time->document);
    }
    return names;
}

}  // namespace ems_bridge::mapping
