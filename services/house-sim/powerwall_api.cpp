#include "house-sim/powerwall_api.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "contract/timestamp.hpp"
#include "house-sim/http_parts.hpp"

namespace house_sim {

namespace {

using nlohmann::json;

constexpr std::size_t most_sessions = 100;

json meter(scheduling::WallTime wall, double watts, double exported_wh, double imported_wh, double volts) {
    return {{"last_communication_time", contract::format_timestamp(wall)},
            {"instant_power", watts},
            {"frequency", 50.01},
            {"energy_exported", exported_wh},
            {"energy_imported", imported_wh},
            {"instant_average_voltage", volts},
            {"instant_average_current", 0},
            {"i_a_current", 0},
            {"i_b_current", 0},
            {"i_c_current", 0},
            {"instant_total_current", volts > 0 ? watts / volts : 0},
            {"timeout", 1500000000}};
}

json aggregates(const House& house, scheduling::WallTime wall) {
    const auto& flow = house.flow();
    const auto& counted = house.energies();
    const double volts = flow.voltage_v[0];
    return {{"site", meter(wall, flow.grid_w, counted.export_wh, counted.import_wh, volts)},
            {"battery", meter(wall, flow.battery_w, counted.battery_out_wh, counted.battery_in_wh, volts)},
            {"load", meter(wall, flow.load_w + flow.chargers_w, 0, counted.load_wh, volts)},
            {"solar", meter(wall, flow.pv_w, counted.pv_wh, 0, volts)}};
}

// The gateway counts the hidden reserve: the app shows (raw − 5) / 0.95.
double raw_percentage(double shown_pct) { return shown_pct * 0.95 + 5; }

json site_meter(const House& house) {
    const auto& flow = house.flow();
    json readings = json::object();
    constexpr std::array names{'1', '2', '3'};
    constexpr std::array letters{'a', 'b', 'c'};
    for (std::size_t phase = 0; phase < static_cast<std::size_t>(house.config().phases); ++phase) {
        readings[fmt::format("v_l{}n", names.at(phase))] = flow.voltage_v.at(phase);
        readings[fmt::format("real_power_{}", letters.at(phase))] = flow.grid_phase_w.at(phase);
        readings[fmt::format("i_{}_current", letters.at(phase))] =
            flow.grid_phase_w.at(phase) / flow.voltage_v.at(phase);
    }
    return json::array({{{"id", 0}, {"location", "site"}, {"Cached_readings", readings}}});
}

http::Response error(int status, const std::string& name, const std::string& message) {
    return json_response(status, {{"code", status}, {"error", name}, {"message", message}});
}

// The value of one cookie of the request.
std::string cookie(const http::Request& request, const std::string& name) {
    const std::string all = "; " + request_header(request, "cookie");
    const auto at = all.find("; " + name + "=");
    if (at == std::string::npos) {
        return {};
    }
    const auto begin = at + name.size() + 3;
    return all.substr(begin, all.find(';', begin) - begin);
}

}  // namespace

http::Response PowerwallApi::log_in(const http::Request& request, scheduling::Instant now, scheduling::WallTime wall) {
    const auto body = json::parse(request.body, nullptr, false);
    const bool is_right = body.is_object() && body.contains("password") && body["password"] == config_.password &&
                          body.contains("username") && body["username"] == "customer";
    if (!is_right) {
        return error(401, "bad credentials", "Login Error");
    }
    const std::string token = fmt::format("{:016x}{:016x}==", random_.bits(), random_.bits());
    if (sessions_.size() >= most_sessions) {
        sessions_.erase(sessions_.begin());
    }
    sessions_[token] = now + std::chrono::milliseconds(static_cast<std::int64_t>(config_.cookie_lasts_s * 1000));
    auto response = json_response(200, {{"email", body.value("email", "")},
                                        {"firstname", "Tesla"},
                                        {"lastname", "Energy"},
                                        {"roles", json::array({"Home_Owner"})},
                                        {"token", token},
                                        {"provider", "Basic"},
                                        {"loginTime", contract::format_timestamp(wall)}});
    response.headers.emplace("set-cookie", "AuthCookie=" + token + "; Path=/");
    response.headers.emplace("set-cookie", "UserRecord=" + token + "; Path=/");
    return response;
}

bool PowerwallApi::is_logged_in(const http::Request& request, scheduling::Instant now) const {
    const std::string bearer = bearer_token(request);
    const auto session = sessions_.find(bearer.empty() ? cookie(request, "AuthCookie") : bearer);
    return session != sessions_.end() && now < session->second;
}

std::optional<http::Response> PowerwallApi::answer(const http::Request& request, const Site& site,
                                                   scheduling::WallTime wall) {
    const std::string path = url_path(request.url);
    if (const auto faulty = faulty_response(site.fault(Device::powerwall))) {
        return *faulty;
    }
    if (path == "/api/login/Basic" && request.method == "POST") {
        return log_in(request, site.now(), wall);
    }
    if (request.method != "GET") {
        return error(405, "method not allowed", "only GET");
    }
    if (path == "/api/status") {
        return json_response(200, {{"din", "1152100-14-J--SIM0000000001"}, {"version", "23.12.10"}, {"is_new", false}});
    }
    if (!is_logged_in(request, site.now())) {
        return error(401, "Token has expired or is missing", "Unauthorized");
    }
    const auto& house = site.house();
    if (path == "/api/meters/aggregates") {
        return json_response(200, aggregates(house, wall));
    }
    if (path == "/api/meters/site") {
        return json_response(200, site_meter(house));
    }
    if (path == "/api/system_status/soe" && house.has_battery()) {
        return json_response(200, {{"percentage", raw_percentage(house.flow().battery_soc_pct)}});
    }
    if (path == "/api/system_status/grid_status") {
        return json_response(200, {{"grid_status", "SystemGridConnected"}, {"grid_services_active", false}});
    }
    if (path == "/api/operation") {
        const double reserve = house.config().battery.reserve_pct;
        return json_response(200,
                             {{"real_mode", "self_consumption"}, {"backup_reserve_percent", raw_percentage(reserve)}});
    }
    return error(404, "not found", path);
}

}  // namespace house_sim
