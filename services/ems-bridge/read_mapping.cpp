#include <algorithm>
#include <array>
#include <charconv>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <yaml-cpp/yaml.h>

#include "ems-bridge/mapping.hpp"

namespace ems_bridge::mapping {

namespace {

using nlohmann::json;
using Kind = Expression::Kind;

constexpr double any = 1e12;
constexpr int last_address = 65535;

// The key that says what kind of expression a mapping is.
constexpr std::array<std::pair<const char*, Kind>, 9> kinds{{{"sel", Kind::select},
                                                             {"each", Kind::each},
                                                             {"reg", Kind::reg},
                                                             {"sunspec", Kind::sunspec},
                                                             {"value", Kind::constant},
                                                             {"sum", Kind::sum},
                                                             {"mul", Kind::product},
                                                             {"div", Kind::quotient},
                                                             {"first", Kind::first}}};

Expression read_expression(const config::Section& section, int depth);

Kind kind_of(const config::Section& section) {
    std::vector<std::string> given;
    Kind kind = Kind::pointer;
    for (const auto& [key, meaning] : kinds) {
        if (section.has(key)) {
            given.emplace_back(key);
            kind = meaning;
        }
    }
    if (given.size() > 1) {
        section.report(given.back(), fmt::format("{} exclude each other", fmt::join(given, ", ")));
    }
    return kind;
}

int read_address(const config::Section& section, const std::string& key) {
    const std::string text = section.text_or(key, "");
    int address = 0;
    const bool is_hex = text.starts_with("0x");
    constexpr int hexadecimal = 16;
    constexpr int decimal = 10;
    const char* const begin = text.data() + (is_hex ? 2 : 0);
    const char* const end = text.data() + text.size();
    const auto [stopped, error] = std::from_chars(begin, end, address, is_hex ? hexadecimal : decimal);
    if (error != std::errc{} || stopped != end || address < 0 || address > last_address) {
        section.report(key, fmt::format("\"{}\" is not a register address from 0 to {}", text, last_address));
        return 0;
    }
    return address;
}

std::vector<Match> read_matches(const config::Section& section, const std::string& document) {
    std::vector<Match> result;
    for (const auto& key : section.keys()) {
        const std::string pointer = key.starts_with('/') ? key : "/" + key;
        try {
            result.push_back(
                {.document = document, .pointer = json::json_pointer(pointer), .expected = section.text(key)});
        } catch (const json::exception&) {
            section.report(key, "not a JSON pointer");
        }
    }
    return result;
}

void read_registers(const config::Section& section, Expression& expression) {
    expression.address = read_address(section, "reg");
    const auto type = register_type(section.text("type"));
    if (!type) {
        section.report("type", "not one of u16, i16, u32, i32, u64, acc32, f32, u32s, i32s, u64s, f32s");
    }
    expression.type = type.value_or(RegisterType::u16);
    if (section.has("sf")) {
        expression.scale_address = read_address(section, "sf");
    }
    for (const auto& text : section.texts_or_none("nan")) {
        try {
            expression.not_available.push_back(number_in(text).value_or(0));
        } catch (const MappingError& error) {
            section.report("nan", error.what());
        }
    }
}

void read_leaf(const config::Section& section, Expression& expression) {
    switch (expression.kind) {
        case Kind::select:
            expression.list = read_pointer(section, "sel");
            expression.where = read_matches(section.section("where"), "");
            break;
        case Kind::each:
            expression.list = read_pointer(section, "each");
            break;
        case Kind::reg:
            read_registers(section, expression);
            break;
        case Kind::sunspec: {
            const auto point = sunspec::parse_point(section.text("sunspec"));
            if (!point) {
                section.report("sunspec", "not a known model:point");
            }
            expression.point = point.value_or(sunspec::Point{});
            break;
        }
        case Kind::constant:
            expression.constant = section.number("value", -any, any);
            break;
        default:
            break;
    }
}

void read_items(const config::Section& section, Expression& expression, int depth) {
    constexpr int deepest = 8;
    for (const auto& [key, kind] : kinds) {
        const bool has_items =
            kind == Kind::sum || kind == Kind::product || kind == Kind::quotient || kind == Kind::first;
        if (kind != expression.kind || !has_items) {
            continue;
        }
        if (depth >= deepest) {
            section.report(key, "nested too deeply");
            return;
        }
        for (const auto& item : section.sections(key)) {
            expression.items.push_back(read_expression(item, depth + 1));
        }
        if (expression.items.empty()) {
            section.report(key, "expected a list of at least one value");
        }
    }
}

void read_shape(const config::Section& section, Expression& expression) {
    expression.scale = section.number_or("scale", 1, -any, any);
    if (section.flag_or("invert", false)) {
        expression.scale = -expression.scale;
    }
    expression.offset = section.number_or("offset", 0, -any, any);
    expression.min = section.optional_number("min", -any, any);
    expression.max = section.optional_number("max", -any, any);
    if (section.flag_or("max0", false)) {
        expression.min = 0;
    }
    if (section.has("or")) {
        expression.may_be_missing = true;
        const bool is_null = section.raw("or").IsNull();
        expression.fallback = is_null ? std::nullopt : section.optional_number("or", -any, any);
    }
    if (section.has("unit_ptr")) {
        expression.unit_pointer = read_pointer(section, "unit_ptr");
    }
    expression.only_if = read_matches(section.section("only_if"), expression.document);
}

Expression read_expression(const config::Section& section, int depth) {
    Expression expression;
    expression.kind = kind_of(section);
    expression.document = section.text_or("doc", "");
    section.has("if");  // decided by the caller
    if (section.has("ptr")) {
        expression.pointer = read_pointer(section, "ptr");
    }
    read_leaf(section, expression);
    read_items(section, expression, depth);
    read_shape(section, expression);
    section.reject_unknown_keys();
    return expression;
}

std::optional<Quantity> scalar_quantity(const std::string& name) {
    for (const Quantity quantity : all_quantities()) {
        if (name_of(quantity) == name) {
            return quantity;
        }
    }
    return std::nullopt;
}

void read_phases(const config::Section& values, const std::string& key, Quantity first, Mapping& mapping) {
    const auto items = values.sections(key);
    constexpr std::size_t most_phases = 3;
    if (items.empty() || items.size() > most_phases) {
        values.report(key, "expected a list of one to three values, for L1 to L3");
        return;
    }
    for (std::size_t phase = 0; phase < items.size(); ++phase) {
        if (is_wanted(items[phase])) {
            mapping.rules.push_back({.quantity = static_cast<Quantity>(index_of(first) + phase),
                                     .expression = read_expression(items[phase], 0)});
        }
    }
}

void read_rule(const config::Section& values, const std::string& key, Mapping& mapping) {
    if (key == "grid_a") {
        return read_phases(values, key, Quantity::grid_l1_a, mapping);
    }
    if (key == "voltage_v") {
        return read_phases(values, key, Quantity::voltage_l1_v, mapping);
    }
    const auto quantity = scalar_quantity(key);
    if (!quantity) {
        values.has(key);  // one complaint is enough
        values.report(key,
                      "not a quantity: grid_w, pv_w, house_w, battery_w, battery_soc_pct, grid_a, voltage_v, "
                      "import_kwh, export_kwh or pv_kwh");
        return;
    }
    if (values.raw(key).IsScalar()) {
        if (*quantity != Quantity::house_w || values.text(key) != "balance") {
            values.report(key, "expected a mapping; only house_w may be the word balance");
        }
        Expression balance;
        balance.kind = Kind::balance;
        mapping.rules.push_back({*quantity, balance});
        return;
    }
    const auto rule = values.section(key);
    if (is_wanted(rule)) {
        mapping.rules.push_back({*quantity, read_expression(rule, 0)});
    }
}

std::optional<TimeRule> read_time(const config::Section& section) {
    if (!section.has("time")) {
        return std::nullopt;
    }
    const auto time = section.section("time");
    TimeRule rule{.document = time.text_or("doc", ""), .pointer = read_pointer(time, "ptr")};
    const std::string format = time.choice_or("format", "iso8601", {"iso8601", "epoch_s", "epoch_ms"});
    if (format != "iso8601") {
        rule.format = format == "epoch_s" ? TimeRule::Format::epoch_s : TimeRule::Format::epoch_ms;
    }
    time.reject_unknown_keys();
    return rule;
}

}  // namespace

bool is_wanted(const config::Section& section) {
    if (!section.has("if")) {
        return true;
    }
    const YAML::Node& condition = section.raw("if");
    return condition.IsScalar() && !condition.Scalar().empty() && condition.Scalar() != "false";
}

json::json_pointer read_pointer(const config::Section& section, const std::string& key) {
    // An empty pointer, the whole document, is allowed and is not "text".
    const YAML::Node& value = section.raw(key);
    try {
        if (value.IsDefined() && value.IsScalar()) {
            return json::json_pointer(value.Scalar());
        }
        section.report(key, "expected a JSON pointer such as /a/0/b");
    } catch (const json::exception&) {
        section.report(key, fmt::format("\"{}\" is not a JSON pointer such as /a/0/b", value.Scalar()));
    }
    return json::json_pointer();
}

Mapping read_mapping(const config::Section& section) {
    Mapping mapping;
    const auto values = section.section("values");
    for (const auto& key : values.keys()) {
        read_rule(values, key, mapping);
    }
    values.reject_unknown_keys();
    // The balance is made from the others, so it comes last.
    std::stable_partition(mapping.rules.begin(), mapping.rules.end(),
                          [](const Rule& rule) { return rule.expression.kind != Kind::balance; });
    mapping.time = read_time(section);
    if (values.keys().empty()) {
        section.report("values", "names no quantity");
    }
    return mapping;
}

}  // namespace ems_bridge::mapping
