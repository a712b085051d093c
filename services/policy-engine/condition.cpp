#include "policy-engine/condition.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace policy_engine {

namespace {

// The names of another program's rules are understood too.
struct RelationName {
    const char* symbol;
    const char* word;
    Relation relation;
};
constexpr std::array<RelationName, 6> relations{{{"<", "lt", Relation::less},
                                                 {"<=", "lte", Relation::at_most},
                                                 {">", "gt", Relation::more},
                                                 {">=", "gte", Relation::at_least},
                                                 {"==", "eq", Relation::equal},
                                                 {"!=", "ne", Relation::unequal}}};

const char* symbol_of(Relation relation) {
    return std::ranges::find(relations, relation, &RelationName::relation)->symbol;
}

std::vector<std::string_view> words_of(std::string_view text) {
    constexpr const char* blank = " \t";
    std::vector<std::string_view> words;
    for (auto begin = text.find_first_not_of(blank); begin != std::string_view::npos;) {
        const auto end = std::min(text.find_first_of(blank, begin), text.size());
        words.push_back(text.substr(begin, end - begin));
        begin = text.find_first_not_of(blank, end);
    }
    return words;
}

Relation parse_relation(std::string_view word) {
    const auto* const found = std::ranges::find_if(
        relations, [&](const RelationName& name) { return word == name.symbol || word == name.word; });
    if (found == relations.end()) {
        throw BadCondition(fmt::format("\"{}\" is not a relation: expected <, <=, >, >=, == or !=", word));
    }
    return found->relation;
}

std::optional<FactValue> value_of(const Operand& operand, const Circumstances& circumstances) {
    if (const auto* fact = std::get_if<Fact>(&operand)) {
        return read_fact(*fact, circumstances);
    }
    if (const auto* number = std::get_if<double>(&operand)) {
        return *number;
    }
    return std::get<std::string>(operand);
}

bool numbers_relate(double left, Relation relation, double right) {
    constexpr double same = 1e-9;
    switch (relation) {
        case Relation::less:
            return left < right;
        case Relation::at_most:
            return left <= right;
        case Relation::more:
            return left > right;
        case Relation::at_least:
            return left >= right;
        case Relation::equal:
            return std::abs(left - right) < same;
        case Relation::unequal:
            break;
    }
    return std::abs(left - right) >= same;
}

bool relate(const FactValue& left, Relation relation, const FactValue& right) {
    const auto* left_number = std::get_if<double>(&left);
    const auto* right_number = std::get_if<double>(&right);
    if (left_number != nullptr && right_number != nullptr) {
        return numbers_relate(*left_number, relation, *right_number);
    }
    return (relation == Relation::equal && left == right) || (relation == Relation::unequal && left != right);
}

bool holds(const Comparison& comparison, const Circumstances& circumstances) {
    const auto left = value_of(comparison.left, circumstances);
    const auto right = value_of(comparison.right, circumstances);
    return left && right && relate(*left, comparison.relation, *right);
}

// About three digits: enough to see why, and they do not change with every sample.
double rounded(double value) {
    const double magnitude = std::abs(value);
    double step = magnitude < 1 ? 0.001 : 0.1;
    while (magnitude / step >= 1000) {
        step *= 10;
    }
    return std::round(value / step) * step;
}

std::string text_of(const FactValue& value) {
    const auto* number = std::get_if<double>(&value);
    return number != nullptr ? fmt::format("{:g}", rounded(*number)) : std::get<std::string>(value);
}

std::string text_of(const Operand& operand) {
    const auto* fact = std::get_if<Fact>(&operand);
    return fact != nullptr
               ? name_of(*fact)
               : text_of(std::holds_alternative<double>(operand) ? FactValue(std::get<double>(operand))
                                                                 : FactValue(std::get<std::string>(operand)));
}

// "time.hour (5.25) >= 6"
std::string with_value(const Operand& operand, const Circumstances& circumstances) {
    std::string text = text_of(operand);
    if (!std::holds_alternative<Fact>(operand)) {
        return text;
    }
    const auto value = value_of(operand, circumstances);
    return fmt::format("{} ({})", text, value ? text_of(*value) : "not known");
}

std::string failed_comparison(const Comparison& comparison, const Circumstances& circumstances) {
    return fmt::format("{} {} {}", with_value(comparison.left, circumstances), symbol_of(comparison.relation),
                       with_value(comparison.right, circumstances));
}

}  // namespace

Operand parse_operand(std::string_view text) {
    if (text == "true" || text == "false") {
        return text == "true" ? 1.0 : 0.0;
    }
    double number = 0;
    const char* const end = text.data() + text.size();
    const auto parsed = std::from_chars(text.data(), end, number);
    if (parsed.ec == std::errc{} && parsed.ptr == end && std::isfinite(number)) {
        return number;
    }
    if (auto fact = fact_named(text)) {
        return *std::move(fact);
    }
    if (text.find('.') != std::string_view::npos) {
        throw BadCondition(
            fmt::format("there is no value \"{}\": expected one of {}", text, fmt::join(fact_names(), ", ")));
    }
    return std::string(text);
}

Condition parse_comparison(std::string_view text) {
    const auto words = words_of(text);
    if (words.size() != 3) {
        throw BadCondition(fmt::format(R"("{}" is not a comparison: expected one like "ems.grid_w < -500")", text));
    }
    Condition condition{.kind = Condition::Kind::comparison,
                        .comparison = {.left = parse_operand(words[0]),
                                       .relation = parse_relation(words[1]),
                                       .right = parse_operand(words[2])},
                        .parts = {}};
    if (!std::holds_alternative<Fact>(condition.comparison.left) &&
        !std::holds_alternative<Fact>(condition.comparison.right)) {
        throw BadCondition(fmt::format("\"{}\" compares nothing that can change: expected one of {}", text,
                                       fmt::join(fact_names(), ", ")));
    }
    return condition;
}

// NOLINTNEXTLINE(misc-no-recursion): as deep as the file nests
bool is_met(const Condition& condition, const Circumstances& circumstances) {
    const auto met = [&](const Condition& part) { return is_met(part, circumstances); };
    switch (condition.kind) {
        case Condition::Kind::comparison:
            return holds(condition.comparison, circumstances);
        case Condition::Kind::all:
            return std::ranges::all_of(condition.parts, met);
        case Condition::Kind::any:
            return std::ranges::any_of(condition.parts, met);
        case Condition::Kind::none:
            break;
    }
    return std::ranges::none_of(condition.parts, met);
}

std::optional<double> number_of(const Operand& operand, const Circumstances& circumstances) {
    const auto value = value_of(operand, circumstances);
    const auto* number = value ? std::get_if<double>(&*value) : nullptr;
    return number != nullptr ? std::optional(*number) : std::nullopt;
}

// NOLINTNEXTLINE(misc-no-recursion): as deep as the file nests
std::string why_not(const Condition& condition, const Circumstances& circumstances) {
    if (is_met(condition, circumstances)) {
        return "";
    }
    if (condition.kind == Condition::Kind::comparison) {
        return "not " + failed_comparison(condition.comparison, circumstances);
    }
    if (condition.kind == Condition::Kind::none) {
        return "one holds that must not";
    }
    std::vector<std::string> reasons;
    for (const auto& part : condition.parts) {
        if (std::string reason = why_not(part, circumstances); !reason.empty()) {
            reasons.push_back(std::move(reason));
            if (condition.kind == Condition::Kind::all) {
                break;
            }
        }
    }
    return reasons.empty() ? "no part holds" : fmt::format("{}", fmt::join(reasons, "; "));
}

}  // namespace policy_engine
