#pragma once

#include <optional>
#include <string>

#include <nlohmann/json.hpp>

#include "ems-bridge/fetcher.hpp"
#include "scheduling/scheduler.hpp"

namespace ems_bridge {

/// How one web service has answered so far; says so in the log when that changes.
class WebRecord {
public:
    /// `name`: of the entry, for the log.
    explicit WebRecord(std::string name) : name_(std::move(name)) {}

    void on_answer(scheduling::Instant now);
    void on_failure(ErrorKind kind, const std::string& what);

    /// An answer came within that time.
    bool is_fresh(scheduling::Duration stale_after, scheduling::Instant now) const;

    /// `error`, `age_s` and the counts of the fetcher, for the metrics.
    nlohmann::json summary(const FetchCounts& counts, scheduling::Instant now) const;

private:
    std::string name_;
    std::optional<scheduling::Instant> heard_at_;
    std::optional<std::string> error_;
    std::optional<ErrorKind> error_kind_;
};

}  // namespace ems_bridge
