#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "contract/messages.hpp"
#include "ems-bridge/reading.hpp"
#include "ems-bridge/role.hpp"
#include "scheduling/scheduler.hpp"

/// Many sources, one picture. Pure: what goes in decides what comes out, in whatever order it arrived.
namespace ems_bridge {

/// What a source last said about one quantity, and when it was true. No value: it said it does not know.
struct Statement {
    std::optional<double> value;
    scheduling::Instant at;
    bool operator==(const Statement&) const = default;
};

/// The newest statement about each quantity.
class Statements {
public:
    /// Keeps what is newer than what it has, quantity by quantity.
    void accept(const Reading& reading, scheduling::Instant at);
    void accept(Quantity quantity, std::optional<double> value, scheduling::Instant at);

    const std::optional<Statement>& get(Quantity quantity) const { return newest_[index_of(quantity)]; }
    /// The value if it is known and not older than `limit`.
    std::optional<Statement> fresh(Quantity quantity, scheduling::Duration limit, scheduling::Instant now) const;
    bool pv_asleep() const { return pv_asleep_; }
    bool heard() const { return heard_; }

private:
    std::array<std::optional<Statement>, quantity_count> newest_{};
    bool pv_asleep_ = false;
    bool heard_ = false;
};

/// What a source counts for.
struct Member {
    std::string name;
    Roles roles;
    scheduling::Duration stale_after{};
    /// False: the chargers hang before this source's grid or house meter, so their power comes on top.
    bool includes_chargers = true;
    std::optional<double> battery_kwh;  ///< Weight of its state of charge among several batteries.
};

/// One source as the combiner sees it. The order of the list is the order of preference: where only one may fill a
/// role (grid, house), the first that is fresh does, and the others are its backups.
struct SourceView {
    const Member& member;
    const Statements& statements;
};

/// What matters beside the sources.
struct Surroundings {
    std::optional<double> charger_w;  ///< All chargers together; none: unknown.
    bool sun_is_down = false;         ///< Known to be down; false also when the place is not configured.
};

/// What the combiner remembers between two pictures.
struct SiteMemory {
    std::optional<scheduling::Instant> house_negative_since;
    bool operator==(const SiteMemory&) const = default;
};

struct SitePicture {
    contract::SitePower power;                       ///< Without `ts`.
    std::optional<double> raw_house_w;               ///< Before it was kept from being negative.
    std::optional<scheduling::Instant> valid_until;  ///< When the first of the shown values becomes too old.
    SiteMemory memory;
};

/// Rules, in short:
/// - a value older than its source's limit is unknown; a sum with an unknown part is unknown;
/// - grid and house: the first fresh source of that role; pv and battery: the sum of all sources of that role;
/// - house is pv + grid + battery where these are known, else what a house meter says;
/// - without a grid value, grid is house − pv − battery (quality `estimated`);
/// - an inverter that says it sleeps counts as 0 W only if something else shows life or the sun is known to be down;
///   one that does not answer counts as 0 W only if the sun is known to be down and the grid is fresh.
///
/// Quality: `error` nothing known, or the grid never heard of; `stale` the grid (or all) was known and is too old;
/// `estimated` the grid is derived; `partial` something else is missing, a backup is in use, ages differ by more than
/// 30 s, or the house stays negative; else `ok`.
SitePicture combine(const std::vector<SourceView>& sources, const Surroundings& surroundings, const SiteMemory& memory,
                    scheduling::Instant now);

}  // namespace ems_bridge
