#pragma once

#include <deque>
#include <optional>

#include "house-sim/config.hpp"
#include "http/http_client.hpp"
#include "scheduling/scheduler.hpp"

namespace house_sim {

/// A Fleet-API-shaped cloud for the cars that have a VIN: token refresh with rotation, vehicle list and data, wake-up
/// and the charging commands, with the statuses real clients have to cope with.
///
/// Refresh tokens are `sim-refresh-N`. Each refresh answers with N + 1; the one before stays usable once more, for a
/// lost reply; older ones are refused. A higher N than ever given out is accepted, because it comes from the run
/// before this one.
class TeslaApi {
public:
    TeslaApi(TeslaConfig config, std::uint64_t seed) : config_(std::move(config)), seed_(seed) {}

    /// None: no answer at all.
    std::optional<http::Response> answer(const http::Request& request, Site& site, scheduling::WallTime wall);

private:
    /// Calls of one category in the last minute.
    struct Quota {
        std::size_t per_minute;
        std::deque<scheduling::Instant> calls;
        std::optional<int> retry_after_s(scheduling::Instant now);
    };

    http::Response token(const http::Request& request, scheduling::WallTime wall);
    bool is_authorized(const http::Request& request, scheduling::WallTime wall) const;
    http::Response vehicle(const http::Request& request, const std::string& rest, Site& site,
                           scheduling::WallTime wall);
    http::Response command(const http::Request& request, const std::string& name, Car& car, Site& site);
    http::Response data(const http::Request& request, std::size_t index, Site& site, scheduling::WallTime wall);
    http::Response result(bool done, const std::string& reason = "") const;
    http::Response start(Car& car) const;
    std::string access_token(std::int64_t expires) const;

    TeslaConfig config_;
    std::uint64_t seed_;
    std::int64_t refresh_number_ = 0;
    Quota data_quota_{.per_minute = 60, .calls = {}};
    Quota command_quota_{.per_minute = 30, .calls = {}};
    Quota wake_quota_{.per_minute = 3, .calls = {}};
};

}  // namespace house_sim
