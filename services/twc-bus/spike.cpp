#include "twc-bus/spike.hpp"

#include <cstdlib>

#include "twc-bus/claim.hpp"

namespace twc_bus {

namespace {

using namespace std::chrono_literals;
using scheduling::Instant;

constexpr int big_unit_ca = 8000;
constexpr int spike_of_big_units_ca = 2100;
constexpr int spike_of_others_ca = 1600;
constexpr auto held_for = 5s;  // 3 s are too short
constexpr auto echoed_within = 10s;
constexpr auto pause = 60s;

constexpr int significant_ca = 80;
constexpr int stuck_below_ca = 200;
constexpr auto stuck_for = 10s;

}  // namespace

void Spike::on_heartbeat(const SlaveHeartbeat& heartbeat, Instant now) {
    if (!last_ || std::abs(heartbeat.drawn_ca - settled_ca_) >= significant_ca) {
        settled_ca_ = heartbeat.drawn_ca;
        settled_at_ = now;
    }
    last_ = heartbeat;
}

bool Spike::is_called_for(int wish_ca, int granted_ca, int spike_ca, Instant now) const {
    const bool charging = last_ && last_->drawn_ca >= drawing_ca;
    if (!charging || wish_ca <= 0 || wish_ca >= spike_ca || (again_from_ && now < *again_from_)) {
        return false;
    }
    const bool raised = settings_.on_raise && wish_before_ca_ && wish_ca > *wish_before_ca_;
    const bool stuck = settings_.when_stuck && granted_ca - last_->drawn_ca > stuck_below_ca &&
                       last_->drawn_ca > stuck_below_ca && now - settled_at_ >= stuck_for;
    return raised || stuck;
}

std::optional<int> Spike::instead_of(int wish_ca, int granted_ca, std::optional<int> rating_ca, Instant now) {
    const int usual_ca = rating_ca.value_or(0) >= big_unit_ca ? spike_of_big_units_ca : spike_of_others_ca;
    const int spike_ca = settings_.ca.value_or(usual_ca);
    if (!began_ && is_called_for(wish_ca, granted_ca, spike_ca, now)) {
        began_ = now;
        echoed_.reset();
    }
    wish_before_ca_ = wish_ca;
    if (!began_) {
        return std::nullopt;
    }
    if (!echoed_ && last_->limit_ca == spike_ca) {
        echoed_ = now;
    }
    const bool done = echoed_ ? now - *echoed_ >= held_for : now - *began_ >= echoed_within;
    if (done || wish_ca <= 0 || wish_ca >= spike_ca) {
        began_.reset();
        again_from_ = now + pause;
        return std::nullopt;
    }
    return spike_ca;
}

void Spike::refused(Instant now) {
    began_.reset();
    again_from_ = now + pause;
}

}  // namespace twc_bus
