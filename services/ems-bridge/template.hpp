#pragma once

#include <chrono>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "config/section.hpp"
#include "ems-bridge/program.hpp"

namespace ems_bridge {

/// One value the user fills in; `{{id}}` in the template stands for it.
struct TemplateParameter {
    std::string id;
    bool is_required = false;
    std::string fallback;
    bool is_secret = false;  ///< Given as `<id>_file`.
    std::string help;
};

/// A test that a template carries: fixture files by document name (or registers), parameters, expected values.
struct TemplateTest {
    std::map<std::string, std::string> files;  ///< Relative to the template's folder.
    std::map<std::string, std::string> parameters;
    std::map<std::string, std::optional<double>> expected;  ///< By quantity; nullopt: must be unknown.
    std::string expected_error;                             ///< Part of the message; empty: must succeed.
};

/// A device described in YAML, with its parameters not yet filled in.
struct Template {
    std::string name;
    std::filesystem::path file;
    std::string text;
    std::vector<TemplateParameter> parameters;
    std::vector<TemplateTest> tests;
};

/// What a template gives once its parameters are known.
struct Expansion {
    Program program;
    std::chrono::milliseconds interval{};
    std::chrono::milliseconds stale_after{};
};

/// Throws ConfigError when the file is no valid template.
Template load_template(const std::filesystem::path& file);

/// `{{id}}` replaced by the parameters; throws ConfigError. Optional parameters may be left out.
Expansion expand(const Template& device, const std::map<std::string, std::string>& parameters);

/// Templates in folders: `<folder>/<name>.yaml`; earlier folders win.
class TemplateLibrary {
public:
    explicit TemplateLibrary(std::vector<std::filesystem::path> folders) : folders_(std::move(folders)) {}

    /// Throws ConfigError: unknown name, with the known ones, or a bad template.
    Template find(const std::string& name) const;
    std::vector<std::string> names() const;

private:
    std::vector<std::filesystem::path> folders_;
};

/// `../share/twc-mqtt/templates` as seen from the running program: where both the build and the installation put
/// the templates that come with the service.
std::filesystem::path shipped_templates();

}  // namespace ems_bridge
