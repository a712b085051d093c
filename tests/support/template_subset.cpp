#include "support/template_subset.hpp"

#include <algorithm>
#include <cctype>
#include <optional>

namespace support {

namespace {

using nlohmann::json;

/// Nothing: undefined.
using Value = std::optional<json>;

bool is_true(const Value& value) {
    if (!value || value->is_null()) {
        return false;
    }
    if (value->is_boolean()) {
        return value->get<bool>();
    }
    if (value->is_number()) {
        return value->get<double>() != 0;
    }
    return value->is_string() ? !value->get<std::string>().empty() : !value->empty();
}

std::string rendered(const Value& value) {
    if (!value) {
        return "";
    }
    if (value->is_null()) {
        return "None";
    }
    if (value->is_boolean()) {
        return value->get<bool>() ? "True" : "False";
    }
    return value->is_string() ? value->get<std::string>() : value->dump();
}

// The first characters, not bytes, of UTF-8.
std::string beginning(const std::string& text, std::size_t characters) {
    std::size_t seen = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const bool begins_character = (static_cast<unsigned char>(text[i]) & 0xC0U) != 0x80U;
        if (begins_character && seen++ == characters) {
            return text.substr(0, i);
        }
    }
    return text;
}

class Parser {
public:
    Parser(std::string_view text, const json& value_json) : text_(text), value_json_(value_json) {}

    Value whole() {
        Value value = expression();
        if (!rest().empty()) {
            fail("unexpected text");
        }
        return value;
    }

private:
    [[noreturn]] void fail(const std::string& what) {
        throw TemplateError(what + " at \"" + std::string(rest().substr(0, 30)) + "\"");
    }

    std::string_view rest() {
        while (!text_.empty() && text_.front() == ' ') {
            text_.remove_prefix(1);
        }
        return text_;
    }

    bool take(std::string_view token) {
        if (!rest().starts_with(token)) {
            return false;
        }
        text_.remove_prefix(token.size());
        return true;
    }

    static bool is_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

    bool take_word(std::string_view word) {
        const auto left = rest();
        if (!left.starts_with(word) || (left.size() > word.size() && is_word(left[word.size()]))) {
            return false;
        }
        text_.remove_prefix(word.size());
        return true;
    }

    void require(std::string_view token) {
        if (!take(token)) {
            fail("expected " + std::string(token));
        }
    }

    std::string word() {
        rest();
        const auto end = std::ranges::find_if_not(text_, is_word);
        std::string result(text_.begin(), end);
        if (result.empty()) {
            fail("expected a name");
        }
        text_.remove_prefix(result.size());
        return result;
    }

    Value expression() {
        Value value = comparison();
        if (take_word("if")) {
            const Value condition = comparison();
            if (!take_word("else")) {
                fail("expected else");
            }
            Value otherwise = expression();
            return is_true(condition) ? value : otherwise;
        }
        return value;
    }

    Value comparison() {
        Value left = filtered();
        if (take("==")) {
            return json(left == filtered());
        }
        if (take("!=")) {
            return json(left != filtered());
        }
        if (take_word("in")) {
            const Value list = filtered();
            if (!list || !list->is_array()) {
                fail("in: no list");
            }
            return json(left && std::ranges::find(*list, *left) != list->end());
        }
        if (take_word("is")) {
            const bool negated = take_word("not");
            if (!take_word("none")) {
                fail("expected none");
            }
            return json((left && left->is_null()) != negated);
        }
        return left;
    }

    Value filtered() {
        Value value = postfix();
        while (take("|")) {
            if (word() != "default") {
                fail("unknown filter");
            }
            require("(");
            const Value fallback = expression();
            const bool also_false = take(",") && is_true(expression());
            require(")");
            if (!value || (also_false && !is_true(value))) {
                value = fallback;
            }
        }
        return value;
    }

    static Value member(const Value& object, const json& key) {
        if (!object) {
            throw TemplateError("an attribute of something undefined: " + key.dump());
        }
        if (object->is_object() && key.is_string()) {
            const auto found = object->find(key.get<std::string>());
            return found == object->end() ? Value() : Value(*found);
        }
        if (object->is_array() && key.is_number_unsigned() && key.get<std::size_t>() < object->size()) {
            return object->at(key.get<std::size_t>());
        }
        return {};
    }

    Value postfix() {
        Value value = primary();
        while (true) {
            if (take(".")) {
                value = member(value, word());
            } else if (take("[:")) {
                const auto length = number();
                require("]");
                if (!value || !value->is_string()) {
                    throw TemplateError("a slice of what is no text");
                }
                value = beginning(value->get<std::string>(), length.get<std::size_t>());
            } else if (take("[")) {
                const Value key = expression();
                require("]");
                value = member(value, key.value_or(json()));
            } else {
                return value;
            }
        }
    }

    json number() {
        const std::string digits = word();
        const auto parsed = json::parse(digits, nullptr, false);
        if (!parsed.is_number()) {
            fail("expected a number");
        }
        return parsed;
    }

    json list() {
        json items = json::array();
        while (!take("]")) {
            items.push_back(expression().value_or(json()));
            take(",");
        }
        return items;
    }

    Value primary() {
        if (take("(")) {
            Value value = expression();
            require(")");
            return value;
        }
        if (take("{}")) {
            return json::object();
        }
        if (take("[")) {
            return list();
        }
        if (take("'")) {
            const auto end = text_.find('\'');
            std::string content(text_.substr(0, end));
            text_.remove_prefix(std::min(text_.size(), content.size()));
            require("'");
            return json(content);
        }
        if (!rest().empty() && std::isdigit(static_cast<unsigned char>(text_.front())) != 0) {
            return number();
        }
        return name();
    }

    Value name() {
        const std::string named = word();
        if (named == "value_json") {
            return value_json_;
        }
        if (named == "none") {
            return json(nullptr);
        }
        if (named == "true" || named == "false") {
            return json(named == "true");
        }
        fail("unknown name " + named);
    }

    std::string_view text_;
    const json& value_json_;
};

}  // namespace

std::string evaluate_template(std::string_view text, const nlohmann::json& value_json) {
    if (!text.starts_with("{{") || !text.ends_with("}}")) {
        throw TemplateError("not one {{ expression }}: " + std::string(text));
    }
    text.remove_prefix(2);
    text.remove_suffix(2);
    return rendered(Parser(text, value_json).whole());
}

std::string first_key(std::string_view text) {
    constexpr std::string_view root = "value_json.";
    const auto at = text.find(root);
    if (at == std::string_view::npos) {
        return "";
    }
    text.remove_prefix(at + root.size());
    const auto end =
        std::ranges::find_if(text, [](char c) { return std::isalnum(static_cast<unsigned char>(c)) == 0 && c != '_'; });
    return {text.begin(), end};
}

}  // namespace support
