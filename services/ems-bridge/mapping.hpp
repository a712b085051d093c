#pragma once

#include <map>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "config/section.hpp"
#include "ems-bridge/reading.hpp"
#include "ems-bridge/registers.hpp"
#include "ems-bridge/sunspec.hpp"

/// The small language that says how quantities come out of a device's answer (README, "Add a source").
namespace ems_bridge::mapping {

/// A value that must be there is not, or is not a number. what() names the quantity and the place.
class MappingError : public std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// Compares what stands at a JSON pointer with a text, a number, `true` or `false` as written.
struct Match {
    std::string document;
    nlohmann::json::json_pointer pointer;
    std::string expected;
};

/// One number, or how to make one from others.
struct Expression {
    enum class Kind {
        pointer,   ///< `ptr`: at a JSON pointer; the whole document when the pointer is empty.
        select,    ///< `sel`, `where`, `ptr`: in the first element of a list whose fields match.
        each,      ///< `each`, `ptr`: the sum over all elements of a list.
        reg,       ///< `reg`, `type`, `sf`
        sunspec,   ///< `sunspec`
        constant,  ///< `value`
        sum,
        product,
        quotient,
        first,    ///< The first alternative that is present.
        balance,  ///< pv_w + grid_w + battery_w of the same answer (an absent battery counts as none).
    };
    Kind kind = Kind::pointer;
    std::string document;
    nlohmann::json::json_pointer pointer;
    nlohmann::json::json_pointer list;
    std::vector<Match> where;
    int address = 0;
    RegisterType type = RegisterType::u16;
    std::optional<int> scale_address;
    std::vector<double> not_available;  ///< `nan`: further raw values that mean "missing".
    sunspec::Point point;
    double constant = 0;
    std::vector<Expression> items;

    std::vector<Match> only_if;                                ///< Missing unless all match.
    std::optional<nlohmann::json::json_pointer> unit_pointer;  ///< W, kW, MW or mW stands there.
    double scale = 1;
    double offset = 0;  ///< Added after scaling.
    std::optional<double> min;
    std::optional<double> max;
    bool may_be_missing = false;     ///< `or` is given.
    std::optional<double> fallback;  ///< The number after `or`; none after `or: null`.
};

/// A device's answer.
struct Answer {
    std::map<std::string, nlohmann::json> documents;  ///< A body that is no JSON is a JSON string.
    RegisterImage registers;
    std::vector<sunspec::Model> models;
};

struct Rule {
    Quantity quantity{};
    Expression expression;
};

/// Where the device says when it measured.
struct TimeRule {
    std::string document;
    nlohmann::json::json_pointer pointer;
    enum class Format { iso8601, epoch_s, epoch_ms } format = Format::iso8601;
};

/// All that is known from an answer.
struct Mapping {
    std::vector<Rule> rules;
    std::optional<TimeRule> time;
};

/// Reads the mapping `values` (and `time`) of a template or of a source. Problems are reported on the section.
/// A rule with an empty `if` is left out.
Mapping read_mapping(const config::Section& section);

/// None when it is missing and may be. Throws MappingError.
std::optional<double> evaluate(const Expression& expression, const Answer& answer);

/// The same for a rule: throws also when the value is missing and has no `or`. what() names the quantity.
std::optional<double> evaluate(const Rule& rule, const Answer& answer);

/// Applies all rules. Throws MappingError naming the quantity.
Reading apply(const Mapping& mapping, const Answer& answer);

/// Does the JSON value at the pointer equal the text?
bool matches(const Match& match, const Answer& answer);

/// The number a text begins with, in W when the unit W, kW, MW or mW follows it. None for an empty text, NaN, null,
/// NULL, UNDEF, NA, none, unknown and unavailable. Throws MappingError for anything else.
std::optional<double> number_in(std::string_view text);

/// `if: "{{param}}"`: false when the parameter was left out; true without `if`.
bool is_wanted(const config::Section& section);

/// A pointer such as /a/0/b; reported on the section when it is malformed.
nlohmann::json::json_pointer read_pointer(const config::Section& section, const std::string& key);

/// Register ranges the expressions need, as {address, count}.
struct RegisterRange {
    int address = 0;
    int count = 0;
    bool is_required = true;  ///< Some value there has no `or`.
};
std::vector<RegisterRange> register_ranges(const Mapping& mapping);
bool uses_sunspec(const Mapping& mapping);
/// The names of all documents the rules look into.
std::set<std::string> documents(const Mapping& mapping);
std::set<std::string> documents(const Expression& expression);

}  // namespace ems_bridge::mapping
