#include "twc-bus/config.hpp"

#include <cmath>

#include <fmt/format.h>

#include "twc-bus/rfc2217_link.hpp"
#include "twc-bus/serial_link.hpp"
#include "twc-bus/tcp_link.hpp"

namespace twc_bus {

namespace {

constexpr std::string_view tcp_scheme = "tcp://";
constexpr std::string_view rfc2217_scheme = "rfc2217://";
constexpr double largest_unit_a = 80;
constexpr double largest_wiring_a = 240;

struct HostAndPort {
    std::string host;
    std::string port;
};

// IPv6 addresses in brackets.
std::optional<HostAndPort> split_address(std::string_view address) {
    const auto colon = address.rfind(':');
    if (colon == std::string_view::npos || colon == 0) {
        return std::nullopt;
    }
    std::string host(address.substr(0, colon));
    std::string port(address.substr(colon + 1));
    const bool is_number = !port.empty() && port.find_first_not_of("0123456789") == std::string::npos;
    constexpr std::size_t longest_port = 5;
    if (!is_number || port.size() > longest_port || std::stoi(port) < 1 || std::stoi(port) > 0xFFFF) {
        return std::nullopt;
    }
    if (host.starts_with('[') && host.ends_with(']')) {
        host = host.substr(1, host.size() - 2);
    }
    return HostAndPort{std::move(host), std::move(port)};
}

// The address behind a scheme; none when the port has another one.
std::optional<HostAndPort> address_after(std::string_view scheme, std::string_view port) {
    return port.starts_with(scheme) ? split_address(port.substr(scheme.size())) : std::nullopt;
}

std::string read_port(const config::Section& bus) {
    auto port = bus.text("port");
    if (!port.empty() && !port.starts_with('/') && !address_after(tcp_scheme, port) &&
        !address_after(rfc2217_scheme, port)) {
        bus.report("port", fmt::format("\"{}\" is neither a device path such as /dev/ttyUSB0 nor tcp://host:port nor "
                                       "rfc2217://host:port",
                                       port));
    }
    return port;
}

UnitId read_master_id(const config::Section& bus) {
    const auto text = bus.text_or("master_id", "7777");
    const auto id = unit_id_from_text(text);
    if (!id || !is_plain(*id)) {
        bus.report("master_id", fmt::format("\"{}\" must be four hexadecimal digits in quotes, not 0000 or FFFF and "
                                            "without the bytes C0 and DB, which the bus escapes",
                                            text));
        return 0x7777;
    }
    return *id;
}

LineConfig read_line(const config::Section& bus, std::string name) {
    LineConfig line{.name = std::move(name),
                    .port = read_port(bus),
                    .role = read_role(bus),
                    .master_id = read_master_id(bus),
                    .listen = bus.seconds_or("listen_s", 30, 0, 60),
                    .raw_send = bus.flag_or("raw_send", false)};
    bus.reject_unknown_keys();
    return line;
}

// One mapping, or a list of mappings with a name each.
std::vector<LineConfig> read_lines(const config::Section& root) {
    if (!root.is_list("bus")) {
        return {read_line(root.section("bus"), "")};
    }
    std::vector<LineConfig> lines;
    for (const auto& bus : root.sections("bus")) {
        auto name = bus.text("name");
        if (name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_-") != std::string::npos) {
            bus.report("name",
                       fmt::format("\"{}\" becomes a level of a topic: lower-case letters, digits, _ and -", name));
        }
        auto line = read_line(bus, std::move(name));
        if (line.role.role != Role::master) {
            bus.report("role", "listen and slave are for a twc-bus with one line");
        }
        for (const auto& other : lines) {
            if (other.name == line.name) {
                bus.report("name", fmt::format("\"{}\" is the name of another line", line.name));
            }
            if (other.port == line.port) {
                bus.report("port", fmt::format("\"{}\" is the port of line {}", line.port, other.name));
            }
        }
        lines.push_back(std::move(line));
    }
    if (lines.empty()) {
        root.report("bus", "the list is empty: name at least one line");
    }
    return lines;
}

int centiamps(double amps) { return static_cast<int>(std::lround(amps * 100)); }

// A fail-safe above the wiring limit for three chargers is no danger: when the lease lapses nobody is raised.
Limits read_limits(const config::Section& section) {
    Limits limits{.wiring_ca = centiamps(section.number("wiring_max_a", 5, largest_wiring_a)),
                  .charger_max_ca = centiamps(section.number("charger_max_a", 5, largest_unit_a)),
                  .charger_min_ca = centiamps(section.number_or("charger_min_a", 6, 5, 32)),
                  .failsafe_ca = centiamps(section.number_or("failsafe_a", 6, 0, largest_unit_a))};
    if (limits.charger_max_ca > limits.wiring_ca) {
        section.report("charger_max_a", fmt::format("{:g} A for one charger is above wiring_max_a, {:g} A for all",
                                                    limits.charger_max_ca / 100.0, limits.wiring_ca / 100.0));
    }
    if (limits.charger_min_ca > limits.charger_max_ca) {
        section.report("charger_min_a", fmt::format("{:g} A is above charger_max_a, {:g} A",
                                                    limits.charger_min_ca / 100.0, limits.charger_max_ca / 100.0));
    }
    if (limits.failsafe_ca > limits.charger_max_ca) {
        section.report("failsafe_a", fmt::format("{:g} A is above charger_max_a, {:g} A", limits.failsafe_ca / 100.0,
                                                 limits.charger_max_ca / 100.0));
    }
    if (limits.failsafe_ca > 0 && limits.failsafe_ca < limits.charger_min_ca) {
        section.report("failsafe_a",
                       fmt::format("{:g} A is below charger_min_a, {:g} A: use 0 to stop, or at least the minimum",
                                   limits.failsafe_ca / 100.0, limits.charger_min_ca / 100.0));
    }
    return limits;
}

// Nobody behind such a limit would ever charge.
void refuse_below_minimum(const config::Section& section, double max_a, const Limits& limits) {
    if (centiamps(max_a) < limits.charger_min_ca) {
        section.report("max_a",
                       fmt::format("{:g} A is below charger_min_a, {:g} A", max_a, limits.charger_min_ca / 100.0));
    }
}

std::set<UnitId> read_members(const config::Section& circuit) {
    std::set<UnitId> members;
    for (const auto& text : circuit.texts_or_none("chargers")) {
        if (const auto id = unit_id_from_text(text)) {
            members.insert(*id);
        } else {
            circuit.report("chargers", fmt::format("\"{}\" is no charger: four hexadecimal digits in quotes", text));
        }
    }
    if (members.empty()) {
        circuit.report("chargers", "name the chargers behind this breaker");
    }
    return members;
}

void read_circuits(const config::Section& circuits, Limits& limits) {
    for (const auto& name : circuits.keys()) {
        const auto circuit = circuits.section(name);
        const double max_a = circuit.number("max_a", 5, largest_wiring_a);
        refuse_below_minimum(circuit, max_a, limits);
        limits.circuits.push_back({.name = "the limit of circuit " + name,
                                   .ca = centiamps(max_a),
                                   .line = std::nullopt,
                                   .members = read_members(circuit)});
        circuit.reject_unknown_keys();
    }
}

// The conductors that follow each other from `line` on.
Lines lines_from(int line, int phases) {
    Lines lines{};
    for (int i = 0; i < phases; ++i) {
        lines.at(static_cast<std::size_t>((line - 1 + i) % 3)) = true;
    }
    return lines;
}

SpikeSettings read_spike(const config::Section& charger) {
    if (!charger.has("spike")) {
        return {};
    }
    const auto spike = charger.section("spike");
    SpikeSettings settings{.on_raise = spike.flag_or("on_raise", false),
                           .when_stuck = spike.flag_or("when_stuck", false),
                           .ca = std::nullopt};
    if (const auto amps = spike.optional_number("a", 6, largest_unit_a)) {
        settings.ca = centiamps(*amps);
    }
    spike.reject_unknown_keys();
    return settings;
}

Treatment read_treatment(const config::Section& charger) {
    static const std::map<std::string, StopMeans> means{
        {"limit", StopMeans::limit}, {"contactor", StopMeans::contactor}, {"silence", StopMeans::silence}};
    return {.stop = means.at(charger.choice_or("stop", "limit", {"limit", "contactor", "silence"})),
            .spike = read_spike(charger)};
}

void read_chargers(const config::Section& chargers, Limits& limits, Care& care) {
    for (const auto& text : chargers.keys()) {
        const auto charger = chargers.section(text);
        const auto id = unit_id_from_text(text);
        if (!id) {
            chargers.report(text, "a charger is named by four hexadecimal digits in quotes");
        }
        if (const auto max_a = charger.optional_number("max_a", 5, largest_unit_a)) {
            limits.own_max_ca[id.value_or(0)] = centiamps(*max_a);
            refuse_below_minimum(charger, *max_a, limits);
        }
        if (charger.has("phases")) {
            const int phases = charger.integer("phases", 1, 3);
            if (phases == 3 || charger.has("line")) {
                limits.lines[id.value_or(0)] = lines_from(charger.integer_or("line", 1, 1, 3), phases);
            }
        } else if (charger.has("line")) {
            charger.report("line", "says nothing without phases");
        }
        care.treatments[id.value_or(0)] = read_treatment(charger);
        charger.reject_unknown_keys();
    }
}

}  // namespace

Config read_config(const config::Section& root) {
    const auto limits = root.section("limits");
    const auto mains = root.section("mains");
    Config config{.lines = read_lines(root),
                  .limits = read_limits(limits),
                  .house_fuse_ca = std::nullopt,
                  .mains = {.voltage_v = mains.number_or("voltage_v", 230, 90, 300),
                            .phases = mains.integer_or("phases", 1, 1, 3)},
                  .state_file = root.text("state_file")};
    config.care.restart_pause = limits.seconds_or("restart_pause_s", 60, 0, 600);
    config.limits.reserve_for_idle = limits.flag_or("reserve_for_idle", false);
    if (const auto fuse_a = limits.optional_number("house_fuse_a", 10, largest_wiring_a)) {
        config.house_fuse_ca = centiamps(*fuse_a);
    }
    read_circuits(limits.section("circuits"), config.limits);
    read_chargers(root.section("chargers"), config.limits, config.care);
    limits.reject_unknown_keys();
    mains.reject_unknown_keys();
    return config;
}

std::set<UnitId> contactor_chargers(const Care& care) {
    std::set<UnitId> ids;
    for (const auto& [id, treatment] : care.treatments) {
        if (treatment.stop == StopMeans::contactor) {
            ids.insert(id);
        }
    }
    return ids;
}

std::unique_ptr<ByteLink> make_link(const std::string& port, scheduling::EventLoop& loop) {
    if (auto address = address_after(tcp_scheme, port)) {
        return std::make_unique<TcpLink>(loop, std::move(address->host), std::move(address->port));
    }
    if (const auto address = address_after(rfc2217_scheme, port)) {
        return std::make_unique<Rfc2217Link>(loop, address->host, address->port);
    }
    return std::make_unique<SerialLink>(loop, port);
}

}  // namespace twc_bus
