#include "twc-bus/fleet.hpp"

#include <algorithm>
#include <iterator>

#include <fmt/format.h>

namespace twc_bus {

using scheduling::Instant;

Fleet::Fleet(const Limits& limits, const std::vector<FleetLine>& lines, Instant now, const Care& care)
    : limits_(limits), allocator_(limits) {
    for (const auto& line : lines) {
        masters_.emplace_back(MasterSettings{.master_id = line.master_id,
                                             .limits = limits,
                                             .listen = line.listen,
                                             .restart_pause = care.restart_pause,
                                             .treatments = care.treatments},
                              line.known, now);
    }
}

// Once for each.
void Fleet::refuse(UnitId id) {
    if (std::ranges::find(refused_, id) != refused_.end()) {
        return;
    }
    refused_.push_back(id);
    notices_.push_back(
        {NoticeKind::id_shared, id,
         fmt::format("{} announces itself on a second line: it gets nothing there until it is gone from the first, and "
                     "never if two units have this ID",
                     to_text(id))});
}

std::optional<UnitId> Fleet::on_body(std::size_t line, std::span<const std::uint8_t> body, Instant now) {
    if (masters_.size() > 1) {
        const auto message = decode_message(body);
        const auto* announcement = message ? std::get_if<SlaveLinkReady>(&*message) : nullptr;
        const auto home = announcement != nullptr ? line_of(announcement->slave) : std::nullopt;
        if (home && *home != line) {
            refuse(announcement->slave);
            return std::nullopt;
        }
    }
    return masters_.at(line).on_body(body, now);
}

void Fleet::set_wishes(const std::map<UnitId, int>& wishes) {
    for (auto& master : masters_) {
        master.set_wishes(wishes);
    }
}

void Fleet::set_surroundings(std::vector<SharedLimit> passing, bool hold) {
    passing_ = std::move(passing);
    hold_ = hold;
}

// One line that does not know yet who else is there, or hears another master, holds all: they share the wiring.
void Fleet::reallocate(Instant now) {
    const bool frozen = hold_ || hears_other_master() || listening(now);
    std::vector<Demand> demands;
    for (auto& master : masters_) {
        std::ranges::move(master.demands(now, hold_ || !may_spike_), std::back_inserter(demands));
    }
    for (auto& demand : demands) {
        demand.frozen = frozen;
    }
    const auto grants = allocator_.allocate(demands, now, passing_);
    for (auto& master : masters_) {
        master.take_grants(grants, now);
    }
}

BusMaster::Step Fleet::next(std::size_t line, Instant now) {
    for (auto& master : masters_) {
        master.expire(now);
    }
    if (masters_.at(line).link_up()) {
        reallocate(now);
    }
    return masters_.at(line).next(now);
}

std::vector<const Charger*> Fleet::chargers() const {
    std::vector<const Charger*> chargers;
    for (const auto& master : masters_) {
        for (const auto& [id, charger] : master.chargers()) {
            chargers.push_back(&charger);
        }
    }
    std::ranges::sort(chargers, {}, &Charger::id);
    return chargers;
}

const Charger* Fleet::find(UnitId id) const {
    const auto line = line_of(id);
    return line ? &masters_.at(*line).chargers().at(id) : nullptr;
}

std::optional<std::size_t> Fleet::line_of(UnitId id) const {
    for (std::size_t line = 0; line < masters_.size(); ++line) {
        if (masters_[line].chargers().contains(id)) {
            return line;
        }
    }
    return std::nullopt;
}

bool Fleet::any_link_up() const { return std::ranges::any_of(masters_, &BusMaster::link_up); }

bool Fleet::hears_other_master() const { return std::ranges::any_of(masters_, &BusMaster::hears_other_master); }

bool Fleet::listening(Instant now) const {
    return std::ranges::any_of(masters_, [&](const BusMaster& master) { return master.listening(now); });
}

int Fleet::granted_sum_ca() const {
    int heard = 0;
    int unheard = 0;
    for (const auto* charger : chargers()) {
        if (charger->off) {
            continue;
        }
        if (charger->claim.heard()) {
            heard += charger->claim.certain_ca();
        } else {
            unheard += limits_.max_ca(charger->id);
        }
    }
    return heard + std::min(unheard, std::max(0, limits_.wiring_ca - heard));
}

std::vector<Notice> Fleet::take_notices() {
    auto notices = std::exchange(notices_, {});
    for (auto& master : masters_) {
        std::ranges::move(master.take_notices(), std::back_inserter(notices));
    }
    return notices;
}

}  // namespace twc_bus
