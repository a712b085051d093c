#include "ems-bridge/template.hpp"

#include <algorithm>
#include <charconv>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <yaml-cpp/yaml.h>

#include "contract/topics.hpp"

namespace ems_bridge {

namespace {

constexpr double default_interval_s = 5;
constexpr double default_stale_polls = 3;
constexpr double shortest_interval_s = 0.2;
constexpr double longest_interval_s = 3600;

std::vector<TemplateParameter> read_parameters(const config::Section& root) {
    std::vector<TemplateParameter> parameters;
    for (const auto& section : root.sections("params")) {
        TemplateParameter parameter{.id = section.text("id"),
                                    .is_required = section.flag_or("required", false),
                                    .fallback = section.text_or("default", ""),
                                    .is_secret = section.flag_or("secret", false),
                                    .help = section.text_or("help", "")};
        if (!contract::is_valid_id(parameter.id)) {
            section.report("id", "expected lower-case letters, digits, _ and -");
        }
        section.reject_unknown_keys();
        parameters.push_back(std::move(parameter));
    }
    return parameters;
}

std::map<std::string, std::string> read_texts(const config::Section& section) {
    std::map<std::string, std::string> texts;
    for (const auto& key : section.keys()) {
        texts[key] = section.text_or(key, "");
    }
    return texts;
}

std::vector<TemplateTest> read_tests(const config::Section& root) {
    constexpr double any = 1e12;
    std::vector<TemplateTest> tests;
    for (const auto& section : root.sections("tests")) {
        TemplateTest test;
        if (section.has("file")) {
            test.files[""] = section.text("file");
        }
        test.files.merge(read_texts(section.section("files")));
        test.parameters = read_texts(section.section("params"));
        test.expected_error = section.text_or("error", "");
        const auto expected = section.section("expect");
        for (const auto& key : expected.keys()) {
            const bool is_null = expected.raw(key).IsNull();
            test.expected[key] = is_null ? std::nullopt : expected.optional_number(key, -any, any);
        }
        expected.reject_unknown_keys();
        section.reject_unknown_keys();
        tests.push_back(std::move(test));
    }
    return tests;
}

// Replaces every {{id}}; what is unknown stays and is found by the reader of the value.
std::string substituted(std::string text, const std::map<std::string, std::string>& parameters) {
    std::size_t from = 0;
    while (true) {
        const auto begin = text.find("{{", from);
        const auto end = begin == std::string::npos ? begin : text.find("}}", begin);
        if (end == std::string::npos) {
            return text;
        }
        const auto found = parameters.find(text.substr(begin + 2, end - begin - 2));
        if (found == parameters.end()) {
            from = end + 2;
            continue;
        }
        text.replace(begin, end + 2 - begin, found->second);
        from = begin + found->second.size();  // what was filled in is not looked at again
    }
}

Program read_program(const config::Section& root) {
    Program program{.mapping = mapping::read_mapping(root)};
    const std::string transport = root.choice("transport", {"http", "modbus-tcp", "mqtt"});
    if (transport == "http") {
        program.transport = read_http(root);
    } else if (transport == "modbus-tcp") {
        program.transport = read_modbus(root, program.mapping);
    } else {
        program.transport = read_mqtt(root, program.mapping);
    }
    return program;
}

}  // namespace

Template load_template(const std::filesystem::path& file) {
    Template device{.name = file.stem().string(), .file = file, .text = config::read_file(file)};
    const config::Document document(device.text, file.string());
    device.parameters = read_parameters(document.root());
    device.tests = read_tests(document.root());
    // The rest is read by `expand`, with the parameters in place; so unknown keys are not an error here.
    return device;
}

Expansion expand(const Template& device, const std::map<std::string, std::string>& parameters) {
    std::map<std::string, std::string> filled;
    for (const auto& parameter : device.parameters) {
        const auto given = parameters.find(parameter.id);
        filled[parameter.id] = given == parameters.end() ? parameter.fallback : given->second;
    }
    const config::Document document(device.text, device.file.string(), {},
                                    [&](const std::string& text) { return substituted(text, filled); });
    const auto& root = document.root();
    read_parameters(root);
    read_tests(root);
    root.text_or("description", "");
    Expansion expansion{.program = read_program(root)};
    expansion.interval = root.seconds_or("interval_s", default_interval_s, shortest_interval_s, longest_interval_s);
    const double default_stale_s = std::chrono::duration<double>(expansion.interval).count() * default_stale_polls;
    expansion.stale_after =
        root.seconds_or("stale_after_s", std::max(default_stale_s, 10.0), 1, 10 * longest_interval_s);
    if (expansion.program.mapping.rules.empty()) {
        root.report("values", "nothing to read: give at least one of the optional parameters");
    }
    document.finish();
    return expansion;
}

Template TemplateLibrary::find(const std::string& name) const {
    if (contract::is_valid_id(name)) {  // keeps paths out
        for (const auto& folder : folders_) {
            const auto file = folder / (name + ".yaml");
            if (std::filesystem::is_regular_file(file)) {
                return load_template(file);
            }
        }
    }
    throw config::ConfigError(fmt::format("unknown template \"{}\"; there are {}", name, fmt::join(names(), ", ")));
}

std::vector<std::string> TemplateLibrary::names() const {
    std::set<std::string> found;
    for (const auto& folder : folders_) {
        std::error_code ignored;  // a folder that is not there has no templates
        for (const auto& entry : std::filesystem::directory_iterator(folder, ignored)) {
            if (entry.path().extension() == ".yaml") {
                found.insert(entry.path().stem().string());
            }
        }
    }
    return {found.begin(), found.end()};
}

std::filesystem::path shipped_templates() {
    std::error_code ignored;
    const auto program = std::filesystem::read_symlink("/proc/self/exe", ignored);
    return program.parent_path().parent_path() / "share/twc-mqtt/templates";
}

}  // namespace ems_bridge
