#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "contract/schema.hpp"

/// The scalar payloads of `…/set` topics, as people type them (topics.md rule 4). Surrounding white space and
/// letter case do not matter. Each throws service::Rejected with what was expected.
namespace service {

/// on off true false 1 0 (also JSON booleans).
bool parse_on_off(std::string_view payload);

/// `16`, `16.5`, `16A`, `16 a`; inside `allowed`.
double parse_amps(std::string_view payload, contract::Range allowed = contract::charge_current_a);

/// A decimal number inside `allowed`, optionally followed by one of `unit` ("W", "%"); no `1e3`, hex, inf or nan.
double parse_number(std::string_view payload, contract::Range allowed, std::string_view unit = "");

/// A word of `choices`; returned in lower case.
std::string parse_choice(std::string_view payload, std::span<const char* const> choices);

/// White space off both ends, ASCII lower case.
std::string normalised(std::string_view payload);

}  // namespace service
