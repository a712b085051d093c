#include "ems-bridge/config.hpp"

#include <algorithm>
#include <array>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "contract/topics.hpp"
#include "ems-bridge/forecasts/forecast_config.hpp"
#include "ems-bridge/sources/http_source.hpp"
#include "ems-bridge/sources/modbus_source.hpp"
#include "ems-bridge/sources/powerwall.hpp"
#include "ems-bridge/sources/solaredge.hpp"
#include "ems-bridge/sources/sunspec_source.hpp"
#include "ems-bridge/tariffs/tariff_config.hpp"
#include "ems-bridge/template.hpp"

namespace ems_bridge {

namespace {

using std::chrono::milliseconds;

constexpr double shortest_interval_s = 0.2;
constexpr double longest_interval_s = 3600;

// What a type says about a source, before the keys common to all are read.
struct Plan {
    std::variant<MakeSource, Subscribed, Pushed> access;
    Roles roles;  ///< It can fill.
    double interval_s = 5;
    double stale_after_s = 15;
};

Plan plan_solaredge(const config::Section& section) {
    const auto settings = read_solaredge(section);
    Roles roles{Role::pv};
    if (settings.meter > 0) {
        roles.insert({Role::grid, Role::house});
    }
    if (settings.battery) {
        roles.insert(Role::battery);
    }
    return {.access = make_solaredge(settings), .roles = roles};
}

Roles read_roles(const config::Section& section, const Roles& possible, const Roles& usual);

Plan plan_sunspec(const config::Section& section) {
    auto settings = read_sunspec(section);
    const Roles possible{Role::grid, Role::pv, Role::battery};
    if (!section.has("roles")) {
        section.report("roles", "missing: name what this device is: grid, pv or battery");
    }
    settings.roles = read_roles(section, possible, {});
    return {.access = make_sunspec(settings), .roles = possible};
}

Plan plan_powerwall(const config::Section& section) {
    constexpr double stale_after_s = 30;
    return {.access = make_powerwall(read_powerwall(section)),
            .roles = {Role::grid, Role::pv, Role::battery, Role::house},
            .stale_after_s = stale_after_s};
}

Plan plan_http(const config::Section& section) {
    const auto mapping = mapping::read_mapping(section);
    return {.access = make_http_source(read_http(section), mapping), .roles = roles_of(mapping)};
}

Plan plan_mqtt(const config::Section& section) {
    constexpr double stale_after_s = 60;
    auto mapping = mapping::read_mapping(section);
    auto program = read_mqtt(section, mapping);
    const Roles roles = roles_of(mapping);
    return {
        .access = Subscribed{std::move(program), std::move(mapping)}, .roles = roles, .stale_after_s = stale_after_s};
}

Plan plan_push(const config::Section& /*section*/) {
    constexpr double stale_after_s = 60;
    return {.access = Pushed{},
            .roles = {Role::grid, Role::pv, Role::battery, Role::house},
            .stale_after_s = stale_after_s};
}

struct SourceType {
    const char* name;
    Plan (*plan)(const config::Section& section);
};

// A plain table: registration by static objects would be dropped by the linker from a static library.
constexpr std::array source_types{SourceType{"solaredge", &plan_solaredge}, SourceType{"sunspec", &plan_sunspec},
                                  SourceType{"powerwall", &plan_powerwall}, SourceType{"http", &plan_http},
                                  SourceType{"mqtt", &plan_mqtt},           SourceType{"push", &plan_push}};

std::vector<std::string> type_names() {
    std::vector<std::string> names;
    names.reserve(source_types.size());
    for (const auto& type : source_types) {
        names.emplace_back(type.name);
    }
    return names;
}

std::map<std::string, std::string> read_parameters(const config::Section& section, const Template& device) {
    std::map<std::string, std::string> values;
    for (const auto& parameter : device.parameters) {
        const std::string key = parameter.is_secret ? parameter.id + "_file" : parameter.id;
        if (!section.has(key)) {
            if (parameter.is_required) {
                section.report(key, fmt::format("missing ({})", parameter.help));
            }
            continue;
        }
        values[parameter.id] = parameter.is_secret ? section.secret_file(parameter.id) : section.text(key);
    }
    return values;
}

MakeSource make_template_source(Program program) {
    if (auto* const http = std::get_if<HttpProgram>(&program.transport)) {
        return make_http_source(std::move(*http), std::move(program.mapping));
    }
    return make_modbus_source(std::get<ModbusProgram>(std::move(program.transport)), std::move(program.mapping));
}

Plan plan_template(const config::Section& section, const TemplateLibrary& library) {
    Plan plan;
    try {
        const Template device = library.find(section.text("template"));
        auto [program, interval, stale_after] = expand(device, read_parameters(section, device));
        plan.interval_s = std::chrono::duration<double>(interval).count();
        plan.stale_after_s = std::chrono::duration<double>(stale_after).count();
        plan.roles = roles_of(program.mapping);
        if (auto* const mqtt = std::get_if<MqttProgram>(&program.transport)) {
            plan.access = Subscribed{.program = std::move(*mqtt), .mapping = std::move(program.mapping)};
            return plan;
        }
        if (auto* const http = std::get_if<HttpProgram>(&program.transport); http != nullptr && section.has("tls")) {
            http->trust = read_trust(section);
        }
        plan.access = make_template_source(std::move(program));
    } catch (const config::ConfigError& error) {
        section.report("template", error.what());
        plan.access = Pushed{};  // never used: the configuration is refused
    }
    return plan;
}

// `role: grid` or `roles: [grid, pv]`.
Roles read_roles(const config::Section& section, const Roles& possible, const Roles& usual) {
    if (!section.has("roles")) {
        return usual;
    }
    Roles roles;
    for (const auto& name : section.texts_or_none("roles")) {
        const auto role = role_named(name);
        if (!role) {
            section.report("roles", fmt::format("\"{}\" is not one of grid, pv, battery, house", name));
        } else if (!possible.contains(*role)) {
            section.report("roles", fmt::format("this source cannot give {}", name));
        } else {
            roles.insert(*role);
        }
    }
    return roles;
}

Plan read_plan(const config::Section& section, std::string& type, const TemplateLibrary& library) {
    if (section.has("template")) {
        if (section.has("type")) {
            section.report("type", "give either type or template");
        }
        type = section.text("template");
        return plan_template(section, library);
    }
    if (!section.has("type")) {
        section.report("type", fmt::format("missing: {}; or give a template", fmt::join(type_names(), ", ")));
        return {.access = Pushed{}};
    }
    type = section.choice("type", type_names());
    return std::ranges::find(source_types, type, &SourceType::name)->plan(section);
}

SourceConfig read_source(const config::Section& section, const TemplateLibrary& library) {
    SourceConfig source;
    source.member.name = section.text("name");
    if (section.has("name") && !contract::is_valid_id(source.member.name)) {
        section.report("name", fmt::format("\"{}\" is not made of a-z, 0-9, _ and -", source.member.name));
    }
    auto plan = read_plan(section, source.type, library);
    // Data pushed by hand may be any of the four; what is expected is better said than guessed.
    const bool is_push = std::holds_alternative<Pushed>(plan.access);
    source.member.roles = read_roles(section, plan.roles, is_push ? Roles{Role::grid} : plan.roles);
    const bool is_polled = std::holds_alternative<MakeSource>(plan.access);
    Cadence cadence;
    if (is_polled) {
        cadence.interval = section.seconds_or("interval_s", plan.interval_s, shortest_interval_s, longest_interval_s);
        cadence.longest_pause = section.seconds_or("retry_max_s", 15, 1, longest_interval_s);
    }
    const double interval_s = std::chrono::duration<double>(cadence.interval).count();
    constexpr int missed_polls = 3;
    const double usual_stale_s =
        is_polled ? std::max(plan.stale_after_s, missed_polls * interval_s) : plan.stale_after_s;
    source.member.stale_after =
        section.seconds_or("stale_after_s", std::min(usual_stale_s, 2 * longest_interval_s), 1, 2 * longest_interval_s);
    if (is_polled && source.member.stale_after <= cadence.interval) {
        section.report("stale_after_s", "must be longer than interval_s");
    }
    source.member.includes_chargers = section.flag_or("includes_chargers", true);
    source.member.battery_kwh = section.optional_number("battery_kwh", 0.1, 10000);
    if (auto* const make = std::get_if<MakeSource>(&plan.access)) {
        source.access = Polled{.make = std::move(*make), .cadence = cadence};
    } else if (auto* const subscribed = std::get_if<Subscribed>(&plan.access)) {
        source.access = std::move(*subscribed);
    } else {
        source.access = Pushed{};
    }
    section.reject_unknown_keys();
    return source;
}

void read_site(const config::Section& site, Config& config) {
    constexpr double pole_deg = 90;
    constexpr double date_line_deg = 180;
    if (site.has("latitude") || site.has("longitude")) {
        config.place = Place{.latitude_deg = site.number("latitude", -pole_deg, pole_deg),
                             .longitude_deg = site.number("longitude", -date_line_deg, date_line_deg)};
    }
    constexpr double phases = 3;
    constexpr double phase_v = 230;
    constexpr double generous = 3;
    if (const auto fuse_a = site.optional_number("main_fuse_a", 6, 2000)) {
        config.limits.power_w = generous * phases * phase_v * *fuse_a;
    }
    site.reject_unknown_keys();
}

// No source may listen to what the bridge itself says.
void check_topics(const config::Section& section, const SourceConfig& source, const std::string& own_branch) {
    const auto* const subscribed = std::get_if<Subscribed>(&source.access);
    if (subscribed == nullptr) {
        return;
    }
    for (const auto& [name, topic] : subscribed->program.topics) {
        if (topic.starts_with(own_branch)) {
            section.report("topics", fmt::format("{} is the bridge's own branch", topic));
        }
    }
}

// The same name would mean the same topic.
void check_together(const config::Section& root, const std::vector<config::Section>& sections, const Config& config) {
    const std::string own_branch = root.section("mqtt").text_or("base_topic", "twc") + "/ems/";
    std::set<std::string> names;
    int pushes = 0;
    for (std::size_t i = 0; i < config.sources.size(); ++i) {
        const auto& source = config.sources[i];
        if (!names.insert(source.member.name).second) {
            sections[i].report("name", fmt::format("\"{}\" is used twice", source.member.name));
        }
        pushes += source.type == "push" ? 1 : 0;
        if (source.type == "push" && pushes > 1) {
            sections[i].report("type", "there is one set of push topics, so there can be one push source");
        }
        check_topics(sections[i], source, own_branch);
    }
}

}  // namespace

Config read_config(const config::Section& root, const std::filesystem::path& shipped) {
    Config config;
    read_site(root.section("site"), config);
    std::vector<std::filesystem::path> folders;
    if (root.has("templates_folder")) {
        folders.emplace_back(root.text("templates_folder"));
        if (!std::filesystem::is_directory(folders.back())) {
            root.report("templates_folder", fmt::format("\"{}\" is not a folder", folders.back().string()));
        }
    }
    folders.push_back(shipped);
    const TemplateLibrary library(folders);
    const auto sections = root.sections("sources");
    for (const auto& section : sections) {
        config.sources.push_back(read_source(section, library));
    }
    if (config.sources.empty()) {
        root.report("sources", "names no source");
    }
    check_together(root, sections, config);
    config.tariffs = read_tariffs(root.section("tariffs"));
    config.forecasts = read_forecasts(root.section("forecasts"), config.place);
    return config;
}

}  // namespace ems_bridge
