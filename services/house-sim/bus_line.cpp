#include "house-sim/bus_line.hpp"

#include <algorithm>
#include <utility>

namespace house_sim {

namespace {

constexpr auto byte_time = std::chrono::microseconds(1042);  // ten bits at 9600 baud

std::chrono::microseconds line_time(std::size_t bytes) { return byte_time * static_cast<std::int64_t>(bytes); }

scheduling::Duration seconds(double value) {
    return std::chrono::duration_cast<scheduling::Duration>(std::chrono::duration<double>(value));
}

}  // namespace

BusLine::BusLine(const std::vector<WallConnectorConfig>& units, LineNoise noise, std::uint64_t seed, Instant now)
    : noise_(noise), random_(Random::stream(seed, 0)), master_quiet_at_(now), message_began_(now) {
    std::uint64_t number = 0;
    for (const auto& unit : units) {
        units_.emplace_back(unit, Random::stream(seed, ++number).bits(), now);
    }
}

void BusLine::receive(std::span<const std::uint8_t> bytes, Instant now) {
    if (cut_) {
        return;
    }
    announce(now);
    if (master_quiet_at_ <= now) {
        master_quiet_at_ = now;
        message_began_ = now;
    }
    if (noise_.echoes_master) {
        emit({master_quiet_at_, master_quiet_at_ + line_time(bytes.size()), Bytes(bytes.begin(), bytes.end())});
    }
    for (const auto sent : bytes) {
        master_quiet_at_ += byte_time;
        if (random_.chance(noise_.drop_per_byte)) {
            continue;
        }
        const bool flipped = random_.chance(noise_.flip_per_byte);
        const auto heard = static_cast<std::uint8_t>(flipped ? sent ^ (1U << (random_.byte() & 7U)) : sent);
        if (const auto message = reader_.add(heard)) {
            if (!collides_with_unit(message_began_, master_quiet_at_)) {
                hear(*message, master_quiet_at_);
            }
            message_began_ = master_quiet_at_;
        }
    }
}

bool BusLine::collides_with_unit(Instant begins, Instant ends) {
    if (!noise_.collides || noise_.echoes_master) {
        return false;
    }
    bool collided = false;
    for (auto& emission : emissions_) {
        if (emission.begins < ends && emission.ends > begins) {
            garble(emission.bytes);
            collided = true;
        }
    }
    return collided;
}

void BusLine::hear(const Bytes& message, Instant now) {
    ++messages_heard_;
    for (auto& unit : units_) {
        if (const auto answer = unit.answer(message, now)) {
            const auto& config = unit.config();
            send(unit, *answer, now + seconds(random_.uniform(config.answer_delay_min_s, config.answer_delay_max_s)));
        }
    }
}

void BusLine::send(const WallConnector& unit, std::span<const std::uint8_t> message, Instant from) {
    Bytes wire = to_wire(message);
    if (unit.config().trailing_byte) {
        wire.push_back(*unit.config().trailing_byte);
    }
    if (random_.chance(noise_.junk_per_frame)) {
        const std::size_t count = 1 + random_.byte() % 5U;
        for (std::size_t i = 0; i < count; ++i) {
            wire.insert(wire.begin(), random_.byte());
        }
    }
    emit({from, from + line_time(wire.size()), with_noise(wire)});
}

void BusLine::emit(Emission emission) {
    for (auto& other : emissions_) {
        const bool overlaps = other.begins < emission.ends && other.ends > emission.begins;
        if (overlaps && noise_.collides && !noise_.echoes_master) {
            garble(other.bytes);
            garble(emission.bytes);
        } else if (overlaps) {
            const auto wait = other.ends - emission.begins;
            emission.begins += wait;
            emission.ends += wait;
        }
    }
    const auto place = std::ranges::upper_bound(emissions_, emission.ends, {}, &Emission::ends);
    emissions_.insert(place, std::move(emission));
}

void BusLine::garble(Bytes& bytes) {
    for (auto& byte : bytes) {
        byte = static_cast<std::uint8_t>(byte | random_.byte());
    }
}

Bytes BusLine::with_noise(const Bytes& bytes) {
    Bytes heard;
    for (const auto byte : bytes) {
        if (random_.chance(noise_.drop_per_byte)) {
            continue;
        }
        const bool flipped = random_.chance(noise_.flip_per_byte);
        heard.push_back(static_cast<std::uint8_t>(flipped ? byte ^ (1U << (random_.byte() & 7U)) : byte));
    }
    return heard;
}

void BusLine::announce(Instant now) {
    for (auto& unit : units_) {
        const Instant when = unit.next_announcement();
        if (const auto announcement = unit.announce(now)) {
            send(unit, *announcement, when);
        }
    }
}

BusLine::Instant BusLine::due() const {
    Instant due = Instant::max();
    for (const auto& unit : units_) {
        due = std::min(due, unit.next_announcement());
    }
    return emissions_.empty() ? due : std::min(due, emissions_.front().ends);
}

Bytes BusLine::take(Instant now) {
    announce(now);
    Bytes arrived;
    while (!emissions_.empty() && emissions_.front().ends <= now) {
        auto& bytes = emissions_.front().bytes;
        if (noise_.splits_frames && bytes.size() > 1) {
            const std::size_t piece = 1 + random_.byte() % (bytes.size() - 1);
            arrived.insert(arrived.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(piece));
            bytes.erase(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(piece));
            emissions_.front().ends = now + seconds(random_.uniform(0.001, 0.020));
            break;
        }
        arrived.insert(arrived.end(), bytes.begin(), bytes.end());
        emissions_.pop_front();
    }
    return cut_ ? Bytes{} : arrived;
}

}  // namespace house_sim
