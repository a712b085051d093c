#include "tesla-bridge/config.hpp"

#include <algorithm>
#include <set>
#include <unistd.h>

#include <fmt/format.h>

#include "contract/topics.hpp"

namespace tesla_bridge {

namespace {

constexpr const char* usual_token_url = "https://fleet-auth.prd.vn.cloud.tesla.com/oauth2/v3/token";

std::string read_url(const config::Section& section, const std::string& key, const std::string& fallback) {
    std::string url = fallback.empty() ? section.text(key) : section.text_or(key, fallback);
    while (url.ends_with('/')) {
        url.pop_back();
    }
    const bool has_scheme = url.starts_with("https://") || url.starts_with("http://");
    const bool is_plain = std::ranges::all_of(url, [](char c) { return c > ' ' && c < '\x7f'; });
    if (!url.empty() && (!has_scheme || !is_plain || url.find_first_of("?#@") != std::string::npos)) {
        section.report(key, fmt::format("\"{}\" is not a URL like https://host:port, without user, ? or #", url));
    }
    return url;
}

http::TlsTrust read_trust(const config::Section& account) {
    http::TlsTrust trust;
    trust.ca_file = account.text_or("ca_file", "");
    const bool any = account.flag_or("insecure", false);
    if (!trust.ca_file.empty()) {
        trust.mode = http::TlsTrust::Mode::ca_file;
        if (access(trust.ca_file.c_str(), R_OK) != 0) {
            account.report("ca_file", fmt::format("\"{}\" cannot be read", trust.ca_file));
        }
    }
    if (any) {
        trust.mode = http::TlsTrust::Mode::accept_any;
        if (!trust.ca_file.empty()) {
            account.report("insecure", "ca_file and insecure contradict each other");
        }
    }
    return trust;
}

void read_login(const config::Section& account, AccountConfig& result) {
    result.oauth.token_url = read_url(account, "token_url", usual_token_url);
    result.oauth.client_id = account.text_or("client_id", "");
    result.token_file = account.text_or("token_file", "");
    if (!result.needs_token) {
        for (const char* key : {"token_file", "client_id", "token_url"}) {
            if (account.has(key)) {
                account.report(key, "not used with auth: none");
            }
        }
        return;
    }
    if (result.token_file.empty()) {
        if (!account.has("token_file")) {
            account.report("token_file", "missing: the file with the login, see services/tesla-bridge/README.md");
        }
        return;
    }
    try {
        const Tokens tokens = TokenStore(result.token_file).load();
        const bool is_renewed = !tokens.refresh_token.empty();
        if (const auto problem = token_file_problem(result.token_file, is_renewed)) {
            account.report("token_file", *problem);
        }
        if (is_renewed && result.oauth.client_id.empty()) {
            account.report("client_id", "missing: needed to renew the login");
        }
    } catch (const std::exception& error) {
        account.report("token_file", error.what());
    }
}

Backend read_backend(const config::Section& account) {
    const std::string name = account.choice("backend", {"fleet_api", "tesla_http_proxy", "ble_proxy"});
    if (name == "ble_proxy") {
        return Backend::ble_proxy;
    }
    return name == "tesla_http_proxy" ? Backend::tesla_http_proxy : Backend::fleet_api;
}

std::optional<AccountConfig> read_account(const config::Section& root) {
    const auto account = root.section("account");
    if (account.keys().empty()) {
        return std::nullopt;
    }
    AccountConfig result;
    result.backend = read_backend(account);
    const bool is_ble = result.backend == Backend::ble_proxy;
    result.base_url = read_url(account, "base_url", "");
    result.trust = read_trust(account);
    // A Bluetooth proxy that is asked to wait tries several times before it answers.
    result.timeout = account.seconds_or("timeout_s", is_ble ? 45 : 15, 1, 120);
    result.oauth.timeout = result.timeout;
    result.needs_token = account.choice_or("auth", is_ble ? "none" : "bearer", {"none", "bearer"}) == "bearer";
    read_login(account, result);
    account.reject_unknown_keys();
    return result;
}

Home read_home(const config::Section& root) {
    const auto section = root.section("home");
    Home home;
    const auto latitude = section.optional_number("latitude", -90, 90);
    const auto longitude = section.optional_number("longitude", -180, 180);
    if (latitude && longitude) {
        home.location = Location{*latitude, *longitude};
    } else if (latitude || longitude) {
        section.report(latitude ? "longitude" : "latitude", "missing: latitude and longitude go together");
    }
    home.radius_m = section.number_or("radius_m", home.radius_m, 20, 50'000);
    home.geofence = section.text_or("teslamate_geofence", "");
    section.reject_unknown_keys();
    return home;
}

bool is_vin(const std::string& vin) {
    constexpr std::size_t length = 17;
    return vin.size() == length && std::ranges::all_of(vin, [](char c) {
               return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z' && c != 'I' && c != 'O' && c != 'Q');
           });
}

VehicleConfig read_vehicle(const config::Section& section, bool has_account) {
    VehicleConfig vehicle;
    vehicle.alias = section.text("alias");
    if (!vehicle.alias.empty() && !contract::is_valid_id(vehicle.alias)) {
        section.report("alias", fmt::format("\"{}\" is not made of a-z, 0-9, _ and -", vehicle.alias));
    }
    vehicle.has_link =
        section.choice_or("link", has_account ? "fleet" : "teslamate_only", {"fleet", "teslamate_only"}) == "fleet";
    vehicle.vin = section.text_or("vin", "");
    if (!vehicle.vin.empty() && !is_vin(vehicle.vin)) {
        section.report("vin", fmt::format("\"{}\" is not 17 capital letters (no I, O, Q) and digits", vehicle.vin));
    }
    if (section.has("teslamate_car_id")) {
        vehicle.teslamate_car_id = section.integer("teslamate_car_id", 1, 1'000'000);
    }
    vehicle.max_amps = section.integer_or("max_amps", vehicle.max_amps, 1, 80);
    if (vehicle.has_link && !has_account) {
        section.report("link", "fleet needs the section account");
    }
    if (vehicle.has_link && vehicle.vin.empty()) {
        section.report("vin", "missing: link fleet addresses the car by it");
    }
    if (!vehicle.has_link && !vehicle.teslamate_car_id) {
        section.report("teslamate_car_id", "missing: without link fleet there is no other source");
    }
    section.reject_unknown_keys();
    return vehicle;
}

std::vector<VehicleConfig> read_vehicles(const config::Section& root, bool has_account) {
    std::vector<VehicleConfig> vehicles;
    std::set<std::string> aliases;
    std::set<std::string> vins;
    std::set<int> car_ids;
    for (const auto& section : root.sections("vehicles")) {
        auto vehicle = read_vehicle(section, has_account);
        if (!vehicle.alias.empty() && !aliases.insert(vehicle.alias).second) {
            section.report("alias", fmt::format("\"{}\" is used twice", vehicle.alias));
        }
        if (!vehicle.vin.empty() && !vins.insert(vehicle.vin).second) {
            section.report("vin", "is used twice");
        }
        if (vehicle.teslamate_car_id && !car_ids.insert(*vehicle.teslamate_car_id).second) {
            section.report("teslamate_car_id", fmt::format("{} is used twice", *vehicle.teslamate_car_id));
        }
        vehicles.push_back(std::move(vehicle));
    }
    return vehicles;
}

// Commands over the cloud cost money; over Bluetooth they cost a little time.
Pacing usual_pacing(Backend backend) {
    Pacing pacing;
    pacing.low_amps_twice = backend != Backend::fleet_api;
    if (backend == Backend::ble_proxy) {
        pacing.amps_gap = std::chrono::seconds(15);
        pacing.limit_gap = std::chrono::seconds(30);
        pacing.wake_gap = std::chrono::seconds(120);
        pacing.commands_per_day = 3000;
        pacing.wakes_per_day = 40;
        pacing.commands_wake = true;
    }
    return pacing;
}

std::chrono::seconds read_seconds(const config::Section& section, const char* key, std::chrono::seconds fallback,
                                  int min, int max) {
    return std::chrono::seconds(section.integer_or(key, static_cast<int>(fallback.count()), min, max));
}

Pacing read_pacing(const config::Section& root, Backend backend) {
    const auto section = root.section("pacing");
    Pacing pacing = usual_pacing(backend);
    pacing.expire_after = read_seconds(section, "expire_after_s", pacing.expire_after, 30, 3600);
    pacing.amps_gap = read_seconds(section, "amps_gap_s", pacing.amps_gap, 1, 3000);
    pacing.start_stop_gap = read_seconds(section, "start_stop_gap_s", pacing.start_stop_gap, 1, 3000);
    pacing.limit_gap = read_seconds(section, "limit_gap_s", pacing.limit_gap, 1, 3000);
    const auto check = [&](const char* key, std::chrono::seconds gap) {
        if (gap >= pacing.expire_after) {
            section.report(key, fmt::format("{} s is not less than expire_after_s, {} s: orders would expire waiting",
                                            gap.count(), pacing.expire_after.count()));
        }
    };
    check("amps_gap_s", pacing.amps_gap);
    check("start_stop_gap_s", pacing.start_stop_gap);
    check("limit_gap_s", pacing.limit_gap);
    pacing.wake_gap = read_seconds(section, "wake_gap_s", pacing.wake_gap, 20, 86'400);  // Tesla allows 3 a minute
    pacing.commands_per_day = section.integer_or("commands_per_day", pacing.commands_per_day, 1, 20'000);
    pacing.wakes_per_day = section.integer_or("wakes_per_day", pacing.wakes_per_day, 0, 500);
    pacing.confirmed_for = read_seconds(section, "confirmed_for_s", pacing.confirmed_for, 10, 86'400);
    pacing.low_amps_twice = section.flag_or("low_amps_twice", pacing.low_amps_twice);
    pacing.only_at_home = section.flag_or("only_at_home", pacing.only_at_home);
    section.reject_unknown_keys();
    return pacing;
}

PollPace read_poll(const config::Section& root, Backend backend) {
    const auto section = root.section("poll");
    PollPace pace;
    if (backend == Backend::ble_proxy) {
        pace.charging = std::chrono::seconds(60);
        pace.reads_per_day = 2000;
    }
    pace.charging = read_seconds(section, "charging_s", pace.charging, 10, 86'400);
    pace.idle = read_seconds(section, "idle_s", pace.idle, 10, 86'400);
    pace.asleep = read_seconds(section, "asleep_s", pace.asleep, 10, 86'400);
    pace.reads_per_day = section.integer_or("reads_per_day", pace.reads_per_day, 1, 50'000);
    section.reject_unknown_keys();
    return pace;
}

}  // namespace

Config read_config(const config::Section& root) {
    Config config;
    config.account = read_account(root);
    const auto teslamate = root.section("teslamate");
    config.teslamate_prefix = teslamate.text_or("topic_prefix", config.teslamate_prefix);
    if (config.teslamate_prefix.find_first_of("+#") != std::string::npos || config.teslamate_prefix.ends_with('/')) {
        teslamate.report("topic_prefix", fmt::format("\"{}\" must be levels without +, # or a slash at the end",
                                                     config.teslamate_prefix));
    }
    teslamate.reject_unknown_keys();
    config.home = read_home(root);
    config.vehicles = read_vehicles(root, config.account.has_value());
    const Backend backend = config.account ? config.account->backend : Backend::fleet_api;
    config.pacing = read_pacing(root, backend);
    config.poll = read_poll(root, backend);
    return config;
}

}  // namespace tesla_bridge
