#include "twc-bus/fuse_guard.hpp"

#include <algorithm>
#include <array>

namespace twc_bus {

namespace {

using namespace std::chrono_literals;
using scheduling::Instant;

constexpr auto blind_after = 10s;
constexpr auto lost_after = 60s;
constexpr auto room_must_last = 10s;
// Chargers report what they draw once a second.
constexpr auto report_lag = 1200ms;
// Meters average over a second or two, so a sample may show what the chargers drew that long before.
constexpr auto meter_lag = 2s;
constexpr auto drawn_kept = 15s;
constexpr std::array names{"the house fuse on L1", "the house fuse on L2", "the house fuse on L3"};

}  // namespace

void FuseGuard::on_drawn(const std::array<int, 3>& drawn_ca, Instant now) {
    if (drawn_.empty() || drawn_.back().ca != drawn_ca) {
        drawn_.push_back({now, drawn_ca});
    }
    while (drawn_.size() > 1 && drawn_[1].at < now - drawn_kept) {
        drawn_.pop_front();
    }
    judge_ripe_samples(now);
}

void FuseGuard::on_sample(const std::array<std::optional<int>, 3>& grid_ca, Instant measured_at, Instant now) {
    if (std::ranges::none_of(grid_ca, [](const auto& ca) { return ca.has_value(); })) {
        return;
    }
    const Sample sample{std::min(measured_at, now), grid_ca};
    heard_at_ = sample.measured_at;
    stop_overload(sample);
    samples_.push_back(sample);
    judge_ripe_samples(now);
}

void FuseGuard::stop_overload(const Sample& sample) {
    overloaded_.reset();
    Room room{.at = sample.measured_at, .ca = {}};
    for (std::size_t line = 0; line < sample.grid_ca.size(); ++line) {
        const auto& grid_ca = sample.grid_ca.at(line);
        if (grid_ca && *grid_ca > fuse_ca_) {
            overloaded_ = static_cast<int>(line);
            const int left = fuse_ca_ - *grid_ca + drawn_around(line, sample.measured_at).low;
            auto& limit = limit_ca_.at(line);
            limit = std::min(limit.value_or(left), left);
            room.ca.at(line) = left;
        }
    }
    if (overloaded_) {
        rooms_.push_back(room);  // older samples, judged later, must not lift the limit again
    }
}

void FuseGuard::judge_ripe_samples(Instant now) {
    while (!samples_.empty() && now - samples_.front().measured_at >= report_lag) {
        judge(samples_.front());
        samples_.pop_front();
    }
}

void FuseGuard::judge(const Sample& sample) {
    Room room{.at = sample.measured_at, .ca = {}};
    PerLine at_most;
    for (std::size_t line = 0; line < sample.grid_ca.size(); ++line) {
        if (const auto& grid_ca = sample.grid_ca.at(line)) {
            const auto drawn = drawn_around(line, sample.measured_at);
            room.ca.at(line) = fuse_ca_ - *grid_ca + drawn.low;
            at_most.at(line) = fuse_ca_ - *grid_ca + (*grid_ca > fuse_ca_ ? drawn.low : drawn.high);
        }
    }
    rooms_.push_back(room);
    while (rooms_.front().at <= sample.measured_at - room_must_last) {
        rooms_.pop_front();
    }
    for (std::size_t line = 0; line < at_most.size(); ++line) {
        if (at_most.at(line)) {
            auto& limit = limit_ca_.at(line);
            const int lasting = lowest_room(line);
            limit = limit ? std::min(std::max(*limit, lasting), *at_most.at(line)) : lasting;
        }
    }
}

FuseGuard::Range FuseGuard::drawn_around(std::size_t line, Instant measured_at) const {
    std::optional<Range> range;
    for (std::size_t i = 0; i < drawn_.size(); ++i) {
        const bool ended_before = i + 1 < drawn_.size() && drawn_[i + 1].at <= measured_at - meter_lag;
        if (ended_before || drawn_[i].at > measured_at + report_lag) {
            continue;
        }
        const int ca = std::max(0, drawn_[i].ca.at(line));
        range = range ? Range{std::min(range->low, ca), std::max(range->high, ca)} : Range{ca, ca};
    }
    return range.value_or(Range{});
}

int FuseGuard::lowest_room(std::size_t line) const {
    int lowest = fuse_ca_;
    for (const auto& room : rooms_) {
        lowest = std::min(lowest, room.ca.at(line).value_or(lowest));
    }
    return lowest;
}

std::vector<SharedLimit> FuseGuard::limits() const {
    std::vector<SharedLimit> limits;
    for (std::size_t line = 0; line < names.size(); ++line) {
        if (const auto& limit = limit_ca_.at(line)) {
            limits.push_back({names.at(line), std::max(0, *limit), static_cast<int>(line), {}});
        }
    }
    return limits;
}

bool FuseGuard::is_blind(Instant now) const { return rooms_.empty() || now - heard_at_ >= blind_after; }

bool FuseGuard::is_lost(Instant now) const { return now - heard_at_ >= lost_after; }

Instant FuseGuard::changes_at(Instant now) const {
    Instant next = Instant::max();
    for (const auto& when : {heard_at_ + blind_after, heard_at_ + lost_after}) {
        next = when > now ? std::min(next, Instant(when)) : next;
    }
    return next;
}

}  // namespace twc_bus
