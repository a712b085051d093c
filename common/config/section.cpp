#include "config/section.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <list>
#include <sstream>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <yaml-cpp/yaml.h>

#include "storage/atomic_file.hpp"

namespace config {

namespace {

// yaml-cpp reads 010 as 8 and accepts .nan, and as<T>(fallback) hides malformed values; so numbers are parsed here.
template <class Number>
std::optional<Number> parse_number(const YAML::Node& value) {
    if (!value.IsScalar()) {
        return std::nullopt;
    }
    const std::string& text = value.Scalar();
    Number number{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    const bool whole_text_used = end == text.data() + text.size();
    return error == std::errc{} && whole_text_used ? std::optional(number) : std::nullopt;
}

// Short and printable, whatever is in the file.
std::string excerpt(const std::string& text) {
    constexpr std::size_t longest = 60;
    std::string result;
    for (const char c : text.substr(0, longest)) {
        const auto byte = static_cast<unsigned char>(c);
        result += byte < 0x20 || byte == 0x7f ? fmt::format("\\x{:02x}", byte) : std::string(1, c);
    }
    return text.size() > longest ? result + "…" : result;
}

std::string shown(const YAML::Node& value) {
    if (value.IsScalar()) {
        return fmt::format("\"{}\"", excerpt(value.Scalar()));
    }
    if (value.IsMap()) {
        return "a mapping";
    }
    return value.IsSequence() ? "a list" : "nothing";
}

std::string without_trailing_newline(std::string text) {
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) {
        text.pop_back();
    }
    return text;
}

// yaml-cpp would read the first and drop the rest without a word. (Its LoadAll never ends on some broken files.) A line
// of three dashes separates documents wherever it stands.
void refuse_second_document(const std::string& text, const std::string& file_name) {
    std::istringstream lines(text);
    bool begun = false;
    int number = 1;
    for (std::string line; std::getline(lines, line); ++number) {
        const bool separator = line.starts_with("---") && (line.size() == 3 || line.find_first_of(" \t\r") == 3);
        if (separator && begun) {
            throw ConfigError(fmt::format("{}:{}:1: a second YAML document, expected one", file_name, number));
        }
        const auto first = line.find_first_not_of(" \t\r");
        begun = begun || separator || (first != std::string::npos && line[first] != '#' && line[first] != '%');
    }
}

void apply_override(const YAML::Node& root, const std::string& assignment) {
    const auto equals = assignment.find('=');
    if (equals == std::string::npos || equals == 0) {
        throw ConfigError(fmt::format("--set {}: expected path.to.key=value", assignment));
    }
    std::string path = assignment.substr(0, equals);
    YAML::Node node = root;
    for (auto dot = path.find('.'); dot != std::string::npos; dot = path.find('.')) {
        YAML::Node next = node[path.substr(0, dot)];
        if (next.IsDefined() && !next.IsMap()) {
            throw ConfigError(fmt::format("--set {}: {} is not a mapping", assignment, path.substr(0, dot)));
        }
        node.reset(next);
        path.erase(0, dot + 1);
    }
    node[path] = assignment.substr(equals + 1);
}

// In place, so that every node keeps its line number for messages.
void rewrite_scalars(YAML::Node node, const std::function<std::string(const std::string&)>& rewrite) {
    if (node.IsScalar()) {
        const std::string replaced = rewrite(node.Scalar());
        if (replaced != node.Scalar()) {
            node = replaced;
        }
    } else if (node.IsSequence()) {
        for (const YAML::Node& item : node) {
            rewrite_scalars(item, rewrite);
        }
    } else if (node.IsMap()) {
        for (const auto& entry : node) {
            rewrite_scalars(entry.second, rewrite);
        }
    }
}

}  // namespace

struct Section::Context {
    std::string file_name;
    std::shared_ptr<std::vector<std::string>> problems;
};

struct Section::Content {
    YAML::Node node;
    std::string path;
    YAML::Mark mark;  // where to point when the node itself is missing
    std::set<std::string> asked;
    std::list<YAML::Node> handed_out;  // keeps what `find` points to alive; a list, because pointers must stay
};

Section::Section(std::shared_ptr<const Context> context, std::unique_ptr<Content> content)
    : context_(std::move(context)), content_(std::move(content)) {}

// Through a const Node: the non-const operator[] would turn a list into a mapping.
const YAML::Node* Section::find(const std::string& key) const {
    content_->asked.insert(key);
    const YAML::Node& node = content_->node;
    if (!node.IsMap()) {
        return nullptr;
    }
    const YAML::Node value = node[key];
    if (!value.IsDefined()) {
        return nullptr;
    }
    return &content_->handed_out.emplace_back(value);
}

const YAML::Node* Section::require(const std::string& key) const {
    const YAML::Node* value = find(key);
    if (value == nullptr) {
        report(key, "missing");
    }
    return value;
}

// The place of the key, not of the value: yaml-cpp places an empty value on the line after it.
YAML::Mark Section::mark_of(const std::string& key) const {
    if (content_->node.IsMap()) {
        for (const auto& entry : content_->node) {
            if (entry.first.IsScalar() && entry.first.Scalar() == key) {
                return entry.first.Mark();
            }
        }
    }
    return content_->mark;
}

void Section::report(const std::string& key, const std::string& problem) const {
    report_at(mark_of(key), key, problem);
}

void Section::report_at(const YAML::Mark& mark, const std::string& key, const std::string& problem) const {
    // What --set put in has no place in the file.
    const std::string place =
        mark.is_null() ? "--set" : fmt::format("{}:{}:{}:", context_->file_name, mark.line + 1, mark.column + 1);
    context_->problems->push_back(fmt::format("{} {}{}: {}", place, content_->path, excerpt(key), problem));
}

template <class Number>
Number Section::checked(const YAML::Node& value, const std::string& key, Number min, Number max) const {
    const auto number = parse_number<Number>(value);
    if (!number) {
        const char* kind = std::is_integral_v<Number> ? "a whole number" : "a number";
        report(key, fmt::format("expected {} from {} to {}, got {}", kind, min, max, shown(value)));
        return min;
    }
    if (!(*number >= min && *number <= max)) {
        report(key, fmt::format("{} is outside {} to {}", *number, min, max));
        return min;
    }
    return *number;
}

double Section::number(const std::string& key, double min, double max) const {
    const auto* value = require(key);
    return value != nullptr ? checked(*value, key, min, max) : min;
}

double Section::number_or(const std::string& key, double fallback, double min, double max) const {
    return optional_number(key, min, max).value_or(fallback);
}

std::optional<double> Section::optional_number(const std::string& key, double min, double max) const {
    const auto* value = find(key);
    return value != nullptr ? std::optional(checked(*value, key, min, max)) : std::nullopt;
}

int Section::integer(const std::string& key, int min, int max) const {
    const auto* value = require(key);
    return value != nullptr ? checked(*value, key, min, max) : min;
}

int Section::integer_or(const std::string& key, int fallback, int min, int max) const {
    const auto* value = find(key);
    return value != nullptr ? checked(*value, key, min, max) : fallback;
}

bool Section::flag_or(const std::string& key, bool fallback) const {
    const auto* value = find(key);
    if (value == nullptr) {
        return fallback;
    }
    if (value->IsScalar() && (value->Scalar() == "true" || value->Scalar() == "false")) {
        return value->Scalar() == "true";
    }
    report(key, fmt::format("expected true or false, got {}", shown(*value)));
    return fallback;
}

std::string Section::text(const std::string& key) const {
    const auto* value = require(key);
    if (value == nullptr) {
        return {};
    }
    if (!value->IsScalar() || value->Scalar().empty()) {
        report(key, fmt::format("expected text, got {}", shown(*value)));
        return {};
    }
    return value->Scalar();
}

std::string Section::text_or(const std::string& key, const std::string& fallback) const {
    return has(key) ? text(key) : fallback;
}

std::string Section::choice(const std::string& key, const std::vector<std::string>& allowed) const {
    std::string chosen = text(key);
    if (!chosen.empty() && std::ranges::find(allowed, chosen) == allowed.end()) {
        report(key, fmt::format("\"{}\" is not one of {}", excerpt(chosen), fmt::join(allowed, ", ")));
        return allowed.front();
    }
    return chosen.empty() ? allowed.front() : chosen;
}

std::string Section::choice_or(const std::string& key, const std::string& fallback,
                               const std::vector<std::string>& allowed) const {
    return has(key) ? choice(key, allowed) : fallback;
}

std::chrono::milliseconds Section::seconds_or(const std::string& key, double fallback, double min, double max) const {
    constexpr double milliseconds_per_second = 1000;
    return std::chrono::milliseconds(std::llround(number_or(key, fallback, min, max) * milliseconds_per_second));
}

std::vector<std::string> Section::texts_or_none(const std::string& key) const {
    const auto* list = find(key);
    if (list == nullptr) {
        return {};
    }
    if (!list->IsSequence()) {
        report(key, fmt::format("expected a list, got {}", shown(*list)));
        return {};
    }
    std::vector<std::string> result;
    for (const YAML::Node& item : *list) {
        if (!item.IsScalar() || item.Scalar().empty()) {
            report(key, fmt::format("item {}: expected text, got {}", result.size() + 1, shown(item)));
        }
        result.push_back(item.IsScalar() ? item.Scalar() : "");
    }
    return result;
}

std::string Section::secret_file(const std::string& key) const {
    const std::string file_key = key + "_file";
    if (!has(file_key)) {
        return {};
    }
    const std::string file = text(file_key);
    try {
        std::string secret = file.empty() ? "" : without_trailing_newline(read_file(file));
        if (!file.empty() && secret.empty()) {
            report(file_key, fmt::format("{}: is empty", file));
        }
        return secret;
    } catch (const ConfigError& error) {
        report(file_key, error.what());
        return {};
    }
}

bool Section::has(const std::string& key) const { return find(key) != nullptr; }

bool Section::is_list(const std::string& key) const {
    const auto* value = find(key);
    return value != nullptr && value->IsSequence();
}

Section Section::section(const std::string& key) const {
    const auto* value = find(key);
    auto content = std::make_unique<Content>();
    content->path = content_->path + key + ".";
    content->mark = mark_of(key);
    if (value != nullptr && value->IsMap()) {
        content->node.reset(*value);
    } else if (value != nullptr && !value->IsNull()) {
        report(key, fmt::format("expected a mapping, got {}", shown(*value)));
    }
    return {context_, std::move(content)};
}

std::vector<Section> Section::sections(const std::string& key) const {
    const auto* list = find(key);
    if (list == nullptr) {
        return {};
    }
    if (!list->IsSequence()) {
        report(key, fmt::format("expected a list, got {}", shown(*list)));
        return {};
    }
    std::vector<Section> result;
    for (const YAML::Node& item : *list) {
        auto content = std::make_unique<Content>();
        content->path = fmt::format("{}{}[{}].", content_->path, key, result.size());
        content->mark = item.Mark();
        content->node.reset(item);
        if (!item.IsMap()) {
            report(key, fmt::format("item {}: expected a mapping, got {}", result.size() + 1, shown(item)));
            content->node.reset(YAML::Node(YAML::NodeType::Map));
        }
        result.push_back(Section(context_, std::move(content)));
    }
    return result;
}

std::vector<std::string> Section::keys() const {
    std::vector<std::string> result;
    if (content_->node.IsMap()) {
        for (const auto& entry : content_->node) {
            result.push_back(entry.first.IsScalar() ? entry.first.Scalar() : "");
        }
    }
    return result;
}

const YAML::Node& Section::raw(const std::string& key) const {
    const auto* value = find(key);
    return value != nullptr ? *value : content_->handed_out.emplace_back(YAML::NodeType::Undefined);
}

void Section::reject_unknown_keys() const {
    if (!content_->node.IsMap()) {
        return;
    }
    std::set<std::string> seen;
    for (const auto& entry : content_->node) {
        const std::string key = entry.first.IsScalar() ? entry.first.Scalar() : "(not text)";
        if (!seen.insert(key).second) {
            report_at(entry.first.Mark(), key, "given twice");  // yaml-cpp would silently use the first
        } else if (!content_->asked.contains(key)) {
            report_at(entry.first.Mark(), key, "unknown key");
        }
    }
}

Document::Document(const std::string& text, const std::string& file_name, const std::vector<std::string>& overrides,
                   const std::function<std::string(const std::string&)>& rewrite)
    : problems_(std::make_shared<std::vector<std::string>>()) {
    auto content = std::make_unique<Section::Content>();
    try {
        refuse_second_document(text, file_name);
        YAML::Node root = YAML::Load(text);
        if (root.IsNull()) {
            root = YAML::Node(YAML::NodeType::Map);
        }
        if (!root.IsMap()) {
            throw ConfigError(fmt::format("{}:1:1: expected a mapping of keys, got {}", file_name, shown(root)));
        }
        for (const auto& assignment : overrides) {
            apply_override(root, assignment);
        }
        if (rewrite) {
            rewrite_scalars(root, rewrite);
        }
        content->node.reset(root);
        content->mark.line = content->mark.column = 0;
    } catch (const YAML::Exception& error) {
        throw ConfigError(
            fmt::format("{}:{}:{}: {}", file_name, error.mark.line + 1, error.mark.column + 1, error.msg));
    }
    auto context = std::make_shared<const Section::Context>(Section::Context{file_name, problems_});
    root_.reset(new Section(std::move(context), std::move(content)));
}

void Document::finish() const {
    root_->reject_unknown_keys();
    throw_problems();
}

void Document::throw_problems() const {
    if (!problems_->empty()) {
        throw ConfigError(fmt::format("{}", fmt::join(*problems_, "\n")));
    }
}

std::string read_file(const std::filesystem::path& file) {
    constexpr std::size_t max_bytes = 1024UL * 1024;
    try {
        if (auto text = storage::read_if_present(file, max_bytes)) {
            return *std::move(text);
        }
    } catch (const storage::StorageError& error) {
        throw ConfigError(error.what());
    }
    throw ConfigError(fmt::format("{}: cannot read: no such file", file.string()));
}

}  // namespace config
