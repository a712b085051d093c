#pragma once

#include <stdexcept>

#include "policy-engine/facts.hpp"

namespace policy_engine {

/// A condition that cannot be read. what() names the part and what was expected.
class BadCondition : public std::runtime_error {
    using std::runtime_error::runtime_error;
};

enum class Relation { less, at_most, more, at_least, equal, unequal };

/// A number, a word, or a fact.
using Operand = std::variant<double, std::string, Fact>;

/// `time.hour >= 6`. Not met while a fact in it is unknown, whatever the relation. Words compare with `==` and `!=`.
struct Comparison {
    Operand left;
    Relation relation = Relation::equal;
    Operand right;
    bool operator==(const Comparison&) const = default;
};

/// Comparisons under `all`, `any` and `none`, nested as one likes. No parts under `all`: always met.
struct Condition {
    enum class Kind { comparison, all, any, none };
    Kind kind = Kind::all;
    Comparison comparison;         ///< Of kind comparison.
    std::vector<Condition> parts;  ///< Of the others.
    bool operator==(const Condition&) const = default;
};

/// A fact's name, a number, `true`, `false`, or else a word. Throws BadCondition for a name with a dot that is no fact.
Operand parse_operand(std::string_view text);

/// `<fact or value> <relation> <fact or value>`; relations `< <= > >= == !=` or `lt lte gt gte eq ne`. Throws
/// BadCondition.
Condition parse_comparison(std::string_view text);

bool is_met(const Condition& condition, const Circumstances& circumstances);

/// The number an operand stands for now; none: unknown, or a word.
std::optional<double> number_of(const Operand& operand, const Circumstances& circumstances);

/// Why it is not met, for people: the first part that fails, with its values. Empty when it is met.
std::string why_not(const Condition& condition, const Circumstances& circumstances);

}  // namespace policy_engine
