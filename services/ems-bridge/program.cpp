#include "ems-bridge/program.hpp"

#include <algorithm>
#include <array>
#include <unistd.h>

#include <fmt/format.h>

#include "messaging/message_bus.hpp"

namespace ems_bridge {

namespace {

using mapping::RegisterRange;
using std::chrono::milliseconds;

constexpr std::array<std::pair<Role, const char*>, 4> role_names{
    {{Role::grid, "grid"}, {Role::pv, "pv"}, {Role::battery, "battery"}, {Role::house, "house"}}};

constexpr int last_port = 65535;
constexpr int last_address = 65535;
constexpr int last_unit = 255;

std::string base64(std::string_view text) {
    constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    constexpr unsigned low_six_bits = 0x3F;
    std::string result;
    for (std::size_t i = 0; i < text.size(); i += 3) {
        const auto byte = [&](std::size_t k) {
            return i + k < text.size() ? static_cast<unsigned>(static_cast<unsigned char>(text[i + k])) : 0U;
        };
        const unsigned bits = byte(0) << 16U | byte(1) << 8U | byte(2);
        result += alphabet[bits >> 18U & low_six_bits];
        result += alphabet[bits >> 12U & low_six_bits];
        result += i + 1 < text.size() ? alphabet[bits >> 6U & low_six_bits] : '=';
        result += i + 2 < text.size() ? alphabet[bits & low_six_bits] : '=';
    }
    return result;
}

// A line break in a header would let a value add headers of its own.
std::string header_value(const config::Section& section, const std::string& key, std::string value) {
    if (value.find_first_of("\r\n") != std::string::npos) {
        section.report(key, "contains a line break");
        return {};
    }
    return value;
}

// `auth`: {type: basic or digest, username, password_file}, {type: bearer, token_file} or nothing. Templates give
// secrets as text, already put in place of a parameter that was read from a file.
void add_login(const config::Section& section, http::Request& request) {
    if (!section.has("auth")) {
        return;
    }
    const auto auth = section.section("auth");
    if (!mapping::is_wanted(auth)) {
        return;
    }
    const auto secret = [&](const std::string& key) {
        return header_value(auth, key, auth.has(key) ? auth.text_or(key, "") : auth.secret_file(key));
    };
    const std::string type = auth.choice("type", {"basic", "digest", "bearer"});
    if (type == "bearer") {
        request.headers.emplace_back("Authorization", "Bearer " + secret("token"));
    } else {
        const std::string user = header_value(auth, "username", auth.text("username"));
        if (type == "digest") {
            request.digest = http::DigestLogin{.username = user, .password = secret("password")};
            auth.reject_unknown_keys();
            return;
        }
        request.headers.emplace_back("Authorization", "Basic " + base64(user + ":" + secret("password")));
    }
    auth.reject_unknown_keys();
}

void add_headers(const config::Section& section, http::Request& request) {
    const auto headers = section.section("headers");
    for (const auto& name : headers.keys()) {
        request.headers.emplace_back(name, header_value(headers, name, headers.text(name)));
    }
}

std::vector<mapping::Match> read_ok_when(const config::Section& section, const std::string& document) {
    if (!section.has("ok_when")) {
        return {};
    }
    const auto ok = section.section("ok_when");
    mapping::Match match{
        .document = document, .pointer = mapping::read_pointer(ok, "ptr"), .expected = ok.text("equals")};
    ok.reject_unknown_keys();
    return {match};
}

HttpQuery read_query(const config::Section& section, const std::string& document, const http::Request& shared) {
    HttpQuery query{.document = document, .request = shared};
    query.request.url = section.text("url");
    if (!query.request.url.starts_with("http://") && !query.request.url.starts_with("https://")) {
        section.report("url", "expected http://… or https://…");
    }
    query.request.method = section.choice_or("method", "GET", {"GET", "POST"});
    query.request.body = section.text_or("body", "");
    query.is_json = section.choice_or("format", "json", {"json", "text"}) == "json";
    query.ok_when = read_ok_when(section, document);
    if (section.has("error_text")) {
        query.error_text = mapping::read_pointer(section, "error_text");
    }
    return query;
}

}  // namespace

const char* name_of(Role role) {
    return std::ranges::find(role_names, role, &std::pair<Role, const char*>::first)->second;
}

std::optional<Role> role_named(std::string_view name) {
    const auto* const found = std::ranges::find_if(role_names, [&](const auto& entry) { return entry.second == name; });
    return found == role_names.end() ? std::nullopt : std::optional(found->first);
}

Roles roles_of(const mapping::Mapping& mapping) {
    Roles roles;
    for (const auto& rule : mapping.rules) {
        if (rule.quantity == Quantity::grid_w) {
            roles.insert(Role::grid);
        } else if (rule.quantity == Quantity::pv_w) {
            roles.insert(Role::pv);
        } else if (rule.quantity == Quantity::house_w) {
            roles.insert(Role::house);
        } else if (rule.quantity == Quantity::battery_w) {
            roles.insert(Role::battery);
        }
    }
    return roles;
}

http::TlsTrust read_trust(const config::Section& section) {
    http::TlsTrust trust;
    if (!section.has("tls")) {
        return trust;
    }
    const auto tls = section.section("tls");
    int given = 0;
    if (tls.has("pin")) {
        ++given;
        trust = {.mode = http::TlsTrust::Mode::pinned, .pin = tls.text("pin")};
        constexpr std::size_t pin_length = 52;  // "sha256//" and 44 characters of base64
        if (!trust.pin.starts_with("sha256//") || trust.pin.size() != pin_length) {
            tls.report("pin", "expected sha256// and the base64 of the SHA-256 of the server's public key");
        }
    }
    if (tls.has("ca_file")) {
        ++given;
        trust = {.mode = http::TlsTrust::Mode::ca_file, .ca_file = tls.text("ca_file")};
        if (access(trust.ca_file.c_str(), R_OK) != 0) {
            tls.report("ca_file", fmt::format("\"{}\" cannot be read", trust.ca_file));
        }
    }
    if (tls.flag_or("accept_any", false)) {
        ++given;
        trust = {.mode = http::TlsTrust::Mode::accept_any};
    }
    if (given != 1) {
        section.report("tls", "give exactly one of pin, ca_file and accept_any: true");
    }
    tls.reject_unknown_keys();
    return trust;
}

HttpProgram read_http(const config::Section& section) {
    HttpProgram program{.trust = read_trust(section)};
    http::Request shared;
    shared.timeout = section.seconds_or("timeout_s", 5, 0.1, 60);
    add_login(section, shared);
    add_headers(section, shared);
    if (!section.has("requests")) {
        program.queries.push_back(read_query(section, "", shared));
        return program;
    }
    const auto requests = section.section("requests");
    for (const auto& name : requests.keys()) {
        const auto request = requests.section(name);
        if (mapping::is_wanted(request)) {
            program.queries.push_back(read_query(request, name, shared));
            request.reject_unknown_keys();
        }
    }
    return program;
}

ModbusEndpoint read_endpoint(const config::Section& section, int default_port, double default_reconnect_delay_s) {
    return {.host = section.text("host"),
            .port = section.integer_or("port", default_port, 1, last_port),
            .timeout = section.seconds_or("timeout_s", 3, 0.1, 30),
            .min_gap = section.seconds_or("min_gap_s", 0, 0, 5),
            .connect_delay = section.seconds_or("connect_delay_s", 0, 0, 5),
            .reconnect_delay = section.seconds_or("reconnect_delay_s", default_reconnect_delay_s, 0, 30)};
}

std::vector<RegisterRange> plan_reads(std::vector<RegisterRange> wanted, std::vector<RegisterRange> blocks) {
    const auto covers = [](const RegisterRange& block, const RegisterRange& range) {
        return range.address >= block.address && range.address + range.count <= block.address + block.count;
    };
    for (auto& block : blocks) {
        block.is_required = std::ranges::any_of(
            wanted, [&](const RegisterRange& range) { return range.is_required && covers(block, range); });
    }
    std::erase_if(wanted, [&](const RegisterRange& range) {
        return std::ranges::any_of(blocks, [&](const RegisterRange& block) { return covers(block, range); });
    });
    std::ranges::sort(wanted, {}, &RegisterRange::address);
    for (const auto& range : wanted) {
        if (!blocks.empty()) {
            RegisterRange& last = blocks.back();
            const int end = std::max(last.address + last.count, range.address + range.count);
            const bool touches = range.address >= last.address && range.address <= last.address + last.count;
            if (touches && last.is_required == range.is_required && end - last.address <= max_registers_per_read) {
                last.count = end - last.address;
                continue;
            }
        }
        blocks.push_back(range);
    }
    return blocks;
}

ModbusProgram read_modbus(const config::Section& section, const mapping::Mapping& mapping) {
    constexpr int modbus_port = 502;
    ModbusProgram program{.endpoint = read_endpoint(section, modbus_port)};
    program.unit = section.integer_or("unit", 1, 0, last_unit);
    program.input_registers = section.choice_or("registers", "holding", {"holding", "input"}) == "input";
    std::vector<RegisterRange> blocks;
    for (const auto& block : section.sections("blocks")) {
        blocks.push_back({.address = block.integer("address", 0, last_address),
                          .count = block.integer("count", 1, max_registers_per_read)});
        block.reject_unknown_keys();
    }
    program.ranges = plan_reads(mapping::register_ranges(mapping), std::move(blocks));
    program.walks_sunspec = mapping::uses_sunspec(mapping);
    if (section.has("sunspec_base")) {
        program.sunspec_base = section.integer("sunspec_base", 0, last_address);
    }
    return program;
}

MqttProgram read_mqtt(const config::Section& section, const mapping::Mapping& mapping) {
    MqttProgram program;
    const auto topics = section.section("topics");
    for (const auto& name : topics.keys()) {
        std::string topic = topics.text_or(name, "");
        if (!messaging::is_valid_topic(topic)) {
            topics.report(name, fmt::format("\"{}\" is not a topic without wildcards", topic));
        }
        program.topics.emplace(name, std::move(topic));
    }
    for (const auto& name : mapping::documents(mapping)) {
        if (!program.topics.contains(name)) {
            section.report("values", fmt::format("doc \"{}\" is not one of the topics", name));
        }
    }
    const bool has_balance = std::ranges::any_of(mapping.rules, [](const mapping::Rule& rule) {
        return rule.expression.kind == mapping::Expression::Kind::balance;
    });
    if (has_balance) {
        section.report("values", "house_w: balance needs one answer with all parts; topics arrive one by one");
    }
    program.accept_retained = section.flag_or("accept_retained", false);
    return program;
}

}  // namespace ems_bridge
