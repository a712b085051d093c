#include "house-sim/house_sim.hpp"

#include <charconv>
#include <sstream>
#include <stdexcept>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "house-sim/http_parts.hpp"
#include "service/command_value.hpp"

namespace house_sim {

namespace {

using namespace std::chrono_literals;

constexpr auto tick_period = 100ms;
constexpr auto teslamate_period = 1s;
constexpr double longest_command_s = 86400;
constexpr std::uint64_t powerwall_stream = 101;

std::vector<std::string> words_of(const std::string& payload) {
    std::istringstream stream(payload);
    std::vector<std::string> words;
    for (std::string word; stream >> word;) {
        words.push_back(word);
    }
    return words;
}

// `VALUE [SECONDS]`
struct TimedValue {
    double value = 0;
    double lasts_s = 0;
};

TimedValue parse_timed(const std::string& payload, contract::Range allowed, double default_s,
                       const std::string& expected) {
    const auto words = words_of(payload);
    if (words.empty() || words.size() > 2) {
        throw service::Rejected("not one or two numbers", expected);
    }
    TimedValue timed{.value = service::parse_number(words[0], allowed), .lasts_s = default_s};
    if (words.size() == 2) {
        timed.lasts_s = service::parse_number(words[1], {1, longest_command_s});
    }
    return timed;
}

std::string upper(std::string text) {
    for (auto& c : text) {
        c = static_cast<char>(c >= 'a' && c <= 'z' ? c - ('a' - 'A') : c);
    }
    return text;
}

}  // namespace

HouseSim::HouseSim(Config config, const service::Environment& environment)
    : config_(std::move(config)),
      environment_(environment),
      scope_(environment.loop),
      line_timer_(environment.loop),
      site_(config_.site, environment.loop.now()),
      powerwall_(config_.powerwall, Random::stream(config_.site.seed, powerwall_stream).bits()),
      tesla_(config_.tesla, config_.site.seed),
      host_(environment,
            [this](nlohmann::json& metrics) {
                const auto& refused = site_.line().refused();
                metrics["messages_heard"] = site_.line().messages_heard();
                metrics["segments_refused"] =
                    refused.bad_checksum + refused.bad_escape + refused.bad_length + refused.too_short;
                metrics["checksum_errors"] = refused.bad_checksum;
            }),
      state_(service::make_state_publisher<HouseState>(environment, environment.topics.base() + "/house-sim/state")) {
    const std::string filter = environment.topics.base() + "/house-sim/+/set";
    host_.on_command(filter, [this](const messaging::Delivery& command) { return obey(command); });
    scope_.call_every(tick_period, [this] { tick(); });
    if (config_.publish.teslamate) {
        scope_.call_every(teslamate_period, [this] { publish_teslamate(); });
        environment_.bus.on_connection_change(scope_, [this](bool) { retained_.clear(); });
    }
    if (config_.publish.push_every) {
        scope_.call_every(*config_.publish.push_every, [this] { push_meter(); });
    }
    publish();
    serve_line();
}

Site& HouseSim::site() {
    site_.advance(environment_.loop.now());
    return site_;
}

void HouseSim::tick() {
    site();
    for (const auto& problem : site_.take_problems()) {
        spdlog::warn("script: {}", problem);
        host_.event("script_problem", {{"reason", problem}});
    }
    publish();
    serve_line();
}

void HouseSim::publish() { state_.update(describe(site_)); }

void HouseSim::transmit(std::span<const std::uint8_t> bytes) {
    site().line().receive(bytes, environment_.loop.now());
    serve_line();
}

void HouseSim::on_line_output(std::function<void(std::span<const std::uint8_t>)> listener) {
    line_listener_ = std::move(listener);
}

void HouseSim::serve_line() {
    const auto now = environment_.loop.now();
    const Bytes arrived = site().line().take(now);
    if (!arrived.empty() && line_listener_) {
        line_listener_(arrived);
    }
    const auto due = site_.line().due();
    // The units' clocks move with the ticks; between them only what is already on the wire can fall due.
    if (due < now + tick_period) {
        line_timer_.set(std::max(due, now + 1ms), [this] { serve_line(); });
    }
}

std::optional<Bytes> HouseSim::modbus(std::span<const std::uint8_t> frame) {
    return answer_modbus(config_.modbus, site(), frame);
}

std::optional<http::Response> HouseSim::powerwall(const http::Request& request) {
    return powerwall_.answer(request, site(), environment_.loop.wall_now());
}

std::optional<http::Response> HouseSim::tesla(const http::Request& request) {
    return tesla_.answer(request, site(), environment_.loop.wall_now());
}

http::Response HouseSim::truth(const http::Request& request) {
    if (request.method != "GET" || url_path(request.url) != "/house.json") {
        return json_response(404, {{"error", "only GET /house.json"}});
    }
    return json_response(200, contract::to_json(describe(site())));
}

nlohmann::json HouseSim::obey(const messaging::Delivery& command) {
    const std::string filter = environment_.topics.base() + "/house-sim/+/set";
    const std::string what = contract::Topics::wildcard_level(filter, command.topic).value_or("");
    const std::string payload = service::normalised(command.payload);
    site();
    if (what == "cloud") {
        const auto cloud = parse_timed(payload, {0, 1.1}, 60, "FACTOR [SECONDS], such as 0.3 60");
        site_.perform(ForceCloud{.factor = cloud.value, .lasts_s = cloud.lasts_s});
    } else if (what == "load_w") {
        const auto load = parse_timed(payload, {0, 50000}, 300, "WATTS [SECONDS], such as 2000 300");
        site_.perform(AddLoad{.watts = load.value, .lasts_s = load.lasts_s});
    } else if (what == "plug") {
        plug(payload);
    } else if (what == "fault") {
        const auto fault = parse_fault(payload);
        if (!fault) {
            throw service::Rejected("no known fault", fault_grammar);
        }
        try {
            site_.perform(*fault);
        } catch (const std::invalid_argument& problem) {
            throw service::Rejected(problem.what(), fault_grammar);
        }
    } else {
        throw service::Rejected(fmt::format("there is nothing called \"{}\" to set", what),
                                "cloud, load_w, plug or fault");
    }
    spdlog::info("{} {}", what, payload);
    publish();
    return {{"ok", true}};
}

// `7744 on [car]`, `7744 off`
void HouseSim::plug(const std::string& payload) {
    constexpr const char* expected = "UNIT on [CAR] or UNIT off, such as 7744 on";
    const auto words = words_of(payload);
    if (words.size() < 2 || words.size() > 3) {
        throw service::Rejected("not two or three words", expected);
    }
    const auto unit = site_.unit_by_id(upper(words[0]));
    if (!unit) {
        throw service::Rejected(fmt::format("there is no unit \"{}\"", words[0]), expected);
    }
    const auto on_plug = site_.car_on(*unit);
    if (!service::parse_on_off(words[1])) {
        if (on_plug) {
            site_.perform(Unplug{site_.cars()[*on_plug].config().name});
        }
        return;
    }
    std::string name = words.size() == 3 ? words[2] : "";
    for (std::size_t i = 0; name.empty() && i < site_.cars().size(); ++i) {
        name = site_.unit_of(i) ? "" : site_.cars()[i].config().name;
    }
    if (on_plug && words.size() == 2) {
        return;  // it is plugged in already
    }
    try {
        site_.perform(PlugIn{.car = name, .unit = upper(words[0]), .soc_pct = std::nullopt});
    } catch (const std::invalid_argument& problem) {
        throw service::Rejected(name.empty() ? "no car is away" : problem.what(), expected);
    }
}

void HouseSim::push_meter() {
    const auto& flow = site().house().flow();
    const auto put = [this](const char* quantity, double value) {
        environment_.bus.publish(
            {.topic = environment_.topics.ems_input_set(quantity), .payload = fmt::format("{:.1f}", value), .qos = 1});
    };
    put("grid_power", flow.grid_w);
    put("pv_power", flow.pv_w);
    put("house_power", flow.load_w + flow.chargers_w);
    if (site_.house().has_battery()) {
        put("battery_power", flow.battery_w);
        put("battery_soc", flow.battery_soc_pct);
    }
}

void HouseSim::put_retained(const std::string& topic, const std::string& payload) {
    const auto [entry, is_new] = retained_.try_emplace(topic, payload);
    if (is_new || entry->second != payload) {
        entry->second = payload;
        environment_.bus.publish({.topic = topic, .payload = payload, .retained = true, .qos = 1});
    }
}

// As TeslaMate does it: one retained topic a key, only what changed, its own numbering of cars, no VIN.
void HouseSim::publish_teslamate() {
    int number = 0;
    for (const auto& car : site().cars()) {
        if (car.config().vin.empty()) {
            continue;
        }
        const std::string base = fmt::format("{}/cars/{}/", *config_.publish.teslamate, ++number);
        const auto put = [&](const char* key, const std::string& value) { put_retained(base + key, value); };
        const bool is_charging = car.charging() == Car::Charging::charging;
        put("display_name", car.config().name);
        const char* const awake_state = is_charging ? "charging" : "online";
        put("state", car.asleep() ? "asleep" : awake_state);
        if (car.asleep()) {
            continue;  // what a sleeping car last said stays
        }
        put("battery_level", std::to_string(static_cast<int>(car.soc_pct())));
        put("usable_battery_level", std::to_string(static_cast<int>(car.soc_pct())));
        put("charge_limit_soc", std::to_string(static_cast<int>(car.charge_limit_pct())));
        put("plugged_in", car.plugged() ? "true" : "false");
        put("charging_state", api_text(car.charging()));
        put("charge_energy_added", fmt::format("{:.2f}", car.session_kwh()));
        put("charger_actual_current", std::to_string(std::lround(car.current_a())));
        put("charger_phases", is_charging ? std::to_string(car.phases_in_use()) : "");
        put("charger_power", std::to_string(std::lround(car.power_w() / 1000)));
        put("charger_voltage", car.plugged() ? fmt::format("{:.0f}", car.supply().voltage_v[0]) : "");
        put("charge_current_request", std::to_string(car.amps_request()));
        put("charge_current_request_max", fmt::format("{:.0f}", car.config().max_current_a));
        put("time_to_full_charge", is_charging ? fmt::format("{:.2f}", car.hours_to_full()) : "");
        put("geofence", "Home");
        put("latitude", "50.10001");
        put("longitude", "8.60002");
        put("rated_battery_range_km", fmt::format("{:.0f}", car.soc_pct() * km_per_pct));
    }
}

}  // namespace house_sim
