#include "messaging/outbox.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

namespace messaging {

bool Outbox::add(const Publication& publication, scheduling::Instant now) {
    if (publication.retained) {
        const auto older = std::ranges::find_if(waiting_, [&](const Entry& entry) {
            return entry.publication.retained && entry.publication.topic == publication.topic;
        });
        if (older != waiting_.end()) {
            *older = {publication, now};
            return true;
        }
    }
    if (waiting_.size() >= most_waiting) {
        return false;
    }
    waiting_.push_back({publication, now});
    return true;
}

std::optional<Publication> Outbox::next(scheduling::Instant now) {
    if (in_flight_ >= most_in_flight && now - progress_ < patience) {
        return std::nullopt;
    }
    while (!waiting_.empty()) {
        const Entry entry = std::move(waiting_.front());
        waiting_.pop_front();
        const auto lifetime = entry.publication.expires_after;
        if (lifetime.count() > 0 && now - entry.since >= lifetime) {
            ++expired_;
            continue;
        }
        in_flight_ = in_flight_ >= most_in_flight ? 1 : in_flight_ + 1;
        progress_ = now;
        return entry.publication;
    }
    return std::nullopt;
}

void Outbox::done(scheduling::Instant now) {
    in_flight_ = std::max(0, in_flight_ - 1);
    progress_ = now;
}

std::vector<Publication> Outbox::take_waiting() {
    in_flight_ = 0;
    std::vector<Publication> rest;
    for (auto& entry : std::exchange(waiting_, {})) {
        rest.push_back(std::move(entry.publication));
    }
    return rest;
}

}  // namespace messaging
