#include "house-sim/config.hpp"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <set>
#include <sstream>
#include <stdexcept>

#include <fmt/format.h>

namespace house_sim {

namespace {

constexpr std::size_t most_units = 3;  // a bus has four places, and one is the master's

double read_time(const config::Section& section, const std::string& key, const std::string& fallback) {
    const std::string text = section.text_or(key, fallback);
    const auto seconds = parse_time_of_day(text);
    if (!seconds && !text.empty()) {
        section.report(key, fmt::format(R"("{}" is not a time of day like "10:30")", text));
    }
    return seconds.value_or(0);
}

std::uint16_t read_unit_id(const config::Section& unit) {
    const std::string text = unit.text("id");
    unsigned id = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id, 16);
    if (text.size() != 4 || error != std::errc{} || end != text.data() + text.size()) {
        unit.report("id", fmt::format(R"("{}" is not four hexadecimal digits like "7744")", text));
    }
    return static_cast<std::uint16_t>(id);
}

std::optional<std::uint8_t> read_trailing_byte(const config::Section& unit) {
    const std::string name = unit.choice_or("trailing_byte", "FC", {"none", "FC", "FE", "F8", "FF"});
    if (name == "none") {
        return std::nullopt;
    }
    unsigned value = 0;
    std::from_chars(name.data(), name.data() + name.size(), value, 16);
    return static_cast<std::uint8_t>(value);
}

Firmware read_firmware(const config::Section& unit) {
    const int protocol = unit.integer_or("protocol", 2, 1, 2);
    const std::string firmware = unit.choice_or("firmware", protocol == 1 ? "p1" : "4.5.3", {"p1", "4.4.13", "4.5.3"});
    if ((protocol == 1) != (firmware == "p1")) {
        unit.report("firmware", fmt::format("{} does not speak protocol {}", firmware, protocol));
    }
    if (firmware == "p1") {
        return Firmware::p1;
    }
    return firmware == "4.4.13" ? Firmware::v4_4_13 : Firmware::v4_5_3;
}

void read_quirks(const config::Section& unit, WallConnectorConfig& config) {
    const auto quirks = unit.section("quirks");
    config.ignores_first_09 = quirks.flag_or("ignores_first_09", config.ignores_first_09);
    config.zero_offer_stops = quirks.flag_or("zero_offer_stops", config.zero_offer_stops);
    config.chatters_at_zero = quirks.flag_or("chatters_at_zero", config.chatters_at_zero);
    config.energy_counter_jumps = quirks.flag_or("energy_counter_jumps", config.energy_counter_jumps);
    config.clamps_pilot = quirks.flag_or("clamps_pilot", config.clamps_pilot);
    quirks.reject_unknown_keys();
}

WallConnectorConfig read_unit(const config::Section& unit, int house_phases) {
    WallConnectorConfig config;
    config.id = read_unit_id(unit);
    config.sign = static_cast<std::uint8_t>(unit.integer_or("sign", config.sign, 0, 255));
    config.firmware = read_firmware(unit);
    config.rating_a = unit.number_or("rating_a", config.rating_a, 6, 80);
    config.serial = unit.text_or("serial", "");
    if (config.serial.size() > 11) {
        unit.report("serial", "longer than the 11 characters a unit can report");
    }
    config.phases = unit.integer_or("phases", 1, 1, 3);
    config.first_phase = unit.integer_or("first_phase", 1, 1, 3);
    if (config.phases == 2 || config.phases > house_phases || config.first_phase > house_phases) {
        unit.report("phases", fmt::format("a house with {} has no place for this unit; 1 or 3 are possible",
                                          house_phases == 1 ? "one phase" : "three phases"));
    }
    config.answer_delay_min_s = unit.number_or("answer_delay_min_s", config.answer_delay_min_s, 0, 1);
    config.answer_delay_max_s = unit.number_or("answer_delay_max_s", config.answer_delay_max_s, 0, 1);
    if (config.answer_delay_max_s < config.answer_delay_min_s) {
        unit.report("answer_delay_max_s", "less than answer_delay_min_s");
    }
    config.trailing_byte = read_trailing_byte(unit);
    config.current_offset_a = unit.number_or("current_offset_a", 0, 0, 2);
    config.current_gain = unit.number_or("current_gain", 1, 0.8, 1.2);
    config.contactor_opens_after_s = unit.number_or("contactor_opens_after_s", config.contactor_opens_after_s, 10, 60);
    config.lifetime_kwh = unit.number_or("lifetime_kwh", config.lifetime_kwh, 0, 1e6);
    read_quirks(unit, config);
    unit.reject_unknown_keys();
    return config;
}

std::vector<WallConnectorConfig> read_units(const config::Section& root, int house_phases) {
    std::vector<WallConnectorConfig> units;
    std::set<std::uint16_t> ids;
    for (const auto& section : root.sections("units")) {
        units.push_back(read_unit(section, house_phases));
        if (!ids.insert(units.back().id).second) {
            section.report("id", "given to two units");
        }
    }
    if (units.size() > most_units) {
        root.report("units", "more than three units: a bus has four places, and one is the master's");
    }
    return units;
}

CarConfig read_car(const config::Section& car) {
    CarConfig config;
    config.name = car.text("name");
    config.vin = car.text_or("vin", "");
    if (!config.vin.empty() && config.vin.size() != 17) {
        car.report("vin", fmt::format("\"{}\" has {} characters, not 17", config.vin, config.vin.size()));
    }
    config.battery_kwh = car.number_or("battery_kwh", config.battery_kwh, 1, 500);
    config.soc_pct = car.number_or("soc", config.soc_pct, 0, 100);
    config.charge_limit_pct = car.number_or("charge_limit", config.charge_limit_pct, 50, 100);
    config.max_current_a = car.number_or("max_current_a", config.max_current_a, 6, 80);
    config.phases = car.integer_or("phases", config.phases, 1, 3);
    config.start_delay_min_s = car.number_or("start_delay_min_s", config.start_delay_min_s, 0, 600);
    config.start_delay_max_s = car.number_or("start_delay_max_s", config.start_delay_max_s, 0, 600);
    if (config.start_delay_max_s < config.start_delay_min_s) {
        car.report("start_delay_max_s", "less than start_delay_min_s");
    }
    config.wake_delay_s = car.number_or("wake_delay_s", config.wake_delay_s, 0, 600);
    config.sleep_after_s = car.number_or("sleep_after_s", config.sleep_after_s, 1, 86400);
    config.asleep = car.flag_or("asleep", config.asleep);
    config.drops_on_raise = car.flag_or("drops_on_raise", config.drops_on_raise);
    car.reject_unknown_keys();
    return config;
}

std::vector<CarConfig> read_cars(const config::Section& root) {
    std::vector<CarConfig> cars;
    std::set<std::string> names;
    for (const auto& section : root.sections("cars")) {
        cars.push_back(read_car(section));
        if (!names.insert(cars.back().name).second) {
            section.report("name", "given to two cars");
        }
    }
    return cars;
}

BatteryConfig read_battery(const config::Section& root) {
    const auto battery = root.section("battery");
    BatteryConfig config;
    config.capacity_kwh = battery.number_or("capacity_kwh", 0, 0, 1000);
    config.max_charge_w = battery.number_or("max_charge_w", config.max_charge_w, 0, 100000);
    config.max_discharge_w = battery.number_or("max_discharge_w", config.max_discharge_w, 0, 100000);
    config.soc_pct = battery.number_or("soc", config.soc_pct, 0, 100);
    config.reserve_pct = battery.number_or("reserve", config.reserve_pct, 0, 100);
    battery.reject_unknown_keys();
    return config;
}

void read_sun(const config::Section& root, HouseConfig& config) {
    const auto pv = root.section("pv");
    config.peak_w = pv.number_or("peak_w", config.peak_w, 0, 100000);
    config.sky = parse_sky(pv.choice_or("sky", "broken", {"clear", "broken", "overcast"})).value_or(Sky::broken);
    config.sunrise_s = read_time(pv, "sunrise", "05:30");
    config.sunset_s = read_time(pv, "sunset", "20:30");
    if (config.sunset_s <= config.sunrise_s) {
        pv.report("sunset", "not after sunrise");
    }
    config.inverter_phases = pv.choice_or("inverter_phases", config.phases == 1 ? "1" : "3", {"1", "3"}) == "1" ? 1 : 3;
    const std::string trace = pv.text_or("trace_file", "");
    if (!trace.empty()) {
        try {
            config.trace = read_trace(trace);
        } catch (const std::invalid_argument& problem) {
            pv.report("trace_file", problem.what());
        }
    }
    pv.reject_unknown_keys();
}

HouseConfig read_house(const config::Section& root, double start_s) {
    HouseConfig config;
    const auto house = root.section("house");
    config.start_s = start_s;
    config.phases = house.choice_or("phases", "1", {"1", "3"}) == "1" ? 1 : 3;
    config.voltage_v = house.number_or("voltage_v", config.voltage_v, 100, 250);
    config.base_load_w = house.number_or("base_load_w", config.base_load_w, 0, 50000);
    config.appliances = house.flag_or("appliances", config.appliances);
    house.reject_unknown_keys();
    read_sun(root, config);
    config.battery = read_battery(root);
    return config;
}

LineNoise read_noise(const config::Section& line) {
    const auto noise = line.section("noise");
    LineNoise config;
    config.flip_per_byte = noise.number_or("flip_per_byte", 0, 0, 1);
    config.drop_per_byte = noise.number_or("drop_per_byte", 0, 0, 1);
    config.junk_per_frame = noise.number_or("junk_per_frame", 0, 0, 1);
    config.splits_frames = noise.flag_or("splits_frames", false);
    config.echoes_master = noise.flag_or("echoes_master", false);
    config.collides = noise.flag_or("collides", false);
    noise.reject_unknown_keys();
    return config;
}

std::optional<int> read_port(const config::Section& section, const std::string& key) {
    return section.has(key) ? std::optional(section.integer(key, 0, 65535)) : std::nullopt;
}

PortsConfig read_ports(const config::Section& root) {
    const auto ports = root.section("ports");
    PortsConfig config{.host = ports.text_or("host", "127.0.0.1"),
                       .modbus = read_port(ports, "modbus"),
                       .powerwall = read_port(ports, "powerwall"),
                       .tesla = read_port(ports, "tesla"),
                       .truth = read_port(ports, "truth")};
    ports.reject_unknown_keys();
    return config;
}

ModbusConfig read_modbus(const config::Section& root) {
    const auto modbus = root.section("modbus");
    ModbusConfig config;
    config.unit_id = modbus.integer_or("unit_id", 1, 1, 247);
    config.meter_exports_positive = modbus.choice_or("meter_positive", "export", {"export", "import"}) == "export";
    config.battery = modbus.flag_or("battery", config.battery);
    config.sleeps_at_night = modbus.flag_or("sleeps_at_night", config.sleeps_at_night);
    modbus.reject_unknown_keys();
    return config;
}

PowerwallConfig read_powerwall(const config::Section& root) {
    const auto powerwall = root.section("powerwall");
    PowerwallConfig config;
    config.password = powerwall.text_or("password", config.password);
    config.cookie_lasts_s = powerwall.number_or("cookie_lasts_s", config.cookie_lasts_s, 1, 86400);
    powerwall.reject_unknown_keys();
    return config;
}

TeslaConfig read_tesla(const config::Section& root) {
    const auto tesla = root.section("tesla");
    TeslaConfig config;
    config.client_id = tesla.text_or("client_id", config.client_id);
    config.token_lasts_s = tesla.number_or("token_lasts_s", config.token_lasts_s, 1, 86400);
    config.reason_prefix = tesla.flag_or("as_command_proxy", false) ? "car could not execute command: " : "";
    tesla.reject_unknown_keys();
    return config;
}

PublishConfig read_publish(const config::Section& root) {
    const auto publish = root.section("publish");
    PublishConfig config;
    if (publish.has("teslamate_prefix")) {
        config.teslamate = publish.text("teslamate_prefix");
    }
    if (publish.has("push_meter_every_s")) {
        config.push_every = publish.seconds_or("push_meter_every_s", 1, 0.05, 3600);
    }
    publish.reject_unknown_keys();
    return config;
}

// The script names cars and units; they must exist.
class ScriptCheck {
public:
    ScriptCheck(const config::Section& root, const SiteConfig& site) : root_(root), site_(site) {}

    void operator()(const PlugIn& event) const {
        car(event.car);
        if (!event.unit.empty()) {
            unit(event.unit);
        }
    }
    void operator()(const Unplug& event) const { car(event.car); }
    void operator()(const ResetUnit& event) const { unit(event.unit); }
    template <class Other>
    void operator()(const Other& /*event*/) const {}

private:
    void car(const std::string& name) const {
        if (std::ranges::find(site_.cars, name, &CarConfig::name) == site_.cars.end()) {
            root_.report("script", fmt::format("there is no car \"{}\"", name));
        }
    }
    void unit(const std::string& id) const {
        const auto id_of = [](const WallConnectorConfig& config) { return id_text(config.id); };
        if (std::ranges::find(site_.units, id, id_of) == site_.units.end()) {
            root_.report("script", fmt::format("there is no unit \"{}\"", id));
        }
    }

    const config::Section& root_;
    const SiteConfig& site_;
};

// One line of numbers separated by commas.
std::optional<std::array<double, 3>> parse_row(const std::string& line) {
    std::array<double, 3> values{};
    const char* at = line.data();
    const char* const end = line.data() + line.size();
    for (std::size_t i = 0; i < values.size(); ++i) {
        const auto [stopped, error] = std::from_chars(at, end, values.at(i));
        const bool is_last = i + 1 == values.size();
        if (error != std::errc{} || (is_last ? stopped != end : stopped == end || *stopped != ',')) {
            return std::nullopt;
        }
        at = stopped + (is_last ? 0 : 1);
    }
    return values;
}

}  // namespace

std::vector<TracePoint> read_trace(const std::string& file) {
    std::ifstream stream(file);
    std::string line;
    if (!std::getline(stream, line) || !line.starts_with("t_s,pv_w,load_w")) {
        throw std::invalid_argument(fmt::format("{}: cannot be read, or its first line is not t_s,pv_w,load_w", file));
    }
    std::vector<TracePoint> trace;
    for (int number = 2; std::getline(stream, line); ++number) {
        if (line.ends_with('\r')) {
            line.pop_back();
        }
        const auto row = parse_row(line);
        if (!row || (!trace.empty() && (*row)[0] <= trace.back().second_of_day)) {
            throw std::invalid_argument(
                fmt::format("{}:{}: expected three numbers, the first larger than in the line before", file, number));
        }
        trace.push_back({.second_of_day = (*row)[0], .pv_w = std::max((*row)[1], 0.0), .load_w = (*row)[2]});
    }
    if (trace.empty()) {
        throw std::invalid_argument(fmt::format("{}: no rows", file));
    }
    return trace;
}

Config read_config(const config::Section& root) {
    Config config;
    const auto time = root.section("time");
    const double start_s = read_time(time, "start", "10:30");
    config.site.speed = time.number_or("speed", 1, 0.1, 3600);
    config.site.seed = static_cast<std::uint64_t>(time.integer_or("seed", 1, 0, 2147483647));
    time.reject_unknown_keys();

    config.site.house = read_house(root, start_s);
    config.site.units = read_units(root, config.site.house.phases);
    config.site.cars = read_cars(root);
    config.site.script = read_script(root);
    for (const auto& event : config.site.script) {
        std::visit(ScriptCheck(root, config.site), event.action);
    }

    const auto line = root.section("line");
    config.line.pty = line.text_or("pty", "");
    config.line.tcp_port = read_port(line, "tcp_port");
    config.site.noise = read_noise(line);
    line.reject_unknown_keys();

    config.ports = read_ports(root);
    config.modbus = read_modbus(root);
    config.powerwall = read_powerwall(root);
    config.tesla = read_tesla(root);
    config.publish = read_publish(root);
    config.ready_file = root.text_or("ready_file", "");
    return config;
}

}  // namespace house_sim
