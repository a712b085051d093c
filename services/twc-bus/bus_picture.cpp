#include "twc-bus/bus_picture.hpp"

namespace twc_bus {

namespace {

using namespace std::chrono_literals;
using scheduling::Instant;

// Answers take 0.2 s; network bridges hold them back for up to seconds.
constexpr auto answer_within = 5s;
constexpr auto present_within = 15s;
// As long as a real master waits for a unit (notes, 7.1).
constexpr auto answers_end_after = 26s;
constexpr auto forgotten_after = 60s;
// After that its units give up on it as well (notes, 7.1).
constexpr auto master_is_gone_after = 10s;
// A master that does not ask for the VIN any more leaves state 00 as the only sign that a car has left.
constexpr auto vin_counts_for = 120s;
// Four units is all a bus carries. Damage that still verifies must not fill the memory.
constexpr std::size_t most_units = 16;
constexpr std::size_t most_masters = 8;

constexpr std::uint8_t ready_state = 0x00;

bool carries_limit(std::uint8_t command) {
    return command == command::initial_limit || command == command::resume_limit || command == command::running_limit;
}

}  // namespace

/// Reads one message into the picture.
struct BusPicture::Taker {
    BusPicture& picture;
    Instant now;

    std::optional<UnitId> operator()(const MasterLinkReady& message) const { return spoken_by(message.master); }
    std::optional<UnitId> operator()(const Request& message) const { return spoken_by(message.master); }
    std::optional<UnitId> operator()(const ContactorCommand& message) const { return spoken_by(message.master); }

    std::optional<UnitId> operator()(const MasterHeartbeat& message) const {
        spoken_by(message.master);
        auto& master = picture.masters_[message.master];
        master.plugged = message.master_plugged;
        auto* unit = master.certain() ? picture.unit(message.slave) : nullptr;
        if (unit == nullptr) {
            return std::nullopt;
        }
        unit->addressed = now;
        unit->newest_command = message.command;
        if (carries_limit(message.command)) {
            unit->told = Order{message.command, message.limit_ca};
        }
        return std::nullopt;  // its answer follows
    }

    std::optional<UnitId> operator()(const SlaveLinkReady& message) const {
        auto* unit = message.slave == 0 ? nullptr : picture.unit(message.slave);
        if (unit == nullptr) {
            return std::nullopt;
        }
        unit->heard = now;
        unit->protocol = message.protocol;
        unit->rating_ca = message.rating_ca;
        return message.slave;
    }

    std::optional<UnitId> operator()(const SlaveHeartbeat& message) const {
        const auto found = picture.units_.find(message.slave);
        if (found == picture.units_.end()) {
            return std::nullopt;
        }
        auto& unit = found->second;
        if (!unit.addressed || now - *unit.addressed > answer_within) {
            return std::nullopt;
        }
        unit.heard = now;
        unit.last_answer = now;
        unit.protocol = message.protocol;
        unit.last = message;
        unit.inquiry.on_heartbeat(message, now);
        if (message.state == ready_state && unit.inquiry.vin_is_older_than(vin_counts_for, now)) {
            unit.inquiry.forget_car();
        }
        return message.slave;
    }

    std::optional<UnitId> operator()(const PowerReport& message) const {
        auto* unit = picture.reporting_unit(message.sender, now);
        if (unit == nullptr) {
            return std::nullopt;
        }
        unit->power = message;
        unit->inquiry.on_report(message, now);
        return message.sender;
    }
    std::optional<UnitId> operator()(const FirmwareReport& message) const {
        return take_report(message.slave, [&](Inquiry& inquiry) { inquiry.on_report(message); });
    }
    std::optional<UnitId> operator()(const SerialReport& message) const {
        return take_report(message.slave, [&](Inquiry& inquiry) { inquiry.on_report(message); });
    }
    std::optional<UnitId> operator()(const VinReport& message) const {
        return take_report(message.slave, [&](Inquiry& inquiry) { inquiry.on_report(message, now); });
    }

    template <class Other>
    std::optional<UnitId> operator()(const Other& /*message*/) const {
        return std::nullopt;
    }

private:
    std::optional<UnitId> spoken_by(UnitId master) const {
        picture.note_master(master, now);
        return std::nullopt;
    }
    template <class Take>
    std::optional<UnitId> take_report(UnitId sender, Take take) const {
        auto* unit = picture.reporting_unit(sender, now);
        if (unit == nullptr) {
            return std::nullopt;
        }
        take(unit->inquiry);
        return sender;
    }
};

std::optional<UnitId> BusPicture::on_message(const Message& message, Instant now) {
    expire(now);
    heard_ = now;
    return std::visit(Taker{*this, now}, message);
}

void BusPicture::note_master(UnitId id, Instant now) {
    if (!masters_.contains(id) && masters_.size() >= most_masters) {
        return;
    }
    auto& master = masters_[id];
    master.heard = now;
    ++master.frames;
}

HeardUnit* BusPicture::unit(UnitId id) {
    if (left_out_.contains(id) || (!units_.contains(id) && units_.size() >= most_units)) {
        return nullptr;
    }
    return &units_[id];
}

// A unit that is there already, or a master, which nobody asks.
HeardUnit* BusPicture::reporting_unit(UnitId id, Instant now) {
    const auto found = units_.find(id);
    const bool known = found != units_.end() && (found->second.heard || found->second.addressed);
    if (!known && !is_master(id)) {
        return nullptr;
    }
    auto* reporting = unit(id);
    if (reporting != nullptr) {
        reporting->heard = now;
    }
    return reporting;
}

void BusPicture::expire(Instant now) {
    std::erase_if(masters_, [&](const auto& item) { return now - item.second.heard > master_is_gone_after; });
    for (auto& [id, unit] : units_) {
        if (unit.last_answer && now - *unit.last_answer > answers_end_after) {
            unit.last.reset();
            unit.last_answer.reset();
            unit.told.reset();
            unit.newest_command.reset();
        }
    }
    std::erase_if(units_, [&](const auto& item) {
        const auto& unit = item.second;
        return (!unit.heard || now - *unit.heard > forgotten_after) &&
               (!unit.addressed || now - *unit.addressed > forgotten_after);
    });
}

void BusPicture::leave_out(UnitId id) {
    left_out_.insert(id);
    units_.erase(id);
}

std::vector<UnitId> BusPicture::masters() const {
    std::vector<UnitId> ids;
    for (const auto& [id, master] : masters_) {
        if (master.certain()) {
            ids.push_back(id);
        }
    }
    return ids;
}

bool BusPicture::is_master(UnitId id) const {
    const auto found = masters_.find(id);
    return found != masters_.end() && found->second.certain();
}

bool BusPicture::is_plugged_master(UnitId id) const { return is_master(id) && masters_.at(id).plugged; }

bool BusPicture::is_present(const HeardUnit& unit, Instant now) {
    return unit.heard && now - *unit.heard <= present_within;
}

}  // namespace twc_bus
