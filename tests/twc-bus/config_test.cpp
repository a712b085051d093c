#include "twc-bus/config.hpp"

#include <doctest/doctest.h>

#include "config/section.hpp"

using twc_bus::read_config;

namespace {

std::string problems_of(const std::string& text, const std::vector<std::string>& overrides = {}) {
    try {
        const config::Document document(text, "test.yaml", overrides);
        for (const auto* shared : {"mqtt", "log", "home_assistant"}) {
            static_cast<void>(document.root().section(shared));  // read by the framework
        }
        read_config(document.root());
        document.finish();
    } catch (const config::ConfigError& error) {
        return error.what();
    }
    return "";
}

std::string shipped() { return config::read_file(SOURCE_DIR "/config/twc-bus.yaml"); }

std::string problems_with(const std::string& assignment) { return problems_of(shipped(), {assignment}); }

bool mentions(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("config: the shipped file loads") {
    CHECK(problems_of(shipped()).empty());
    const config::Document document(shipped(), "twc-bus.yaml");
    const auto config = read_config(document.root());
    CHECK(config.limits.wiring_ca == 3200);
    CHECK(config.limits.charger_min_ca == 600);
    REQUIRE(config.lines.size() == 1);
    CHECK(config.lines[0].master_id == 0x7777);
    CHECK(config.lines[0].listen == std::chrono::seconds(30));
}

TEST_CASE("config: a misspelt key is refused in every section") {
    CHECK(mentions(problems_with("bus.prot=x"), "bus.prot: unknown key"));
    CHECK(mentions(problems_with("limits.wiring_a=32"), "limits.wiring_a: unknown key"));
    CHECK(mentions(problems_with("mains.volts=230"), "mains.volts: unknown key"));
    CHECK(mentions(problems_with("statefile=x"), "statefile: unknown key"));
}

TEST_CASE("config: the role, and the unit that role slave plays") {
    const auto with = [](const std::string& lines) {
        auto text = shipped();
        const std::string role = "  role: master ";
        return text.replace(text.find(role), role.size(), lines + "  # ");
    };
    const auto role_of = [&](const std::string& lines) {
        const config::Document document(with(lines), "twc-bus.yaml");
        return read_config(document.root()).lines.at(0).role;
    };
    CHECK(role_of("  role: master").role == twc_bus::Role::master);
    CHECK(role_of("").role == twc_bus::Role::master);
    CHECK(role_of("  role: listen").role == twc_bus::Role::listen);
    const auto slave = role_of("  role: slave\n  slave: {id: \"6a6a\", rating_a: 20, protocol: 1, drawn_a: 16}\n");
    CHECK(slave.role == twc_bus::Role::slave);
    CHECK(slave.slave.id == 0x6A6A);
    CHECK(slave.slave.rating_ca == 2000);
    CHECK(slave.slave.protocol == 1);
    CHECK(slave.slave.drawn_ca == 1600);
    CHECK_FALSE(role_of("  role: slave\n  slave: {id: \"6a6a\", rating_a: 20}\n").slave.drawn_ca);

    CHECK(mentions(problems_with("bus.role=boss"), "bus.role: \"boss\" is not one of master, listen, slave"));
    CHECK(mentions(problems_of(with("  role: slave")), "bus.slave.id"));
    CHECK(mentions(problems_of(with("  role: slave")), "bus.slave.rating_a"));
    const auto problems_in = [&](const std::string& unit) {
        return problems_of(with("  role: slave\n  slave: {" + unit + "}\n"));
    };
    CHECK(mentions(problems_in("id: \"c012\", rating_a: 20"), "bus.slave.id"));
    CHECK(mentions(problems_in("id: \"6a6a\", rating_a: 100"), "bus.slave.rating_a"));
    CHECK(mentions(problems_in("id: \"6a6a\", rating_a: 20, protocol: 3"), "bus.slave.protocol"));
    CHECK(mentions(problems_in("id: \"6a6a\", rating_a: 20, drawn_a: 21"), "21 A is above rating_a, 20 A"));
    CHECK(mentions(problems_in("id: \"6a6a\", rating: 20"), "bus.slave.rating: unknown key"));
}

TEST_CASE("config: limits that contradict each other are refused with both values") {
    CHECK(mentions(problems_with("limits.charger_max_a=40"), "40 A for one charger is above wiring_max_a, 32 A"));
    CHECK(mentions(problems_with("limits.failsafe_a=5"), "5 A is below charger_min_a, 6 A"));
    CHECK(mentions(problems_with("limits.failsafe_a=33"), "33 A is above charger_max_a, 32 A"));
    CHECK(problems_with("limits.failsafe_a=0").empty());
    CHECK(mentions(problems_of(shipped(), {"limits.charger_max_a=10", "limits.charger_min_a=16"}),
                   "16 A is above charger_max_a, 10 A"));
    CHECK(mentions(problems_with("limits.wiring_max_a=1000"), "limits.wiring_max_a"));
    CHECK(mentions(problems_with("limits.wiring_max_a=.nan"), "limits.wiring_max_a"));
}

TEST_CASE("config: IDs the bus cannot carry well are refused") {
    for (const auto* id : {"0000", "FFFF", "C012", "12DB", "77", "77777", "7x77"}) {
        CAPTURE(id);
        CHECK(mentions(problems_with(std::string("bus.master_id=") + id), "bus.master_id"));
    }
    CHECK(problems_with("bus.master_id=4A5B").empty());
}

TEST_CASE("config: a port is a path, or tcp or rfc2217 with host and port") {
    for (const auto* port :
         {"ttyUSB0", "tcp://", "tcp://host", "tcp://host:", "tcp://host:0", "tcp://host:70000", "tcp://:99",
          "udp://host:1", "rfc2217://", "rfc2217://host", "rfc2217://host:0", "rfc2217:host:1"}) {
        CAPTURE(port);
        CHECK(mentions(problems_with(std::string("bus.port=") + port), "bus.port"));
    }
    for (const auto* port : {"/dev/ttyUSB0", "tcp://10.0.0.5:8899", "tcp://bridge.local:23", "tcp://[::1]:23",
                             "rfc2217://10.0.0.5:3001", "rfc2217://[fe80::1]:3001"}) {
        CAPTURE(port);
        CHECK(problems_with(std::string("bus.port=") + port).empty());
    }
}

TEST_CASE("config: circuits, own limits and phases of chargers") {
    const std::string text = shipped() + R"(
chargers:
  "7744": {max_a: 16, phases: 1, line: 2}
  "7745": {phases: 3}
  "7746": {phases: 2, line: 3}
  "7747": {phases: 1}
)";
    const std::vector<std::string> fuse{"limits.house_fuse_a=35"};
    CHECK(problems_of(text, fuse).empty());
    const config::Document document(text, "twc-bus.yaml", fuse);
    const auto config = read_config(document.root());
    CHECK(config.house_fuse_ca == 3500);
    CHECK(config.limits.max_ca(0x7744) == 1600);
    CHECK(config.limits.max_ca(0x7745) == 3200);
    CHECK(config.limits.lines_of(0x7744) == twc_bus::Lines{false, true, false});
    CHECK(config.limits.lines_of(0x7745) == twc_bus::every_line);
    CHECK(config.limits.lines_of(0x7746) == twc_bus::Lines{true, false, true});
    CHECK(config.limits.lines_of(0x7747) == twc_bus::every_line);  // of which phase nothing was said

    CHECK(mentions(problems_of(shipped() + "chargers: {77: {max_a: 16}}"), "four hexadecimal digits"));
    CHECK(mentions(problems_of(shipped() + "chargers: {\"7744\": {line: 2}}"), "says nothing without phases"));
    CHECK(mentions(problems_of(shipped() + "chargers: {\"7744\": {maxa: 2}}"), "chargers.7744.maxa: unknown key"));
}

TEST_CASE("config: a circuit needs a limit and chargers") {
    const auto with = [](const std::string& circuits) {
        auto text = shipped();
        const auto at = text.find("  failsafe_a:");
        return text.insert(at, "  circuits:\n    garage: " + circuits + "\n");
    };
    const config::Document document(with("{max_a: 20, chargers: [\"7744\", \"7745\"]}"), "twc-bus.yaml");
    const auto limits = read_config(document.root()).limits;
    REQUIRE(limits.circuits.size() == 1);
    CHECK(limits.circuits[0].ca == 2000);
    CHECK(limits.circuits[0].members == std::set<twc_bus::UnitId>{0x7744, 0x7745});
    CHECK(mentions(problems_of(with("{max_a: 5, chargers: [\"7744\"]}")), "5 A is below charger_min_a, 6 A"));
    CHECK(mentions(problems_of(shipped() + "chargers: {\"7744\": {max_a: 5}}"), "5 A is below charger_min_a, 6 A"));
    CHECK(mentions(problems_of(with("{max_a: 20}")), "name the chargers behind this breaker"));
    CHECK(mentions(problems_of(with("{chargers: [\"7744\"]}")), "limits.circuits.garage.max_a"));
    CHECK(mentions(problems_of(with("{max_a: 20, chargers: [garage]}")), "\"garage\" is no charger"));
}

TEST_CASE("config: several lines have names, and each its own port") {
    const auto with = [](const std::string& lines) {
        auto text = shipped();
        const auto begin = text.find("\nbus:") + 1;
        return text.replace(begin, text.find("\nlimits:") + 1 - begin, "bus: " + lines + "\n\n");
    };
    const std::string two = "[{name: barn, port: /dev/barn, master_id: \"7778\"}, {name: house, port: \"tcp://h:1\"}]";
    CHECK(problems_of(with(two)) == "");
    const config::Document document(with(two), "twc-bus.yaml");
    const auto lines = read_config(document.root()).lines;
    REQUIRE(lines.size() == 2);
    CHECK(lines[0].name == "barn");
    CHECK(lines[0].master_id == 0x7778);
    CHECK(lines[1].port == "tcp://h:1");
    CHECK(lines[1].master_id == 0x7777);

    CHECK(mentions(problems_of(with("[]")), "bus: the list is empty"));
    CHECK(mentions(problems_of(with("[{port: /dev/a}]")), "bus[0].name"));
    CHECK(mentions(problems_of(with("[{name: Barn, port: /dev/a}]")), "\"Barn\" becomes a level of a topic"));
    CHECK(
        mentions(problems_of(with("[{name: a, port: /dev/a}, {name: a, port: /dev/b}]")), "the name of another line"));
    CHECK(mentions(problems_of(with("[{name: a, port: /dev/a}, {name: b, port: /dev/a}]")), "the port of line a"));
    CHECK(mentions(problems_of(with("[{name: a, port: /dev/a, role: listen}]")), "for a twc-bus with one line"));
}

TEST_CASE("config: last resorts are behind settings of a charger") {
    const std::string text = shipped() + R"(
chargers:
  "7744": {stop: silence, spike: {on_raise: true, when_stuck: true, a: 18}}
  "7745": {stop: contactor}
)";
    CHECK(problems_of(text).empty());
    const config::Document document(text, "twc-bus.yaml");
    const auto care = read_config(document.root()).care;
    CHECK(care.restart_pause == std::chrono::seconds(60));
    CHECK(care.treatments.at(0x7744).stop == twc_bus::StopMeans::silence);
    CHECK(care.treatments.at(0x7744).spike == twc_bus::SpikeSettings{.on_raise = true, .when_stuck = true, .ca = 1800});
    CHECK(twc_bus::contactor_chargers(care) == std::set<twc_bus::UnitId>{0x7745});
    CHECK(mentions(problems_of(shipped() + "chargers: {\"7744\": {stop: now}}"), "limit, contactor, silence"));
    CHECK(
        mentions(problems_of(shipped() + "chargers: {\"7744\": {spike: {raise: true}}}"), "spike.raise: unknown key"));
}
