// Whatever a server or TeslaMate sends: no crash, no exception but contract::Invalid and TokenError, and no word of
// ours that could break a log line. The first byte chooses status and command, the rest is the body.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "contract/schema.hpp"
#include "tesla-bridge/authenticator.hpp"
#include "tesla-bridge/fleet_answer.hpp"
#include "tesla-bridge/teslamate.hpp"

namespace {

using namespace tesla_bridge;

constexpr std::array statuses{200, 302, 400, 401, 403, 404, 408, 412, 421, 429, 500, 503};
constexpr std::array commands{Command{CommandKind::charge_start, 0}, Command{CommandKind::charge_stop, 0},
                              Command{CommandKind::set_amps, 16}, Command{CommandKind::set_limit, 80},
                              Command{CommandKind::wake, 0}};
constexpr std::array keys{"battery_level", "charging_state", "plugged_in", "location", "geofence", "state"};

void require(bool holds) {
    if (!holds) {
        std::abort();
    }
}

bool fits_a_log_line(std::string_view text) {
    return text.size() < 1000 &&
           std::ranges::none_of(text, [](char c) { return c == '\n' || c == '\r' || c == '\x1b'; });
}

void check(const Verdict& verdict) {
    require(fits_a_log_line(verdict.reason));
    require(verdict.retry_after.count() >= 0 && verdict.retry_after.count() <= 86'400);
}

template <class Parse>
void parse_or_refuse(Parse parse) {
    try {
        parse();
    } catch (const contract::Invalid&) {
        return;
    } catch (const TokenError& error) {
        require(fits_a_log_line(error.what()));
    }
}

}  // namespace

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) {
        return 0;
    }
    const std::string body(data + 1, data + size);
    const http::Response response{statuses.at(data[0] % statuses.size()), {{"retry-after", body.substr(0, 24)}}, body};
    const CallTime time{scheduling::Instant(std::chrono::hours(1000)),
                        scheduling::WallTime(std::chrono::hours(500'000))};
    const Home home{.location = Location{50.1, 8.6}, .radius_m = 500, .geofence = "Home"};

    check(judge_read(response));
    check(judge_command(commands.at(data[0] % commands.size()), response));
    parse_or_refuse([&] {
        for (const auto& problem : parse_vehicle_data(body, home, time).problems) {
            require(fits_a_log_line(problem));
        }
    });
    parse_or_refuse([&] { parse_vehicle(body, time); });
    parse_or_refuse([&] { parse_tokens(body); });
    parse_or_refuse([&] { parse_teslamate(keys.at(data[0] % keys.size()), body, home, time.now); });
    const Tokens old{.access_token = "a", .refresh_token = "r", .expires_at = {}};
    if (const auto refreshed = parse_refresh(response, old, time.wall); std::holds_alternative<Verdict>(refreshed)) {
        check(std::get<Verdict>(refreshed));
    }
    return 0;
}
