#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "contract/timestamp.hpp"

/// Messages are plain structs; a Schema lists their fields once, and encoding, validation and the flat topics
/// follow from that list. Unknown is `std::nullopt` in C++ and `null` in JSON.
namespace contract {

/// A payload that breaks the contract. what() names the field, its value and what was expected.
class Invalid : public std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// Closed interval a number must lie in. Also keeps NaN and infinity out.
struct Range {
    double min = -1e12;
    double max = 1e12;
};

inline constexpr Range any_power_w{-1e6, 1e6};
inline constexpr Range any_current_a{-1000, 1000};
inline constexpr Range charge_current_a{0, 80};  ///< 80 A is the largest Gen 2 rating (twc-protocol 3.2).
inline constexpr Range any_voltage_v{0, 1000};
inline constexpr Range any_energy_kwh{0, 1e9};
inline constexpr Range percent{0, 100};
inline constexpr Range any_price{-1000, 1000};  ///< Per kWh, in any currency.
inline constexpr Range any_co2_g_kwh{0, 10000};
inline constexpr Range any_duration_s{0, 1e9};
inline constexpr Range not_negative{0, 1e12};

/// The text with whatever is not UTF-8 replaced by U+FFFD: texts of devices and strangers may hold any byte, and
/// `json::dump()` throws on such.
std::string valid_utf8(std::string_view text);

/// Compact JSON text; never throws, whatever bytes the strings hold.
std::string to_text(const nlohmann::json& json);

template <class Message, class Value>
struct Field {
    const char* name;
    Value Message::*member;
    Range allowed{};
    std::span<const char* const> choices{};
    double band = 0;         ///< Smaller changes do not justify a new publication.
    bool is_timing = false;  ///< Changes all the time (ts, age_s): never justifies a new publication.
    int digits = 3;          ///< Decimal places in JSON.

    constexpr Field in(Range range) const {
        return with([&](Field& f) { f.allowed = range; });
    }
    constexpr Field one_of(std::span<const char* const> values) const {
        return with([&](Field& f) { f.choices = values; });
    }
    constexpr Field dead_band(double change) const {
        return with([&](Field& f) { f.band = change; });
    }
    constexpr Field timing() const {
        return with([](Field& f) { f.is_timing = true; });
    }
    constexpr Field decimals(int places) const {
        return with([&](Field& f) { f.digits = places; });
    }

private:
    template <class Change>
    constexpr Field with(Change change) const {
        Field copy = *this;
        change(copy);
        return copy;
    }

public:
    // An aggregate with private members is none; so the constructor is spelt out.
    constexpr Field(const char* field_name, Value Message::*pointer) : name(field_name), member(pointer) {}
};

/// Specialise for each message: `static constexpr auto fields()` returns a tuple of `Field`.
template <class Message>
struct Schema;

template <class T>
concept Described = requires {
    Schema<T>::fields();
};

namespace detail {

[[noreturn]] void refuse(const std::string& path, const nlohmann::json& value, const std::string& expected);
[[noreturn]] void refuse_missing(const std::string& path, const std::string& expected);
double checked_number(const nlohmann::json& value, Range range, const std::string& path);
std::int64_t checked_integer(const nlohmann::json& value, Range range, const std::string& path);
std::string checked_text(const nlohmann::json& value, std::span<const char* const> choices, const std::string& path);
bool checked_flag(const nlohmann::json& value, const std::string& path);
WallTime checked_time(const nlohmann::json& value, const std::string& path);
double rounded(double value, int digits);
/// `path.key`, with a key that could forge a log line quoted.
std::string path_of_key(const std::string& path, const std::string& key);

template <class T>
struct IsOptional : std::false_type {};
template <class T>
struct IsOptional<std::optional<T>> : std::true_type {};
template <class T>
struct IsList : std::false_type {};
template <class T>
struct IsList<std::vector<T>> : std::true_type {};
template <class T, std::size_t N>
struct IsList<std::array<T, N>> : std::true_type {};
template <class T>
struct IsArray : std::false_type {};
template <class T, std::size_t N>
struct IsArray<std::array<T, N>> : std::true_type {};
/// What may be missing or null: unknown as a whole, or as a list of fixed length each item of which may be unknown.
template <class T>
struct MayBeUnknown : IsOptional<T> {};
template <class T, std::size_t N>
struct MayBeUnknown<std::array<T, N>> : IsOptional<T> {};
template <class T>
struct IsMap : std::false_type {};
template <class T>
struct IsMap<std::map<std::string, T>> : std::true_type {};

struct Rules {
    Range allowed;
    std::span<const char* const> choices;
    int digits;
};

template <Described Message>
Message decode_object(const nlohmann::json& json, const std::string& path);
template <Described Message>
nlohmann::json encode_object(const Message& message);

template <class Value>
nlohmann::json encode_value(const Value& value, int digits);
template <class Value>
Value decode_value(const nlohmann::json& json, const Rules& rules, const std::string& path);

template <class List>
nlohmann::json encode_list(const List& values, int digits) {
    auto list = nlohmann::json::array();
    for (const auto& item : values) {
        list.push_back(encode_value(item, digits));
    }
    return list;
}

template <class Map>
nlohmann::json encode_map(const Map& map, int digits) {
    auto object = nlohmann::json::object();
    for (const auto& [key, item] : map) {
        object[valid_utf8(key)] = encode_value(item, digits);
    }
    return object;
}

// One branch a kind of type; only one of them is compiled.
template <class Value>
nlohmann::json encode_value(const Value& value, int digits) {  // NOLINT(readability-function-cognitive-complexity)
    if constexpr (IsOptional<Value>::value) {
        return value ? encode_value(*value, digits) : nlohmann::json(nullptr);
    } else if constexpr (IsList<Value>::value) {
        return encode_list(value, digits);
    } else if constexpr (IsMap<Value>::value) {
        return encode_map(value, digits);
    } else if constexpr (Described<Value>) {
        return encode_object(value);
    } else if constexpr (std::is_same_v<Value, WallTime>) {
        return format_timestamp(value);
    } else if constexpr (std::is_same_v<Value, std::string>) {
        return valid_utf8(value);
    } else if constexpr (std::is_floating_point_v<Value>) {
        return std::isfinite(value) ? nlohmann::json(rounded(value, digits)) : nlohmann::json(nullptr);
    } else {
        return nlohmann::json(value);
    }
}

template <class List>
List decode_list(const nlohmann::json& json, const Rules& rules, const std::string& path) {
    List list{};
    if (MayBeUnknown<List>::value && json.is_null()) {
        return list;
    }
    if (!json.is_array()) {
        refuse(path, json, "a list");
    }
    if constexpr (IsArray<List>::value) {
        if (json.size() != list.size()) {
            refuse(path, json, "a list of " + std::to_string(list.size()));
        }
    } else {
        list.resize(json.size());
    }
    for (std::size_t i = 0; i < json.size(); ++i) {
        list[i] = decode_value<typename List::value_type>(json[i], rules, path + "[" + std::to_string(i) + "]");
    }
    return list;
}

template <class Map>
Map decode_map(const nlohmann::json& json, const Rules& rules, const std::string& path) {
    if (!json.is_object()) {
        refuse(path, json, "an object");
    }
    Map map;
    for (const auto& [key, item] : json.items()) {
        map[key] = decode_value<typename Map::mapped_type>(item, rules, path_of_key(path, key));
    }
    return map;
}

template <class Integer>
Integer decode_integer(const nlohmann::json& json, Range allowed, const std::string& path) {
    constexpr auto lowest = static_cast<double>(std::numeric_limits<Integer>::min());
    constexpr auto highest = static_cast<double>(std::numeric_limits<Integer>::max());
    const Range range{std::max(allowed.min, lowest), std::min(allowed.max, highest)};
    return static_cast<Integer>(checked_integer(json, range, path));
}

// As encode_value. The checks with words of their own are in schema.cpp.
template <class Value>
Value decode_value(const nlohmann::json& json, const Rules& rules,  // NOLINT(readability-function-cognitive-complexity)
                   const std::string& path) {
    if constexpr (IsOptional<Value>::value) {
        return json.is_null() ? Value() : Value(decode_value<typename Value::value_type>(json, rules, path));
    } else if constexpr (IsList<Value>::value) {
        return decode_list<Value>(json, rules, path);
    } else if constexpr (IsMap<Value>::value) {
        return decode_map<Value>(json, rules, path);
    } else if constexpr (Described<Value>) {
        return decode_object<Value>(json, path);
    } else if constexpr (std::is_same_v<Value, WallTime>) {
        return checked_time(json, path);
    } else if constexpr (std::is_same_v<Value, bool>) {
        return checked_flag(json, path);
    } else if constexpr (std::is_floating_point_v<Value>) {
        return checked_number(json, rules.allowed, path);
    } else if constexpr (std::is_integral_v<Value>) {
        return decode_integer<Value>(json, rules.allowed, path);
    } else if constexpr (std::is_same_v<Value, std::string>) {
        return checked_text(json, rules.choices, path);
    } else {
        static_assert(std::is_same_v<Value, nlohmann::json>, "add this type to encode_value and decode_value");
        return json;
    }
}

template <class Message, class Value>
void decode_field(Message& message, const Field<Message, Value>& field, const nlohmann::json& json,
                  const std::string& prefix) {
    const std::string path = prefix.empty() ? field.name : prefix + "." + field.name;
    const auto found = json.find(field.name);
    if (found == json.end()) {
        if constexpr (!MayBeUnknown<Value>::value) {
            refuse_missing(path, "it to be given");
        }
        return;
    }
    message.*(field.member) = decode_value<Value>(*found, {field.allowed, field.choices, field.digits}, path);
}

template <Described Message>
Message decode_object(const nlohmann::json& json, const std::string& path) {
    if (!json.is_object()) {
        refuse(path, json, "an object");
    }
    Message message{};
    std::apply([&](const auto&... field) { (decode_field(message, field, json, path), ...); },
               Schema<Message>::fields());
    return message;
}

template <Described Message>
nlohmann::json encode_object(const Message& message) {
    auto json = nlohmann::json::object();
    std::apply(
        [&](const auto&... field) { ((json[field.name] = encode_value(message.*(field.member), field.digits)), ...); },
        Schema<Message>::fields());
    return json;
}

}  // namespace detail

/// Parses text that came from outside, at most 256 KiB and 64 levels deep; throws Invalid.
nlohmann::json parse_json(std::string_view text);

template <Described Message>
nlohmann::json to_json(const Message& message) {
    return detail::encode_object(message);
}

/// Throws Invalid. Unknown keys are ignored, so that a newer writer may add some.
template <Described Message>
Message from_json(const nlohmann::json& json) {
    return detail::decode_object<Message>(json, "");
}

template <Described Message>
Message from_text(std::string_view text) {
    return from_json<Message>(parse_json(text));
}

/// How the fields of a message behave when published as state.
struct FieldTraits {
    const char* name;
    double dead_band;
    bool is_timing;
};

template <Described Message>
std::vector<FieldTraits> field_traits() {
    return std::apply(
        [](const auto&... field) {
            return std::vector<FieldTraits>{FieldTraits{field.name, field.band, field.is_timing}...};
        },
        Schema<Message>::fields());
}

}  // namespace contract
