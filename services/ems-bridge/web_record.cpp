#include "ems-bridge/web_record.hpp"

#include <cmath>

#include <spdlog/spdlog.h>

#include "contract/schema.hpp"

namespace ems_bridge {

void WebRecord::on_answer(scheduling::Instant now) {
    if (error_ || !heard_at_) {
        spdlog::info("{}: answers", name_);
    }
    heard_at_ = now;
    error_.reset();
    error_kind_.reset();
}

void WebRecord::on_failure(ErrorKind kind, const std::string& what) {
    if (error_kind_ != kind) {
        spdlog::warn("{}: {}", name_, what);
    }
    error_ = what;
    error_kind_ = kind;
}

bool WebRecord::is_fresh(scheduling::Duration stale_after, scheduling::Instant now) const {
    return heard_at_ && now - *heard_at_ <= stale_after;
}

nlohmann::json WebRecord::summary(const FetchCounts& counts, scheduling::Instant now) const {
    nlohmann::json summary{
        {"fetches", counts.fetches}, {"errors", counts.errors}, {"error", nullptr}, {"age_s", nullptr}};
    if (error_) {
        summary["error"] = contract::valid_utf8(*error_);
    }
    if (heard_at_) {
        summary["age_s"] = std::round(std::chrono::duration<double>(now - *heard_at_).count());
    }
    return summary;
}

}  // namespace ems_bridge
