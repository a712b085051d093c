#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

namespace YAML {  // NOLINT(readability-identifier-naming): the library's
class Node;
struct Mark;
}  // namespace YAML

namespace config {

/// what() lists every problem of the file, one `file:line:column: key: problem` a line.
class ConfigError : public std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// One mapping of the YAML file. Getters name the allowed range; a problem is collected and a value inside the
/// range returned, so that one run reports all problems.
class Section {
public:
    double number(const std::string& key, double min, double max) const;
    double number_or(const std::string& key, double fallback, double min, double max) const;
    std::optional<double> optional_number(const std::string& key, double min, double max) const;
    int integer(const std::string& key, int min, int max) const;
    int integer_or(const std::string& key, int fallback, int min, int max) const;
    bool flag_or(const std::string& key, bool fallback) const;
    std::string text(const std::string& key) const;
    std::string text_or(const std::string& key, const std::string& fallback) const;
    std::string choice(const std::string& key, const std::vector<std::string>& allowed) const;
    std::string choice_or(const std::string& key, const std::string& fallback,
                          const std::vector<std::string>& allowed) const;
    std::chrono::milliseconds seconds_or(const std::string& key, double fallback, double min, double max) const;
    std::vector<std::string> texts_or_none(const std::string& key) const;

    /// The secret in the file named by `<key>_file`, without its trailing newline; empty when the key is absent. A file
    /// that is missing, unreadable or empty is a problem.
    std::string secret_file(const std::string& key) const;

    bool has(const std::string& key) const;
    /// For what may be one mapping or a list of them.
    bool is_list(const std::string& key) const;
    /// A missing section is empty: its own getters then report what is missing, with the section's path.
    Section section(const std::string& key) const;
    /// A list of mappings; missing: none.
    std::vector<Section> sections(const std::string& key) const;
    /// The keys of this mapping, in file order: for mappings whose keys the user chooses.
    std::vector<std::string> keys() const;

    /// For a value that is well-formed but wrong in a way only the caller knows.
    void report(const std::string& key, const std::string& problem) const;

    /// Call once every key has been asked for: what is left over is a typing error.
    void reject_unknown_keys() const;

    /// Whole subtree as the caller's own problem (templates); marks it as known.
    const YAML::Node& raw(const std::string& key) const;

private:
    friend class Document;
    struct Context;
    struct Content;

    Section(std::shared_ptr<const Context> context, std::unique_ptr<Content> content);
    const YAML::Node* find(const std::string& key) const;
    const YAML::Node* require(const std::string& key) const;
    YAML::Mark mark_of(const std::string& key) const;
    void report_at(const YAML::Mark& mark, const std::string& key, const std::string& problem) const;
    template <class Number>
    Number checked(const YAML::Node& value, const std::string& key, Number min, Number max) const;

    std::shared_ptr<const Context> context_;
    std::shared_ptr<Content> content_;
};

/// A parsed file and the problems found while it is read.
class Document {
public:
    /// Throws ConfigError when the text is not one YAML document or its root is not a mapping. Each override is
    /// `path.to.key=value` and replaces or adds a scalar.
    /// `rewrite` is applied to every scalar value first, for files with parameters; keys stay as they are.
    Document(const std::string& text, const std::string& file_name, const std::vector<std::string>& overrides = {},
             const std::function<std::string(const std::string&)>& rewrite = {});

    const Section& root() const { return *root_; }
    /// Throws ConfigError listing all problems, unknown keys at the root among them.
    void finish() const;
    /// The same for what was found so far, whatever else the file holds: for a caller that wants only some of it.
    void throw_problems() const;

private:
    std::shared_ptr<std::vector<std::string>> problems_;
    std::unique_ptr<Section> root_;
};

/// Throws ConfigError naming the file and the cause when it cannot be read or is larger than 1 MiB.
std::string read_file(const std::filesystem::path& file);

}  // namespace config
