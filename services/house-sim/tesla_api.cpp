#include "house-sim/tesla_api.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "house-sim/http_parts.hpp"

namespace house_sim {

namespace {

using namespace std::chrono_literals;
using nlohmann::json;

constexpr double miles_per_pct = km_per_pct / 1.609344;
// Larger than a double can hold exactly, as real ids are.
constexpr std::int64_t first_id = 1492931337000000001;
constexpr double home_latitude = 50.10001;
constexpr double home_longitude = 8.60002;

http::Response error(int status, const std::string& text) {
    return json_response(status, {{"response", nullptr}, {"error", text}, {"error_description", ""}});
}

http::Response limited(int retry_after_s) {
    auto response = error(429, fmt::format("Retry in {} seconds", retry_after_s));
    response.headers.emplace("retry-after", std::to_string(retry_after_s));
    response.headers.emplace("ratelimit-remaining", "0");
    response.headers.emplace("ratelimit-reset", std::to_string(retry_after_s));
    return response;
}

std::int64_t epoch_s(scheduling::WallTime wall) {
    return std::chrono::duration_cast<std::chrono::seconds>(wall.time_since_epoch()).count();
}

std::string base64url(const std::string& text) {
    constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    std::string encoded;
    std::uint32_t bits = 0;
    int count = 0;
    for (const char character : text) {
        bits = bits << 8U | static_cast<unsigned char>(character);
        count += 8;
        while (count >= 6) {
            count -= 6;
            encoded.push_back(alphabet[bits >> static_cast<unsigned>(count) & 63U]);
        }
    }
    if (count > 0) {
        encoded.push_back(alphabet[bits << static_cast<unsigned>(6 - count) & 63U]);
    }
    return encoded;
}

json identity(const Car& car, std::size_t index) {
    const std::int64_t id = first_id + static_cast<std::int64_t>(index);
    return {{"id", id},
            {"id_s", std::to_string(id)},
            {"vehicle_id", 2100000001 + index},
            {"vin", car.config().vin},
            {"display_name", car.config().name},
            {"state", car.asleep() ? "asleep" : "online"},
            {"access_type", "OWNER"},
            {"in_service", false},
            {"api_version", 84}};
}

json charge_state(const Car& car, scheduling::WallTime wall) {
    const auto& config = car.config();
    const double volts = car.plugged() ? car.supply().voltage_v[0] : 2;
    const auto soc = static_cast<int>(car.soc_pct());
    const double hours = car.hours_to_full();
    json state{{"battery_level", soc},
               {"usable_battery_level", std::max(0, soc - 1)},
               {"battery_range", std::round(car.soc_pct() * miles_per_pct * 100) / 100},
               {"charge_limit_soc", static_cast<int>(car.charge_limit_pct())},
               {"charge_limit_soc_min", 50},
               {"charge_limit_soc_max", 100},
               {"charge_limit_soc_std", 80},
               {"charging_state", api_text(car.charging())},
               {"charge_amps", car.amps_request()},
               {"charge_current_request", car.amps_request()},
               {"charge_current_request_max", static_cast<int>(config.max_current_a)},
               {"charger_pilot_current", static_cast<int>(car.supply().pilot_a)},
               {"charger_actual_current", static_cast<int>(std::lround(car.current_a()))},
               {"charger_power", static_cast<int>(std::lround(car.power_w() / 1000))},
               {"charger_voltage", static_cast<int>(std::lround(volts))},
               {"charger_phases", nullptr},
               {"charge_energy_added", std::round(car.session_kwh() * 100) / 100},
               {"charge_port_door_open", car.plugged()},
               {"charge_port_latch", "Engaged"},
               {"conn_charge_cable", car.plugged() ? "IEC" : "<invalid>"},
               {"minutes_to_full_charge", static_cast<int>(hours * 60)},
               {"time_to_full_charge", std::round(hours * 100) / 100},
               {"scheduled_charging_mode", "Off"},
               {"scheduled_charging_pending", false},
               {"scheduled_charging_start_time", nullptr},
               {"timestamp", epoch_s(wall) * 1000}};
    if (car.phases_in_use() > 0) {
        state["charger_phases"] = car.phases_in_use();
    }
    return state;
}

json drive_state(bool with_location, scheduling::WallTime wall) {
    json state{{"power", 0}, {"shift_state", nullptr}, {"speed", nullptr}, {"timestamp", epoch_s(wall) * 1000}};
    if (with_location) {
        state["latitude"] = home_latitude;
        state["longitude"] = home_longitude;
        state["gps_as_of"] = epoch_s(wall) - 10;
        state["heading"] = 12;
    }
    return state;
}

// The number of `{"key": 16}`; some clients send text.
std::optional<double> number_of(const http::Request& request, const char* key) {
    const auto body = json::parse(request.body, nullptr, false);
    if (!body.is_object() || !body.contains(key)) {
        return std::nullopt;
    }
    if (body[key].is_number()) {
        return body[key].get<double>();
    }
    double value = 0;
    const std::string text = body[key].is_string() ? body[key].get<std::string>() : "";
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
    return problem == std::errc{} && end == text.data() + text.size() && !text.empty() ? std::optional(value)
                                                                                       : std::nullopt;
}

std::optional<std::size_t> find_vehicle(const Site& site, const std::string& key) {
    const auto& cars = site.cars();
    for (std::size_t i = 0; i < cars.size(); ++i) {
        const bool matches =
            cars[i].config().vin == key || std::to_string(first_id + static_cast<std::int64_t>(i)) == key;
        if (matches && !cars[i].config().vin.empty()) {
            return i;
        }
    }
    return std::nullopt;
}

http::Response list(const Site& site) {
    auto vehicles = json::array();
    for (std::size_t i = 0; i < site.cars().size(); ++i) {
        if (!site.cars()[i].config().vin.empty()) {
            vehicles.push_back(identity(site.cars()[i], i));
        }
    }
    const auto count = vehicles.size();
    return json_response(200, {{"response", vehicles}, {"count", count}});
}

}  // namespace

std::optional<int> TeslaApi::Quota::retry_after_s(scheduling::Instant now) {
    while (!calls.empty() && now - calls.front() >= 60s) {
        calls.pop_front();
    }
    if (calls.size() >= per_minute) {
        return 1 +
               static_cast<int>(std::chrono::duration_cast<std::chrono::seconds>(60s - (now - calls.front())).count());
    }
    calls.push_back(now);
    return std::nullopt;
}

// Shaped like a JWT. The signature ties expiry and seed together, so that tokens of another house are refused.
std::string TeslaApi::access_token(std::int64_t expires) const {
    const json claims{{"sub", "house-sim"},
                      {"exp", expires},
                      {"scp", json::array({"openid", "offline_access", "vehicle_device_data", "vehicle_location",
                                           "vehicle_cmds", "vehicle_charging_cmds"})}};
    const auto signature = Random::stream(seed_, static_cast<std::uint64_t>(expires)).bits();
    return fmt::format("{}.{}.{}-{:016x}", base64url(R"({"alg":"none","typ":"JWT"})"), base64url(claims.dump()),
                       expires, signature);
}

http::Response TeslaApi::token(const http::Request& request, scheduling::WallTime wall) {
    std::string refresh = parameter(request.body, "refresh_token");
    std::string client = parameter(request.body, "client_id");
    std::string grant = parameter(request.body, "grant_type");
    if (const auto body = json::parse(request.body, nullptr, false); body.is_object()) {
        refresh = body.value("refresh_token", "");
        client = body.value("client_id", "");
        grant = body.value("grant_type", "");
    }
    if (client != config_.client_id) {
        return json_response(400, {{"error", "unauthorized_client"}, {"error_description", "unknown client_id"}});
    }
    constexpr std::string_view prefix = "sim-refresh-";
    std::int64_t number = -1;
    const char* const end = refresh.data() + refresh.size();
    const bool is_ours = refresh.starts_with(prefix) &&
                         std::from_chars(refresh.data() + prefix.size(), end, number).ptr == end && number >= 0;
    if (grant != "refresh_token" || !is_ours) {
        return json_response(400, {{"error", "invalid_grant"}, {"error_description", "not a refresh token of ours"}});
    }
    if (number + 1 < refresh_number_) {
        return json_response(401,
                             {{"error", "login_required"}, {"error_description", "The refresh_token is expired."}});
    }
    refresh_number_ = number + 1;
    const auto lasts_s = static_cast<std::int64_t>(config_.token_lasts_s);
    return json_response(200, {{"access_token", access_token(epoch_s(wall) + lasts_s)},
                               {"refresh_token", fmt::format("{}{}", prefix, refresh_number_)},
                               {"token_type", "Bearer"},
                               {"expires_in", lasts_s}});
}

bool TeslaApi::is_authorized(const http::Request& request, scheduling::WallTime wall) const {
    const std::string token = bearer_token(request);
    const auto signature = token.rfind('.');
    std::int64_t expires = 0;
    if (signature == std::string::npos ||
        std::from_chars(token.data() + signature + 1, token.data() + token.size(), expires).ec != std::errc{}) {
        return false;
    }
    return expires > epoch_s(wall) && token == access_token(expires);
}

http::Response TeslaApi::result(bool done, const std::string& reason) const {
    return json_response(200,
                         {{"response", {{"result", done}, {"reason", done ? "" : config_.reason_prefix + reason}}}});
}

http::Response TeslaApi::start(Car& car) const {
    switch (car.charging()) {
        case Car::Charging::disconnected:
            return result(false, "disconnected");
        case Car::Charging::complete:
            return result(false, "complete");
        case Car::Charging::charging:
            return result(false, "is_charging");
        case Car::Charging::starting:
            return result(false, "requested");
        case Car::Charging::stopped:
        case Car::Charging::no_power:
            break;
    }
    car.allow_charging(true);
    return result(true);
}

http::Response TeslaApi::command(const http::Request& request, const std::string& name, Car& car, Site& site) {
    if (const auto wait = command_quota_.retry_after_s(site.now())) {
        return limited(*wait);
    }
    if (car.asleep()) {
        return error(408, "vehicle unavailable: vehicle is offline or asleep");
    }
    if (name == "charge_start") {
        return start(car);
    }
    if (name == "charge_stop") {
        const auto state = car.charging();
        if (state != Car::Charging::charging && state != Car::Charging::starting && state != Car::Charging::no_power) {
            return result(false, "not_charging");
        }
        car.allow_charging(false);
        return result(true);
    }
    if (name == "set_charging_amps") {
        const auto amps = number_of(request, "charging_amps");
        if (!amps || !(*amps >= 0 && *amps <= 100)) {
            return error(400, "invalid_field: charging_amps");
        }
        car.set_amps_request(static_cast<int>(*amps));
        return result(true);
    }
    if (name == "set_charge_limit") {
        const auto percent = number_of(request, "percent");
        if (!percent || !(*percent >= 50 && *percent <= 100)) {
            return error(400, "invalid_field: percent");
        }
        if (static_cast<int>(car.charge_limit_pct()) == static_cast<int>(*percent)) {
            return result(false, "already_set");
        }
        car.set_charge_limit(std::floor(*percent));
        return result(true);
    }
    return error(400, "invalid_command");
}

http::Response TeslaApi::data(const http::Request& request, std::size_t index, Site& site, scheduling::WallTime wall) {
    if (const auto wait = data_quota_.retry_after_s(site.now())) {
        return limited(*wait);
    }
    Car& car = site.cars()[index];
    if (car.asleep()) {
        return error(408, "vehicle unavailable: vehicle is offline or asleep");
    }
    car.keep_awake();
    const std::string endpoints = parameter(url_query(request.url), "endpoints");
    const auto wanted = [&endpoints](const char* name) {
        return endpoints.empty() || (";" + endpoints + ";").find(fmt::format(";{};", name)) != std::string::npos;
    };
    json vehicle = identity(car, index);
    if (wanted("charge_state")) {
        vehicle["charge_state"] = charge_state(car, wall);
    }
    // Coordinates only for those who ask for them by name (firmware 2023.38 and later).
    const bool with_location = !endpoints.empty() && wanted("location_data");
    if (wanted("drive_state") || with_location) {
        vehicle["drive_state"] = drive_state(with_location, wall);
    }
    if (wanted("vehicle_state")) {
        vehicle["vehicle_state"] = {{"car_version", "2026.20.3 abcdef012345"},
                                    {"vehicle_name", car.config().name},
                                    {"odometer", 20123.4},
                                    {"locked", true},
                                    {"is_user_present", false},
                                    {"timestamp", epoch_s(wall) * 1000}};
    }
    return json_response(200, {{"response", vehicle}});
}

http::Response TeslaApi::vehicle(const http::Request& request, const std::string& rest, Site& site,
                                 scheduling::WallTime wall) {
    const auto slash = rest.find('/');
    const auto index = find_vehicle(site, rest.substr(0, slash));
    if (!index) {
        return error(404, "not_found");
    }
    Car& car = site.cars()[*index];
    const std::string what = slash == std::string::npos ? "" : rest.substr(slash + 1);
    const bool is_post = request.method == "POST";
    if (is_post && !request.body.empty() && request_header(request, "content-type").find("json") == std::string::npos) {
        return error(406, "content type must be application/json");
    }
    if (what.empty() && !is_post) {
        return json_response(200, {{"response", identity(car, *index)}});
    }
    if (what == "vehicle_data" && !is_post) {
        return data(request, *index, site, wall);
    }
    if (what == "mobile_enabled" && !is_post) {
        return json_response(200, {{"response", {{"reason", ""}, {"result", true}}}});
    }
    constexpr std::string_view commands = "command/";
    if ((what == "wake_up" || what == "command/wake_up") && is_post) {
        if (const auto wait = wake_quota_.retry_after_s(site.now())) {
            return limited(*wait);
        }
        auto state = identity(car, *index);  // still as it was: waking takes a while
        car.wake();
        return json_response(200, {{"response", state}});
    }
    if (what.starts_with(commands)) {
        return is_post ? command(request, what.substr(commands.size()), car, site) : error(405, "POST only");
    }
    return error(404, "not_found");
}

std::optional<http::Response> TeslaApi::answer(const http::Request& request, Site& site, scheduling::WallTime wall) {
    if (const auto faulty = faulty_response(site.fault(Device::tesla))) {
        return *faulty;
    }
    const std::string path = url_path(request.url);
    if (path == "/oauth2/v3/token") {
        return request.method == "POST" ? token(request, wall) : error(405, "POST only");
    }
    if (!is_authorized(request, wall)) {
        return error(401, "token expired (401)");
    }
    constexpr std::string_view vehicles = "/api/1/vehicles";
    if (path == vehicles || path == "/api/1/products") {
        return list(site);
    }
    if (path.starts_with("/api/1/vehicles/")) {
        return vehicle(request, path.substr(vehicles.size() + 1), site, wall);
    }
    return error(404, "not_found");
}

}  // namespace house_sim
