#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

namespace support {

/// A template that cannot be evaluated, by us or by Home Assistant.
class TemplateError : public std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// Evaluates the part of Jinja that our own discovery documents use, and renders the result as Home Assistant does
/// (True, False, None): `{{ expression }}` with value_json, literals, attributes, items, slices, the filter default,
/// `a if c else b`, `==`, `!=`, `in`, `is none` and `is not none`. An attribute of something undefined is an error, as
/// it is there.
std::string evaluate_template(std::string_view text, const nlohmann::json& value_json);

/// The keys of value_json that the template names first, such as `power_w`.
std::string first_key(std::string_view text);

}  // namespace support
