#include "ems-bridge/sources/powerwall.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "ems-bridge/program.hpp"
#include "ems-bridge/sources/http_source.hpp"

namespace ems_bridge {

namespace {

using namespace std::chrono_literals;
using nlohmann::json;

constexpr int ok = 200;
constexpr int unauthorized = 401;
constexpr int forbidden = 403;
constexpr int not_found = 404;
constexpr int too_many_requests = 429;
constexpr int sitemaster_stopped = 502;
constexpr int unavailable = 503;

// The gateway locks an account after a few failed logins (EMS source notes, Powerwall).
constexpr auto pause_after_failed_login = 10min;
constexpr auto pause_when_busy = 5min;
// A token that is refused this soon after a login will be refused again.
constexpr int fewest_reads_a_login = 12;
// Firmware without the state of charge is asked again from time to time: some 10 min at the usual pace.
constexpr int reads_between_charge_attempts = 120;

// Survives the source: a time-out must not cost a login.
struct Session {
    std::string token;
    int reads_since_login = 0;
    int reads_until_charge = 0;
};

json parse_object(std::string_view body, const char* what) {
    try {
        json parsed = contract::parse_json(body);
        if (!parsed.is_object()) {
            throw SourceError(ErrorKind::malformed, fmt::format("Powerwall {}: not an object", what));
        }
        return parsed;
    } catch (const contract::Invalid& error) {
        throw SourceError(ErrorKind::malformed, fmt::format("Powerwall {}: {}", what, error.what()));
    }
}

std::optional<double> number_at(const json& object, const json::json_pointer& pointer) {
    const json value = object.value(pointer, json(nullptr));
    return value.is_number() ? std::optional(value.get<double>()) : std::nullopt;
}

std::optional<double> kwh(std::optional<double> watt_hours) {
    constexpr double watt_hours_per_kwh = 1000;
    return watt_hours ? std::optional(*watt_hours / watt_hours_per_kwh) : std::nullopt;
}

class Powerwall final : public Source {
public:
    Powerwall(std::unique_ptr<http::HttpClient> client, PowerwallSettings settings, std::shared_ptr<Session> session)
        : client_(std::move(client)), settings_(std::move(settings)), session_(std::move(session)) {}

    Reading read() override {
        if (session_->token.empty()) {
            log_in();
        }
        Reading reading = parse_powerwall_aggregates(get("/api/meters/aggregates").body);
        if (session_->reads_until_charge > 0) {
            --session_->reads_until_charge;
        } else {
            const auto charge = get("/api/system_status/soe");
            if (charge.status == ok) {
                reading.battery_soc_pct = parse_powerwall_charge(charge.body);
            } else {
                session_->reads_until_charge = reads_between_charge_attempts;
            }
        }
        ++session_->reads_since_login;
        return reading;
    }

private:
    http::Response send(const std::string& method, const std::string& path, const std::string& body) {
        http::Request request{
            .method = method, .url = settings_.url + path, .body = body, .timeout = settings_.timeout};
        if (method == "POST") {
            request.headers.emplace_back("Content-Type", "application/json");
        } else {
            request.headers.emplace_back("Authorization", "Bearer " + session_->token);
        }
        return client_->send(request);
    }

    // Answers 200, or 404 for the state of charge; throws for everything else.
    http::Response get(const std::string& path) {
        auto response = send("GET", path, "");
        if (response.status == unauthorized || response.status == forbidden) {
            log_in_again();
            response = send("GET", path, "");
        }
        const bool may_be_absent = path.ends_with("/soe");
        if (response.status == ok || (may_be_absent && response.status == not_found)) {
            return response;
        }
        fail(path, response);
    }

    void log_in_again() {
        session_->token.clear();
        if (session_->reads_since_login < fewest_reads_a_login) {
            throw SourceError(ErrorKind::login, fmt::format("{}: refuses a token it gave just before", settings_.url),
                              pause_after_failed_login);
        }
        log_in();
    }

    void log_in() {
        const json body{{"username", "customer"},
                        {"email", settings_.email},
                        {"password", settings_.password},
                        {"force_sm_off", false}};  // true would stop the battery
        const auto response =
            send("POST", "/api/login/Basic", body.dump(-1, ' ', false, json::error_handler_t::replace));
        if (response.status == too_many_requests) {
            throw SourceError(ErrorKind::rate_limited, fmt::format("{}: too many logins", settings_.url),
                              pause_when_busy);
        }
        if (response.status == unauthorized || response.status == forbidden) {
            throw SourceError(ErrorKind::login, fmt::format("{}: wrong email or password", settings_.url),
                              pause_after_failed_login);
        }
        if (response.status != ok) {
            fail("/api/login/Basic", response);
        }
        const json answer = parse_object(response.body, "login");
        const json token = answer.value("token", json(nullptr));
        if (!token.is_string() || token.get_ref<const std::string&>().empty()) {
            throw SourceError(ErrorKind::malformed, fmt::format("{}: login without a token", settings_.url),
                              pause_when_busy);
        }
        session_->token = token.get<std::string>();
        session_->reads_since_login = 0;
    }

    [[noreturn]] void fail(const std::string& path, const http::Response& response) {
        if (response.status == unauthorized || response.status == forbidden) {
            session_->token.clear();
            throw SourceError(ErrorKind::login, fmt::format("{}{}: refused after a login", settings_.url, path),
                              pause_after_failed_login);
        }
        if (response.status == sitemaster_stopped) {
            throw SourceError(ErrorKind::device, fmt::format("{}: the gateway's sitemaster is stopped", settings_.url));
        }
        if (response.status == unavailable || response.status == too_many_requests) {
            throw SourceError(ErrorKind::rate_limited,
                              fmt::format("{}{}: HTTP {}, pausing", settings_.url, path, response.status),
                              pause_when_busy);
        }
        check_status(response, settings_.url + path);
        throw SourceError(ErrorKind::device, settings_.url + path);
    }

    std::unique_ptr<http::HttpClient> client_;
    PowerwallSettings settings_;
    std::shared_ptr<Session> session_;
};

}  // namespace

Reading parse_powerwall_aggregates(std::string_view body) {
    static const json::json_pointer site_w("/site/instant_power");
    static const json::json_pointer site_v("/site/instant_average_voltage");
    static const json::json_pointer site_imported("/site/energy_imported");
    static const json::json_pointer site_exported("/site/energy_exported");
    static const json::json_pointer site_heard("/site/last_communication_time");
    static const json::json_pointer solar_w("/solar/instant_power");
    static const json::json_pointer solar_exported("/solar/energy_exported");
    static const json::json_pointer battery_w("/battery/instant_power");
    static const json::json_pointer load_w("/load/instant_power");
    constexpr double highest_phase_v = 300;  // above it is the voltage between lines

    const json meters = parse_object(body, "aggregates");
    Reading reading;
    try {
        reading.grid_w = number_at(meters, site_w);
        reading.pv_w = number_at(meters, solar_w);
        reading.battery_w = number_at(meters, battery_w);
        reading.house_w = number_at(meters, load_w);
        const auto volts = number_at(meters, site_v);
        if (volts && *volts > 0 && *volts < highest_phase_v) {
            reading.voltage_v[0] = volts;
        }
        reading.import_kwh = kwh(number_at(meters, site_imported));
        reading.export_kwh = kwh(number_at(meters, site_exported));
        reading.pv_kwh = kwh(number_at(meters, solar_exported));
        const json heard = meters.value(site_heard, json(nullptr));
        if (heard.is_string()) {
            reading.measured_at = contract::parse_timestamp(heard.get_ref<const std::string&>());
        }
    } catch (const json::exception& error) {
        throw SourceError(ErrorKind::malformed, fmt::format("Powerwall aggregates: {}", error.what()));
    }
    if (!reading.grid_w) {
        throw SourceError(ErrorKind::malformed, "Powerwall aggregates: no number at /site/instant_power");
    }
    if (reading.grid_w == 0 && reading.pv_w == 0 && reading.battery_w == 0 && reading.house_w == 0) {
        throw SourceError(ErrorKind::device, "Powerwall aggregates: all zero, as just after a restart");
    }
    if (reading.pv_w) {
        reading.pv_w = std::max(0.0, *reading.pv_w);
    }
    return reading;
}

double parse_powerwall_charge(std::string_view body) {
    constexpr double kept_back_pct = 5;
    constexpr double shown_part = 0.95;
    static const json::json_pointer percentage("/percentage");
    const auto raw = number_at(parse_object(body, "soe"), percentage);
    if (!raw || *raw < 0 || *raw > 100) {
        throw SourceError(ErrorKind::malformed, "Powerwall soe: no percentage from 0 to 100");
    }
    return std::clamp((*raw - kept_back_pct) / shown_part, 0.0, 100.0);
}

PowerwallSettings read_powerwall(const config::Section& section) {
    PowerwallSettings settings{.url = section.text("url"),
                               .email = section.text_or("email", "twc@example.org"),
                               .password = section.secret_file("password"),
                               .trust = read_trust(section),
                               .timeout = section.seconds_or("timeout_s", 5, 0.1, 30)};
    while (settings.url.ends_with('/')) {
        settings.url.pop_back();
    }
    const bool is_https = settings.url.starts_with("https://");
    if (!is_https && !settings.url.starts_with("http://") && section.has("url")) {
        section.report("url", "expected https://host");
    }
    if (is_https && !section.has("tls")) {
        section.report("tls", "missing: the gateway signs its own certificate; give pin, ca_file or accept_any: true");
    }
    if (!section.has("password_file")) {
        section.report("password_file", "missing");
    }
    return settings;
}

MakeSource make_powerwall(PowerwallSettings settings) {
    return [settings = std::move(settings), session = std::make_shared<Session>()](Io& io) -> std::unique_ptr<Source> {
        return std::make_unique<Powerwall>(io.http.make_client(settings.trust), settings, session);
    };
}

}  // namespace ems_bridge
